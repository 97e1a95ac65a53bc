"""M2: a manual rollback that automatic sync and self-heal respect."""

from __future__ import annotations

from pathlib import Path

import pytest

from rollouts import sandbox
from rollouts.kube import resources
from tests.api.harness import eventually
from tests.e2e.applications.harness import App, Checkout, config_map

pytestmark = pytest.mark.e2e


async def test_m2_a_manual_rollback_holds_until_git_brings_something_new(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    await app.create(repository.file_url)
    first = checkout.push({"settings.yaml": config_map("settings", color="blue")})
    ref = resources.CONFIG_MAP.ref("settings", app.bench.namespace)

    async def has(color: str) -> bool:
        return await app.config("settings") == {"color": color}

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(first)
        second = checkout.push({"settings.yaml": config_map("settings", color="green")})
        await app.runs(second)
        await app.annotate(rollback="please")
        told = await app.says("Ready", "False", "RevisionQuarantined")
        await eventually(lambda: has("blue"))
        # Drift is healed towards what was put back, and a commit elsewhere does not end it.
        await app.kube.merge_patch(ref, {"data": {"color": "red"}}, field_manager="kubectl-edit")
        await eventually(lambda: has("blue"))

    # A restart does not bring it back, either.
    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.annotate(refresh="look")

        async def looked() -> bool:
            return (await app.status()).get("lastHandledReconcileAt") == "look"

        await eventually(looked)
        still = await app.config("settings")
        third = checkout.push({"settings.yaml": config_map("settings", color="yellow")})
        await app.runs(third)

    assert f"main@sha1:{second} was rolled back by hand to main@sha1:{first}" in told["message"]
    assert still == {"color": "blue"}
    assert await app.config("settings") == {"color": "yellow"}
