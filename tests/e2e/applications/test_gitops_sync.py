"""From a commit to the cluster and back: sync, drift, prune, on a real API server and a real Git server."""

from __future__ import annotations

from pathlib import Path

import pytest

from rollouts import sandbox
from rollouts.kube import resources
from tests.api.harness import eventually
from tests.e2e.applications.harness import App, Checkout, config_map

pytestmark = pytest.mark.e2e


async def test_a_commit_is_applied_and_the_application_becomes_ready(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    commit = checkout.push({"settings.yaml": config_map("settings", color="blue")})
    await app.create(repository.file_url)

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        status = await app.runs(commit)

    assert status["sync"]["status"] == "Synced"
    assert status["health"]["status"] == "Healthy"
    assert status["lastGoodRevision"] == status["desiredRevision"] == f"main@sha1:{commit}"
    assert await app.config("settings") == {"color": "blue"}


async def test_what_is_changed_by_hand_is_put_right(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    commit = checkout.push({"settings.yaml": config_map("settings", color="blue")})
    await app.create(repository.file_url)

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(commit)
        ref = resources.CONFIG_MAP.ref("settings", app.bench.namespace)
        await app.kube.merge_patch(ref, {"data": {"color": "red"}}, field_manager="kubectl-edit")

        async def healed() -> bool:
            return await app.config("settings") == {"color": "blue"}

        await eventually(healed)
        told = [message for reason, message in await app.events() if reason == "DriftCorrected"]

    assert told == [
        f"Corrected ConfigMap {app.bench.namespace}/settings: data.color (changed by kubectl-edit)"
    ]


async def test_drift_is_only_told_where_healing_is_off(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    commit = checkout.push({"settings.yaml": config_map("settings", color="blue")})
    await app.create(repository.file_url, syncPolicy={"automated": {"prune": True}})

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(commit)
        ref = resources.CONFIG_MAP.ref("settings", app.bench.namespace)
        await app.kube.merge_patch(ref, {"data": {"color": "red"}}, field_manager="kubectl-edit")
        await app.says("Ready", "False", "OutOfSync")
        told = [message for reason, message in await app.events() if reason == "DriftDetected"]

    assert await app.config("settings") == {"color": "red"}
    left = "left as it is: spec.syncPolicy.automated.selfHeal is off"
    assert told == [f"ConfigMap {app.bench.namespace}/settings: data.color (changed by kubectl-edit); {left}"]


async def test_what_is_deleted_by_hand_comes_back(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    commit = checkout.push({"settings.yaml": config_map("settings", color="blue")})
    await app.create(repository.file_url)

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(commit)
        await app.kube.delete(resources.CONFIG_MAP.ref("settings", app.bench.namespace))

        async def back() -> bool:
            return await app.config("settings") == {"color": "blue"}

        await eventually(back)


async def test_what_git_drops_is_pruned_and_an_empty_commit_is_refused(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    await app.create(repository.file_url)
    checkout.push({"a.yaml": config_map("a"), "b.yaml": config_map("b")})

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        fewer = checkout.push({"b.yaml": None})
        await app.runs(fewer)

        async def gone() -> bool:
            return await app.config("b") is None

        await eventually(gone)
        checkout.push({"a.yaml": None, "README": "nothing here"})
        told = await app.says("Ready", "False", "ApplyRejected")

    assert "would prune all 1" in told["message"]
    assert await app.config("a") == {}
    status = await app.status()
    assert [e["id"] for e in status["inventory"]["entries"]] == [f"{app.bench.namespace}_a__ConfigMap"]


async def test_a_commit_elsewhere_costs_the_application_nothing(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    commit = checkout.push({"shop/settings.yaml": config_map("settings"), "other/x.yaml": "x: 1"})
    await app.create(repository.file_url, path="shop")

    async with app.bench.controller(git_cache_dir=tmp_path / "git") as requests:
        await app.runs(commit)
        other = App(app.bench, "other")
        await other.create(repository.file_url, path="other-app")
        await other.says("Ready", "False", "RenderFailed")
        requests.seen.clear()
        elsewhere = checkout.push({"other-app/settings.yaml": config_map("other-settings")})
        await other.runs(elsewhere)
        touched = [path for _, path in requests.seen if path.endswith(("/shop/status", "/settings", "/shop"))]

    assert touched == []
    assert (await app.status())["desiredRevision"] == f"main@sha1:{commit}"
