"""What Argo Rollouts does not have, on a real API server with simulated pods."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rollouts.api.meta import POD_TEMPLATE_HASH_LABEL
from rollouts.api.parse import format_timestamp, timestamp
from rollouts.kube.resources import Resource
from tests.api.harness import Bench, Object, eventually, rollout, steps

pytestmark = pytest.mark.api

BUDGET = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")


async def test_a_deployments_recreate_never_runs_two_versions_and_bakes(bench: Bench) -> None:
    subject = rollout(replicas=2, type="Recreate")
    subject["spec"]["bake"] = {"duration": "1s"}
    seen: list[set[str]] = []

    async def versions() -> Object | None:
        pods = await bench.list("Pod")
        seen.append({pod["metadata"]["labels"][POD_TEMPLATE_HASH_LABEL] for pod in pods})
        status = (await bench.get("Rollout", "web"))["status"]
        return status if status["currentRevision"] == 2 and status["phase"] == "Healthy" else None

    async with bench.controller():
        await bench.create(subject)
        first = await bench.reaches("web", "Healthy")
        await bench.set_image("web", "web:2")
        status = await eventually(versions)

    assert max(len(hashes) for hashes in seen) == 1
    assert {frozenset(hashes) for hashes in seen if hashes} <= {
        frozenset({first["status"]["stableRS"]}),
        frozenset({status["stableRS"]}),
    }
    reasons = await bench.events("web")
    assert reasons.index("RolloutBaking") < len(reasons) - 1 - reasons[::-1].index("RolloutCompleted")


async def test_a_pause_runs_out_and_the_next_release_is_promoted_by_git(bench: Bench) -> None:
    canary = steps({"setWeight": 50}, {"pause": {"timeout": "1s", "onTimeout": "abort"}})
    async with bench.controller():
        await bench.create(rollout(replicas=2, **canary))
        await bench.reaches("web", "Healthy")

        await bench.set_image("web", "web:2")
        aborted = await bench.reaches("web", "Degraded")
        promote = {"promote": {"image": "web:3", "full": True}}
        await bench.patch("Rollout", "web", {"spec": promote})
        await bench.set_image("web", "web:3")
        found = await bench.reaches("web", "Healthy")

    why = aborted["status"]["abortReason"]
    assert (why["reason"], why["step"], why["revision"]) == ("PauseTimeout", 1, 2)
    assert found["status"]["declared"] == {"promote": f"{found['status']['currentPodHash']} full"}


async def test_an_eviction_that_a_budget_refuses_is_not_asked_for_again_at_once(bench: Bench) -> None:
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web", "namespace": bench.namespace},
        "spec": {"minAvailable": "100%", "selector": {"matchLabels": {"app": "web"}}},
    }
    async with bench.controller() as requests:
        await bench.create(rollout(replicas=2))
        await bench.reaches("web", "Healthy")
        await bench.kube.create(BUDGET, budget, field_manager="tests")
        pods = await bench.list("Pod")
        newest = max(timestamp(pod["metadata"]["creationTimestamp"], "") for pod in pods)

        async def asked() -> bool:
            return bool(requests.writes("/eviction"))

        at = format_timestamp(newest + timedelta(seconds=1))
        await bench.patch("Rollout", "web", {"spec": {"restartAt": at}})
        await eventually(asked)
        for count in (3, 4):  # time in which a hot loop would ask again and again
            await bench.patch("Rollout", "web", {"spec": {"replicas": count}})
            await bench.reaches("web", "Progressing", readyReplicas=count)
        after = {pod["metadata"]["uid"] for pod in await bench.list("Pod")}

    assert {pod["metadata"]["uid"] for pod in pods} <= after, "nothing is evicted against the budget"
    assert len(requests.writes("/eviction")) <= 12
