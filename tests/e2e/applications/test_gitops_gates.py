"""Applications that wait for each other, and for a window, on a real API server."""

from __future__ import annotations

from pathlib import Path

import pytest

from rollouts import sandbox
from tests.e2e.applications.harness import App, Checkout, config_map

pytestmark = pytest.mark.e2e


async def test_a_dependency_is_synced_first_and_a_window_keeps_the_next_commit_waiting(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    base = App(app.bench, f"{app.name}-base")
    first = checkout.push({"base/a.yaml": config_map("base"), "top/b.yaml": config_map("top", color="blue")})
    await app.create(repository.file_url, path="top", dependsOn=[{"name": base.name}])

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        waits = await app.says("Ready", "False", "DependencyNotReady")
        assert "it does not exist; nothing runs" in waits["message"]
        await base.create(repository.file_url, path="base")
        await app.runs(first)

        window = {"kind": "deny", "schedule": "* * * * *", "duration": "1h", "manualSync": True}
        await app.patch({"spec": {"syncPolicy": {"syncWindows": [window]}}})
        second = checkout.push({"top/b.yaml": config_map("top", color="red")})
        await app.says("Ready", "False", "SyncWindowClosed")
        assert await app.config("top") == {"color": "blue"}

        await app.annotate(sync="now")
        await app.runs(second)
        assert await app.config("top") == {"color": "red"}
