"""M14: the Git host hears what became of a commit, once, and success only after promotion."""

from __future__ import annotations

from pathlib import Path

import pytest

from rollouts import sandbox
from rollouts.kube import resources
from tests import provider_host
from tests.api.harness import eventually
from tests.e2e.applications.harness import App, Checkout, config_map
from tests.provider_host import TOKEN

pytestmark = pytest.mark.e2e


async def test_m14_the_host_hears_of_a_commit_once_whatever_happens(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    await app.secret("robot", token=TOKEN)
    with provider_host.serving("github") as host:
        host.broken = (503, {"message": "down for repairs"})
        first = checkout.push({"settings.yaml": config_map("settings", color="blue")})
        told = {"provider": "github", "url": host.url, "secretRef": {"name": "robot"}}
        await app.create(repository.file_url, commitStatus=told)

        async def knows(commit: str, state: str) -> bool:
            return host.told()[-1:] == [(commit, state)]

        async with app.bench.controller(git_cache_dir=tmp_path / "git"):
            await app.runs(first)  # A host that is down holds up nothing.

            async def complains() -> bool:
                return "CommitStatusFailed" in [reason for reason, _ in await app.events()]

            await eventually(complains)
            host.broken = None
            await eventually(lambda: knows(first, "success"))
            bad = checkout.push({"settings.yaml": "kind: ConfigMap\n"})
            await eventually(lambda: knows(bad, "failure"))

        # Nobody has written down that the host knows: as if the controller had been killed then.
        forget = {"status": {"commitStatus": None}}
        await app.kube.merge_patch(
            resources.APPLICATION.ref("shop", app.bench.namespace),
            forget,
            field_manager="tests",
            subresource="status",
        )
        before = host.told()
        async with app.bench.controller(git_cache_dir=tmp_path / "other"):

            async def recorded() -> bool:
                return (await app.status()).get("commitStatus", {}).get("state") == "failure"

            await eventually(recorded)

        assert host.told() == before
        failure = host.statuses[-1]
        assert failure["context"] == f"rollouts/{app.bench.namespace}/shop"
        assert failure["description"].startswith("RenderFailed: ")
        assert next(m for r, m in await app.events() if r == "CommitStatusFailed").count(TOKEN) == 0
