"""ignoreDifferences on a real API server: kubectl, an autoscaler and a sync side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from rollouts import sandbox
from rollouts.kube import resources
from tests.api.harness import eventually
from tests.e2e.applications.harness import App, Checkout

pytestmark = pytest.mark.e2e


def deployment(replicas: int, label: str) -> str:
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, labels: {{release: {label!r}}}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: web, image: 'web:1'}}]}}
"""


async def test_an_ignored_field_is_neither_healed_nor_reset_by_the_next_commit(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    rule = {"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}
    await app.create(repository.file_url, ignoreDifferences=[rule])
    first = checkout.push({"web.yaml": deployment(1, "one")})
    ref = resources.DEPLOYMENT.ref("web", app.bench.namespace)

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(first)
        await app.kube.merge_patch(ref, {"spec": {"replicas": 2}}, field_manager="kubectl-edit")
        second = checkout.push({"web.yaml": deployment(1, "two")})
        await app.runs(second)
        scaled = await app.kube.get(ref)
        # What is not ignored is still put right.
        await app.kube.merge_patch(
            ref, {"metadata": {"labels": {"release": "x"}}}, field_manager="kubectl-edit"
        )

        async def healed() -> bool:
            return bool((await app.kube.get(ref))["metadata"]["labels"]["release"] == "two")

        await eventually(healed)
        after = await app.kube.get(ref)

    assert scaled["spec"]["replicas"] == 2
    assert scaled["metadata"]["labels"]["release"] == "two"
    assert after["spec"]["replicas"] == 2
