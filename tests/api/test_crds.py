"""The definitions on a real API server: what it refuses, what it keeps, and what kubectl shows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from rollouts import sandbox
from rollouts.errors import Rejected
from rollouts.kube import resources
from tests.api.harness import Bench, rollout, steps

pytestmark = pytest.mark.api


async def kubectl(cluster: sandbox.Sandbox, bench: Bench, *words: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(str(cluster.binaries.kubectl), f"--kubeconfig={cluster.kubeconfig}", "-n", bench.namespace, *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


@pytest.mark.parametrize(
    ("strategy", "problem"),
    [
        ({}, "exactly one of canary, blueGreen, rollingUpdate and recreate must be set"),
        (
            {"canary": {}, "blueGreen": {"activeService": "web"}},
            "exactly one of canary, blueGreen, rollingUpdate and recreate",
        ),
        (steps({"setWeight": 20, "pause": {}}), "a step has at most one of"),
        (steps({}), "a step has one of"),
        (steps({"setWeight": 101}), "setWeight is a percentage"),
        (steps({"pause": {"duration": "5 minutes"}}), "spec.strategy.canary.steps[0].pause.duration"),
        ({"canary": {"maxSurge": "a quarter"}}, "spec.strategy.canary.maxSurge"),
        ({"canary": {"steps": "none"}}, "must be of type array"),
        ({"blueGreen": {}}, "spec.strategy.blueGreen.activeService: Required value"),
    ],
)
async def test_what_cannot_be_served_is_refused_with_the_field(
    bench: Bench, strategy: Mapping[str, Any], problem: str
) -> None:
    body = rollout() | {"spec": {**rollout()["spec"], "strategy": strategy}}

    with pytest.raises(Rejected) as refused:
        await bench.create(body)

    assert problem in str(refused.value)


async def test_a_thousand_steps_are_enough(bench: Bench) -> None:
    with pytest.raises(Rejected, match="must have at most 1000 items"):
        await bench.create(rollout(**steps(*[{"setWeight": 1}] * 1001)))


async def test_fields_of_the_pod_template_are_kept_as_they_are(bench: Bench) -> None:
    body = rollout()
    body["spec"]["template"]["spec"]["fieldOfTheFuture"] = {"a": [1, "x"]}

    created = await bench.create(body)

    assert created["spec"]["template"] == body["spec"]["template"]


async def test_a_server_side_apply_with_an_unknown_field_is_refused(bench: Bench) -> None:
    body = rollout()
    body["spec"]["strategie"] = {}
    ref = resources.rollout(bench.group).ref("web", bench.namespace)

    with pytest.raises(Rejected, match="strategie"):
        await bench.kube.apply(ref, body, field_manager="tests")


async def test_replicas_scale(cluster: sandbox.Sandbox, bench: Bench) -> None:
    body = rollout()
    del body["spec"]["replicas"]
    await bench.create(body)

    await kubectl(cluster, bench, "scale", "rollout/web", "--replicas=7")

    assert (await bench.get("Rollout", "web"))["spec"]["replicas"] == 7


async def test_kubectl_answers_where_it_is_and_why_it_stopped(cluster: sandbox.Sandbox, bench: Bench) -> None:
    await bench.create(rollout(**steps({"setWeight": 20})))
    await bench.steer(
        "web",
        phase="Degraded",
        step="1/4",
        message="RolloutAborted: too many errors",
        readyReplicas=3,
        currentRevision=2,
        canary={"weights": {"canary": {"weight": 20}, "stable": {"weight": 80}}},
    )

    header, row = (await kubectl(cluster, bench, "get", "ro")).splitlines()

    assert header.split() == ["NAME", "PHASE", "STEP", "WEIGHT", "READY", "DESIRED", "REV", "AGE", "MESSAGE"]
    assert row.split()[:7] == ["web", "Degraded", "1/4", "20", "3", "3", "2"]
    assert row.endswith("RolloutAborted: too many errors")
    assert header.index("MESSAGE") <= 70


async def test_a_status_holds_known_fields_only(bench: Bench) -> None:
    await bench.create(rollout())

    with pytest.raises(Rejected, match="moood"):
        await bench.steer("web", moood="good")
