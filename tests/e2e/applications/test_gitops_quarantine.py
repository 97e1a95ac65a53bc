"""A bad revision is put back as a whole, stays out, and gives way to a fix: canary and blue-green."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rollouts import sandbox
from rollouts.kube import resources
from tests import provider_host
from tests.api.harness import Object, eventually
from tests.e2e.applications import shop
from tests.e2e.applications.harness import App, Checkout, config_map
from tests.e2e.applications.shop import Release
from tests.provider_host import TOKEN, ProviderHost

pytestmark = pytest.mark.e2e

Files = Callable[[str, str, Release], dict[str, str]]


@pytest.fixture
def host() -> Iterator[ProviderHost]:
    with provider_host.serving("github") as served:
        yield served


async def _is_told(host: ProviderHost, commit: str, state: str) -> bool:
    return (commit, state) in host.told()


@pytest.mark.parametrize("files", [shop.canary, shop.blue_green])
async def test_a_bad_revision_is_put_back_and_stays_out_until_a_fix_comes(  # noqa: PLR0917 - fixtures
    files: Files,
    app: App,
    checkout: Checkout,
    repository: sandbox.RepoInfo,
    cluster: sandbox.Sandbox,
    tmp_path: Path,
    host: ProviderHost,
) -> None:
    def push(release: Release) -> str:
        return checkout.push(files(app.bench.namespace, cluster.prometheus_url, release))

    first = push(Release("v1"))
    await app.secret("robot", token=TOKEN)
    robot = {"provider": "github", "url": host.url, "secretRef": {"name": "robot"}}
    rollback = {"revert": "pullRequest", **robot}
    await app.create(repository.file_url, commitStatus=robot, rollback=rollback)

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(first)
        good = push(Release("v2", greeting="hello again"))
        await app.runs(good, seconds=60)
        bad = push(Release("v3", greeting="broken", error_rate="0.5", added_object=True))
        told = await app.says("Ready", "False", "RevisionQuarantined", seconds=60)
        assert bad in told["message"]
        await eventually(lambda: _is_back(app, "v2", "hello again"))
        runs = len(await app.bench.list("AnalysisRun"))

        # Drift, a commit elsewhere, refreshes: none of them brings the bad revision back.
        ref = resources.CONFIG_MAP.ref(shop.CONFIG, app.bench.namespace)
        await app.kube.merge_patch(ref, {"data": {"greeting": "by hand"}}, field_manager="kubectl-edit")
        await eventually(lambda: _is_back(app, "v2", "hello again"))
        checkout.push({"README.md": "closed on Sundays"})
        for i in range(10):
            await app.annotate(refresh=str(i))
            await app.handles(str(i))

    async with app.bench.controller(git_cache_dir=tmp_path / "other"):
        await app.annotate(refresh="after the restart")
        await app.handles("after the restart")
        await eventually(lambda: _is_back(app, "v2", "hello again"))
        assert len(await app.bench.list("AnalysisRun")) == runs
        status = await app.status()
        assert status["runningRevision"] == status["lastGoodRevision"] == f"main@sha1:{good}"
        assert status["health"]["status"] == "Healthy"
        assert status["sync"] == {
            "status": "OutOfSync",
            "revision": status["desiredRevision"],
            "reason": "RevisionQuarantined",
        }
        fix = push(Release("v4", greeting="fixed", added_object=True))
        await app.runs(fix, seconds=60)
        assert await app.config(shop.ADDED) is not None
        await eventually(lambda: _is_told(host, fix, "success"))

    for commit, end in ((good, "success"), (bad, "failure"), (fix, "success")):
        assert [state for sha, state in host.told() if sha == commit] == ["pending", end]
    failure = next(s["description"] for s in host.statuses if s["state"] == "failure")
    (proposed,) = host.pulls
    for word in ("AnalysisFailed", "success-rate", "0.95"):
        assert word in failure
        assert word in proposed["text"]
    quarantined = [message for reason, message in await app.events() if reason == "RevisionQuarantined"]
    assert len(quarantined) == 1
    for word in (bad, "AnalysisFailed", "success-rate", "0.95", good, "rollouts app retry"):
        assert word in quarantined[0]
    assert [r for r, _ in await app.events()].count("RolledBack") == 1


async def test_a_revert_to_a_good_revision_takes_no_steps(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, cluster: sandbox.Sandbox, tmp_path: Path
) -> None:
    def push(release: Release) -> str:
        return checkout.push(shop.canary(app.bench.namespace, cluster.prometheus_url, release))

    first = push(Release("v1"))
    await app.create(repository.file_url)

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(first)
        await app.runs(push(Release("v2", greeting="two")), seconds=60)
        runs = len(await app.bench.list("AnalysisRun"))
        reverted = checkout.revert()
        await app.runs(reverted)
        await eventually(lambda: _is_back(app, "v1", "hello"))

    assert len(await app.bench.list("AnalysisRun")) == runs


async def test_an_abort_by_a_person_quarantines_and_a_retry_lifts_it_once(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, cluster: sandbox.Sandbox, tmp_path: Path
) -> None:
    def push(release: Release) -> str:
        return checkout.push(shop.canary(app.bench.namespace, cluster.prometheus_url, release))

    first = push(Release("v1"))
    await app.create(repository.file_url)

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(first)
        gated = push(Release("v2", greeting="two", gate=True))
        await app.bench.reaches("web", "Paused")
        await app.bench.steer("web", abort=True)
        await app.says("Ready", "False", "RevisionQuarantined")
        await eventually(lambda: _is_back(app, "v1", "hello"))
        await app.annotate(retry="once")
        await app.bench.reaches("web", "Paused", currentStepIndex=1)
        await app.bench.steer("web", pauseConditions=None)
        await app.runs(gated, seconds=60)

    reasons = [reason for reason, _ in await app.events()]
    assert reasons.count("QuarantineLifted") == 1


async def test_a_newer_commit_overtakes_a_waiting_canary_and_what_it_overtakes_is_not_quarantined(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, cluster: sandbox.Sandbox, tmp_path: Path
) -> None:
    def push(release: Release) -> str:
        return checkout.push(shop.canary(app.bench.namespace, cluster.prometheus_url, release))

    first = push(Release("v1"))
    await app.create(repository.file_url)

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(first)
        push(Release("v2", gate=True, added_object=True))
        await app.bench.reaches("web", "Paused")
        newer = push(Release("v3")) if checkout.push({"extra.yaml": None}) else ""
        status = await app.runs(newer, seconds=60)

        async def pruned() -> bool:
            return await app.config(shop.ADDED) is None

        await eventually(pruned)

    assert "quarantine" not in status
    assert "RevisionSuperseded" in [reason for reason, _ in await app.events()]


async def test_the_first_revision_that_fails_is_left_as_it_is(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    never = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "never"}, "spec": _pod("never")}
    never["metadata"]["annotations"] = {"sandbox.rollouts.dev/ready": "never"}  # type: ignore[index]
    checkout.push({"pod.yaml": shop.text(never), "settings.yaml": config_map("settings")})
    await app.create(repository.file_url, timeout="2s")

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        told = await app.says("Ready", "False", "NoGoodRevision")

    assert "HealthTimeout" in told["message"]
    assert await app.config("settings") == {}
    status = await app.status()
    assert "lastGoodRevision" not in status


async def _is_back(app: App, version: str, greeting: str) -> bool:
    """All of one release: the pods that serve, the config, and no object that it does not have."""
    found: Object = await app.bench.get("Rollout", "web")
    image = found["spec"]["template"]["spec"]["containers"][0]["image"]
    status = found.get("status") or {}
    config = await app.config(shop.CONFIG)
    return (
        image.endswith(f":{version}")
        and status.get("phase") == "Healthy"
        and status.get("stableRS") == status.get("currentPodHash")
        and (config or {}).get("greeting") == greeting
        and await app.config(shop.ADDED) is None
    )


def _pod(name: str) -> Object:
    return {"containers": [{"name": name, "image": "registry.example.com/never:1"}]}
