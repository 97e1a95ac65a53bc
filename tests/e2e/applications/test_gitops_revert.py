"""A quarantined revision is taken back in Git: one commit, or one pull request, whatever happens in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rollouts import sandbox
from rollouts.kube import resources
from tests import provider_host
from tests.api.harness import Object, eventually
from tests.e2e.applications.harness import App, Checkout, config_map
from tests.provider_host import TOKEN

pytestmark = pytest.mark.e2e

RED_IS_BAD = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "current": "data.color != 'red'",
    "failed": "data.color == 'red'",
}


def files(color: str, note: str) -> dict[str, str]:
    return {"shop/settings.yaml": config_map("settings", color=color), "docs/notes.txt": note}


async def create(app: App, repository: sandbox.RepoInfo, **rollback: Any) -> None:
    await app.create(repository.file_url, path="shop", healthCheckExprs=[RED_IS_BAD], rollback=rollback)


async def create_over_http(app: App, url: str, cluster: sandbox.Sandbox, **rollback: Any) -> None:
    """Read with one Secret, written with another one."""
    login = {"username": cluster.git_username, "password": cluster.git_password}
    await app.secret("reader", **login)
    await app.secret("writer", **login)
    rollback = {**rollback, "secretRef": {"name": "writer"}}
    await app.create(url, path="shop", secret="reader", healthCheckExprs=[RED_IS_BAD], rollback=rollback)


async def forget_reverts(app: App) -> None:
    """As if the controller had been killed before it wrote down what it did."""
    ref = resources.APPLICATION.ref(app.name, app.bench.namespace)
    await app.kube.merge_patch(
        ref, {"status": {"reverts": None}}, field_manager="tests", subresource="status"
    )


async def reverted(app: App, state: str) -> Object | None:
    found = (await app.status()).get("reverts") or [{}]
    return found[0] if found[0].get("state") == state else None


async def test_a_bad_revision_is_reverted_on_its_branch_once(
    app: App,
    checkout: Checkout,
    repository: sandbox.RepoInfo,
    cluster: sandbox.Sandbox,
    tmp_path: Path,
) -> None:
    first = checkout.push(files("blue", "old"))
    author = {"name": "Robot", "email": "robot@example.com"}
    await create_over_http(app, repository.url, cluster, revert="branch", author=author)

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(first)
        bad = checkout.push(files("red", "new"))
        done = await eventually(lambda: reverted(app, "Committed"))
        await app.runs(done["commit"])

    await forget_reverts(app)
    async with app.bench.controller(git_cache_dir=tmp_path / "other"):
        await app.annotate(refresh="look")

        async def looked() -> bool:
            return (await app.status()).get("lastHandledReconcileAt") == "look"

        await eventually(looked)

    checkout.git("fetch", "--quiet", checkout.remote, "main")
    assert checkout.git("rev-list", "--parents", "-1", "FETCH_HEAD") == f"{done['commit']} {bad}"
    assert checkout.git("log", "-1", "--format=%an <%ae>", "FETCH_HEAD") == "Robot <robot@example.com>"
    assert checkout.git("show", "FETCH_HEAD:docs/notes.txt") == "new"
    assert "color: 'blue'" in checkout.git("show", "FETCH_HEAD:shop/settings.yaml")
    told = checkout.git("log", "-1", "--format=%B", "FETCH_HEAD")
    for word in (bad, first, "HealthCheckFailed", "ConfigMap"):
        assert word in told
    assert [r for r, _ in await app.events()].count("RevertCommitted") == 1


async def test_a_branch_that_has_moved_on_is_left_alone(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    first = checkout.push(files("blue", "old"))
    checkout.publish("release")
    await create(app, repository, revert="branch", branch="release")

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(first)
        checkout.push(files("red", "new"))
        done = await eventually(lambda: reverted(app, "NotNeeded"))

    assert "release has moved on" in done["message"]
    checkout.git("fetch", "--quiet", checkout.remote, "release")
    assert checkout.git("rev-parse", "FETCH_HEAD") == first


async def test_one_pull_request_is_proposed_and_found_again_after_a_crash(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    await app.secret("robot", token=TOKEN)
    first = checkout.push(files("blue", "old"))
    with provider_host.serving("gitea") as host:
        asked = {"provider": "gitea", "url": host.url, "secretRef": {"name": "robot"}}
        await create(app, repository, revert="pullRequest", **asked)

        async with app.bench.controller(git_cache_dir=tmp_path / "git"):
            await app.runs(first)
            host.broken = (502, {"message": "bad gateway"})
            bad = checkout.push(files("red", "new"))
            failed = await eventually(lambda: reverted(app, "Failed"))
            host.broken = None
            done = await eventually(lambda: reverted(app, "Proposed"))
        await forget_reverts(app)
        async with app.bench.controller(git_cache_dir=tmp_path / "other"):
            again = await eventually(lambda: reverted(app, "Proposed"))

    branch = f"rollouts/revert-{app.bench.namespace}-shop-{bad[:12]}"
    assert "502: bad gateway" in failed["message"]
    assert [(p["head"], p["base"]) for p in host.pulls] == [(branch, "main")]
    assert (
        again["url"]
        == done["url"]
        == "https://git.example.com/team/" + repository_name(repository) + "/pulls/1"
    )
    for word in (bad, first, "HealthCheckFailed"):
        assert word in host.pulls[0]["text"]
    checkout.git("fetch", "--quiet", checkout.remote, branch)
    assert checkout.git("rev-list", "--parents", "-1", "FETCH_HEAD").endswith(f" {bad}")
    assert (await app.status())["desiredRevision"] == f"main@sha1:{bad}"


def repository_name(repository: sandbox.RepoInfo) -> str:
    return Path(repository.path).name.removesuffix(".git")
