"""Health by expressions of the user's, on a real API server."""

from __future__ import annotations

from pathlib import Path

import pytest

from rollouts import sandbox
from tests.api.harness import eventually
from tests.e2e.applications.harness import App, Checkout, condition, config_map

pytestmark = pytest.mark.e2e


def rule(current: str, failed: str = "") -> list[dict[str, str]]:
    return [{"apiVersion": "v1", "kind": "ConfigMap", "current": current, "failed": failed}]


async def test_a_revision_is_good_when_the_expressions_say_so(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    first = checkout.push({"a.yaml": config_map("a", state="starting")})
    await app.create(repository.file_url, healthCheckExprs=rule("data.state == 'ready'"))

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):

        async def waits() -> bool:
            return "waits for ConfigMap" in condition(await app.status(), "Ready").get("message", "")

        await eventually(waits)
        # the same object by other rules
        await app.patch(
            {"spec": {"healthCheckExprs": rule("data.state == 'starting'", "data.state == 'broken'")}}
        )
        await app.runs(first)

        checkout.push({"a.yaml": config_map("a", state="broken")})
        failed = await app.says("Ready", "False", "RevisionQuarantined")
        assert "failed is true: data.state == 'broken'" in failed["message"]
        assert await app.config("a") == {"state": "starting"}

        await app.patch({"spec": {"healthCheckExprs": rule("data.state ==")}})
        refused = await app.says("Stalled", "True", "InvalidSpec")
        assert refused["message"].startswith("spec.healthCheckExprs[0].current")
