"""M17, M3: a cluster that is built anew begins with the last good revision, as a ref in Git tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rollouts import sandbox
from rollouts.errors import NotFound
from rollouts.kube import resources
from tests.api.harness import Object, eventually
from tests.e2e.applications import shop
from tests.e2e.applications.harness import App, Checkout
from tests.e2e.applications.shop import Release

pytestmark = pytest.mark.e2e

STEPS: Object = {"canary": {"steps": [{"setWeight": 50}, {"pause": {}}]}}


async def test_m17_a_rebuilt_cluster_takes_an_unproven_commit_step_by_step(
    app: App,
    checkout: Checkout,
    repository: sandbox.RepoInfo,
    cluster: sandbox.Sandbox,
    tmp_path: Path,
) -> None:
    await app.secret("git", username=cluster.git_username, password=cluster.git_password)

    def push(version: str) -> str:
        return checkout.push(
            {"web.yaml": shop.text(shop.rollout("web", Release(version), STEPS, replicas=2))}
        )

    async def create() -> None:
        await app.create(repository.url, secret="git", deletionPolicy="Delete", rollback={"record": {}})

    async def is_gone() -> bool:
        try:
            await app.get()
        except NotFound:
            return True
        return False

    async def is_recorded(commit: str) -> bool:
        record = (await app.status()).get("lastGoodRecord") or {}
        return bool(record.get("revision") == f"main@sha1:{commit}")

    async def canary() -> Object | None:
        """The Rollout while the unproven commit waits at its first step."""
        found = await app.find(resources.rollout("rollouts.dev"), "web")
        status = (found or {}).get("status") or {}
        is_paused = status.get("currentStepIndex") == 1 and status.get("pauseConditions")
        return status if is_paused else None

    good = push("v1")
    await create()
    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(good)
        await eventually(lambda: is_recorded(good))
        ref = resources.APPLICATION.ref(app.name, app.bench.namespace)
        await app.kube.delete(ref)
        await eventually(is_gone)
    unproven = push("v2")
    await create()
    async with app.bench.controller(git_cache_dir=tmp_path / "rebuilt"):
        waiting = await eventually(canary)
        status = await app.status()

    assert checkout.git(
        "ls-remote", checkout.remote, f"refs/rollouts/last-good/{app.bench.namespace}/shop"
    ) == (f"{good}\trefs/rollouts/last-good/{app.bench.namespace}/shop")
    assert waiting["stableRS"] != waiting["currentPodHash"]
    assert status["lastGoodRevision"] == f"main@sha1:{good}"
    assert status["desiredRevision"] == status["attemptedRevision"] == f"main@sha1:{unproven}"
    told = [message for reason, message in await app.events() if reason == "LastGoodRecordRead"]
    assert "is not there yet" in told[0]
    assert f"names {good}: it is deployed first" in told[1]


async def test_m17_a_record_that_cannot_be_read_keeps_the_first_sync_waiting(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    commit = checkout.push({"web.yaml": shop.text(shop.rollout("web", Release("v1"), STEPS))})
    await app.create(repository.file_url, rollback={"record": {}, "secretRef": {"name": "missing"}})

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        told = await app.says("Ready", "False", "LastGoodRecordUnknown")

        async def complains() -> bool:
            return "missing" in (await app.status()).get("lastGoodRecord", {}).get("message", "")

        await eventually(complains)
        assert "attemptedRevision" not in await app.status()
        await app.annotate(sync="a person takes it upon themselves")
        await app.runs(commit)

    assert "waits for the record of the last good revision" in told["message"]
