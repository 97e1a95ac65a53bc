"""spec.workloadRef on a real API server: a Deployment becomes a Rollout without a pod missing."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from rollouts.kube import resources
from tests.api.harness import Bench, Object, rollout, steps

pytestmark = pytest.mark.api

GENERATION = "rollout.rollouts.dev/workload-generation"


def deployment(name: str = "web", *, replicas: int = 2, image: str = "web:1") -> Object:
    made = rollout(name, replicas=replicas, image=image)
    spec = {k: v for k, v in made["spec"].items() if k != "strategy"}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def referring(*, scale_down: str, **strategy: Any) -> Object:
    made = rollout(replicas=2, **strategy)
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "scaleDown": scale_down}
    spec = {k: v for k, v in made["spec"].items() if k not in ("template", "selector")}
    return {**made, "spec": {**spec, "workloadRef": ref}}


async def test_a_rollout_takes_template_and_pods_over_from_a_deployment(bench: Bench) -> None:
    async with bench.controller() as requests:
        await bench.create(referring(scale_down="progressively", **steps({"setWeight": 50}, {"pause": {}})))
        refused = await bench.reaches("web", "Degraded")
        assert "spec.workloadRef.name" in refused["status"]["message"]
        assert "Deployment not found" in refused["status"]["message"]

        await bench.create(deployment())
        await bench.reaches("web", "Healthy")
        await bench.becomes("Deployment", "web", lambda found: found["spec"]["replicas"] == 0)

        containers = [{"name": "main", "image": "web:2"}]
        patch = {"spec": {"template": {"spec": {"containers": containers}}}}
        changed = await bench.patch("Deployment", "web", patch)
        generation = str(changed["metadata"]["generation"])
        found = await bench.reaches("web", "Paused", workloadObservedGeneration=generation)
        assert found["metadata"]["annotations"][GENERATION] == generation
        assert found["spec"].get("template") is None
        assert (await bench.get("Deployment", "web"))["spec"]["replicas"] == 0
        assert not [p for m, p in requests.seen if m == "GET" and "deployments?" in p and "limit=500" in p]


async def test_undo_gives_the_deployment_its_earlier_template(bench: Bench) -> None:
    import asyncio

    async with bench.controller():
        await bench.create(deployment())
        await bench.create(referring(scale_down="never"))
        await bench.reaches("web", "Healthy")
        await bench.patch(
            "Deployment",
            "web",
            {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "web:2"}]}}}},
        )
        await bench.reaches("web", "Healthy", currentRevision=2)
        where = ("-n", bench.namespace, "--kubeconfig", str(bench.kubeconfig))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "rollouts", *where, "undo", "web"
        )
        assert await process.wait() == 0
        await bench.reaches("web", "Healthy", currentRevision=3)

    found = await bench.kube.get(resources.DEPLOYMENT.ref("web", bench.namespace))
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "web:1"
    assert found["spec"]["replicas"] == 2
