"""The API server goes away while a commit is synced."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rollouts import sandbox
from tests.api.harness import eventually
from tests.e2e.applications.harness import App, Checkout, config_map

pytestmark = pytest.mark.e2e

_OBJECTS = 60


async def test_a_sync_goes_on_where_the_api_server_has_left_it(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, cluster: sandbox.Sandbox, tmp_path: Path
) -> None:
    names = [f"settings-{i}" for i in range(_OBJECTS)]
    first = checkout.push({f"{name}.yaml": config_map(name, color="blue") for name in names})
    await app.create(repository.file_url)

    # With the chart's rights: an API server that starts refuses everybody whose rights it has not read yet.
    async with app.bench.controller(git_cache_dir=tmp_path / "git") as requests:
        await app.runs(first)
        seen = len(requests.seen)

        async def applies() -> bool:
            return any("/configmaps/settings" in path for _, path in requests.seen[seen:])

        second = checkout.push({f"{name}.yaml": config_map(name, color="green") for name in names})
        await eventually(applies)
        await asyncio.to_thread(cluster.restart, sandbox.Component.API_SERVER)
        await app.runs(second, seconds=60)

    found = [await app.config(name) for name in names]
    assert found == [{"color": "green"}] * _OBJECTS
    told = [(reason, message) for reason, message in await app.events() if second in message]
    assert [reason for reason, _ in told] == ["NewRevision", "RevisionPromoted"], told
