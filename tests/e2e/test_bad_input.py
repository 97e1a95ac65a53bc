"""Bad input to Rollouts and AnalysisTemplates: each is answered once, on the object, and nothing else suffers.

All of it comes to one controller at once. At the end a healthy Rollout and a healthy Application beside it
are released, after a crash of the controller, while the bad ones still say what they said.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from tests.api.harness import Object, rollout, service, steps
from tests.e2e import policies
from tests.e2e.together import Scenarios
from tests.e2e.world import HASH, World, Worlds

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

SCENARIOS = Scenarios()
_NOBODY = "http://127.0.0.1:9"
"""An address at which nobody listens."""


@SCENARIOS.add
async def a_wrong_type_is_refused_by_the_api_server(world: World) -> None:
    body = rollout("web")
    body["spec"]["replicas"] = "three"
    answer = await world.applied(body)
    assert answer.code == 1
    assert "spec.replicas" in answer.err
    assert '"string"' in answer.err
    assert await world.list("Rollout") == []


@SCENARIOS.add
async def an_unknown_field_is_refused_by_the_api_server(world: World) -> None:
    body = rollout("web", **steps({"setWeigth": 20}))
    answer = await world.applied(body)
    assert answer.code == 1
    assert "setWeigth" in answer.err
    assert await world.list("Rollout") == []


@SCENARIOS.add
async def a_rollout_without_pod_template_is_refused_by_the_api_server(world: World) -> None:
    body = rollout("web")
    del body["spec"]["template"]
    answer = await world.applied(body)
    assert answer.code == 1
    assert "one of template and workloadRef" in answer.err


@SCENARIOS.add
async def a_missing_analysis_template_is_named(world: World) -> None:
    await _deployed(world, rollout("web", **steps({"setWeight": 50})))
    before = await _pods(world)

    absent = [{"setWeight": 50}, {"analysis": {"templates": [{"templateName": "absent"}]}}]
    await world.patch("Rollout", "web", {"spec": {"strategy": {"canary": {"steps": absent}}}})
    await world.set_image("web", "web:2")

    field = "spec.strategy.canary.steps[1].analysis.templates[0].templateName"
    await _is_invalid(world, "web", f"{field}: Invalid value:", "absent")
    assert await _pods(world) == before
    await world.create(_template("absent", "vector(1)", "result[0] == 1"))
    await world.reaches("web", "Healthy")


@SCENARIOS.add
async def a_selector_that_does_not_match_the_template_is_named(world: World) -> None:
    await _deployed(world, rollout("web"))
    before = await _pods(world)

    await world.patch("Rollout", "web", {"spec": {"template": {"metadata": {"labels": {"app": "shop"}}}}})

    await _is_invalid(world, "web", "spec.selector.matchLabels.app", '"web"', '"shop"', "set spec.template")
    assert await _pods(world) == before


@SCENARIOS.add
async def a_second_rollout_on_a_service_is_told_and_the_first_goes_on(world: World) -> None:
    await world.create(service("web"))
    await _deployed(world, _on_one_service("web"))

    await world.create(_on_one_service("rival"))

    field = "spec.strategy.blueGreen.activeService"
    await _is_invalid(world, "rival", field, '"web"', "Rollout web", "use another Service")
    await world.set_image("web", "web:2")
    released = await world.reaches("web", "Healthy")
    selector = (await world.get("Service", "web"))["spec"]["selector"]
    assert selector == {"app": "web", HASH: released["status"]["stableRS"]}
    assert {s["metadata"]["ownerReferences"][0]["name"] for s in await world.list("ReplicaSet")} == {"web"}


@SCENARIOS.add
async def a_service_that_is_not_there_is_named(world: World) -> None:
    await world.create(rollout("web", canary={"stableService": "stable", "canaryService": "canary"}))
    await _is_invalid(world, "web", "spec.strategy.canary.canaryService", '"canary"', "create the Service")
    assert await _pods(world) == {}


@SCENARIOS.add
async def an_unreachable_prometheus_is_an_error_and_no_failure(world: World) -> None:
    run = await _aborted_by(world, _template("slow", "vector(1)", "result[0] == 1", address=_NOBODY))
    (metric,) = run["status"]["metricResults"]
    assert run["status"]["phase"] == metric["phase"] == "Error"
    assert metric["error"] == metric["consecutiveError"] == 1
    assert "failed" not in metric
    assert "127.0.0.1:9" in metric["measurements"][0]["message"]
    assert "value" not in metric["measurements"][0]


@SCENARIOS.add
async def an_empty_result_that_is_indexed_is_an_error(world: World) -> None:
    run = await _aborted_by(world, _template("empty", "vector(1) > 2", "result[0] == 1"))
    (metric,) = run["status"]["metricResults"]
    assert run["status"]["phase"] == metric["phase"] == "Error"
    assert "result[0]" in metric["measurements"][0]["message"]


@SCENARIOS.add
async def an_empty_result_means_what_the_metric_says(world: World) -> None:
    run = await _aborted_by(world, _template("empty", "vector(1) > 2", "result[0] == 1", onNoData="fail"))
    assert run["status"]["phase"] == "Failed"
    assert "no data" in run["status"]["message"] + run["status"]["metricResults"][0]["message"]


@SCENARIOS.add
async def nan_meets_no_condition(world: World) -> None:
    run = await _aborted_by(world, _template("nan", "vector(0) / vector(0)", "result[0] >= 0.95"))
    assert run["status"]["phase"] == "Failed"
    assert run["status"]["metricResults"][0]["measurements"][0]["value"] == "[NaN]"


@SCENARIOS.add
async def pods_that_admission_denies_are_told_and_stable_stays(world: World) -> None:
    await policies.forbid_images(world, "forbidden")
    await _deployed(world, rollout("web"))
    before = await _pods(world)

    await world.set_image("web", "forbidden:2")

    await _is_invalid(world, "web", "spec.template", "images named forbidden are not for this namespace")
    assert await _pods(world) == before
    await world.set_image("web", "web:3")
    await world.reaches("web", "Healthy")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("scenario", SCENARIOS.known)
async def test_bad_input(scenario: str, scenarios: Mapping[str, asyncio.Task[None]]) -> None:
    await scenarios[scenario]


@pytest.mark.asyncio(loop_scope="module")
async def test_beside_all_that_a_healthy_rollout_is_released(
    shared_worlds: Worlds, scenarios: Mapping[str, asyncio.Task[None]]
) -> None:
    await asyncio.wait(scenarios.values())
    bad = [world for worlds in shared_worlds.made.values() for world in worlds]
    said = [await _conditions(world) for world in bad]
    healthy = await shared_worlds.new("neighbour")
    await healthy.create(_template("fine", "vector(1)", "result[0] == 1"))
    analysis = {"analysis": {"templates": [{"templateName": "fine"}]}}
    await _deployed(healthy, rollout("web", **steps({"setWeight": 50}, analysis)))

    await healthy.crash()
    await healthy.set_image("web", "web:2")
    await healthy.reaches("web", "Healthy")

    assert [await _conditions(world) for world in bad] == said
    assert [fact for world in bad for fact in await world.told_twice()] == []
    assert "bug in the controller" not in healthy.log


async def _deployed(world: World, body: Object) -> None:
    await world.create(body)
    await world.reaches(body["metadata"]["name"], "Healthy")


def _on_one_service(name: str) -> Object:
    body = rollout(name, blueGreen={"activeService": "web"})
    body["spec"]["selector"] = {"matchLabels": {"app": "web"}}
    body["spec"]["template"]["metadata"]["labels"] = {"app": "web"}
    return body


async def _pods(world: World) -> Mapping[str, int]:
    """Names of the ReplicaSets and how many pods they should have."""
    return {s["metadata"]["uid"]: s["spec"]["replicas"] for s in await world.list("ReplicaSet")}


async def _is_invalid(world: World, name: str, *words: str) -> None:
    """Degraded, with one condition and one event that say the words."""
    found = await world.reaches(name, "Degraded")
    (condition,) = (c for c in found["status"]["conditions"] if c["type"] == "InvalidSpec")
    assert (condition["status"], condition["reason"]) == ("True", "InvalidSpec")
    for word in words:
        assert word in condition["message"]
    assert found["status"]["message"] == f"InvalidSpec: {condition['message']}"
    told = [event for event in await world.told(name) if event.startswith("InvalidSpec: ")]
    assert told == [f"InvalidSpec: {condition['message']}"]


async def _aborted_by(world: World, template: Object) -> Object:
    """The AnalysisRun of a release that this template ends; users are served by stable."""
    name = template["metadata"]["name"]
    await world.create(template)
    analysis = {"analysis": {"templates": [{"templateName": name}]}}
    await _deployed(world, rollout("web", **steps({"setWeight": 50}, analysis)))
    stable = (await world.get("Rollout", "web"))["status"]["stableRS"]

    await world.set_image("web", "web:2")
    found = await world.reaches("web", "Degraded", abort=True)

    (run,) = await world.list("AnalysisRun")
    reason = found["status"]["abortReason"]
    verdict = {"Error": "AnalysisError", "Failed": "AnalysisFailed"}[run["status"]["phase"]]
    assert (reason["reason"], reason["metric"]) == (verdict, name)
    assert found["status"]["stableRS"] == stable
    told = Counter(event.partition(":")[0] for event in await world.told("web"))
    assert (told["RolloutAborted"], told[f"AnalysisRun{run['status']['phase']}"]) == (1, 1)
    return run


def _template(name: str, query: str, success: str, *, address: str = "", **metric: Any) -> Object:
    prometheus = {"query": query, **({"address": address} if address else {})}
    measured = {
        "name": name,
        "successCondition": success,
        "consecutiveErrorLimit": 0,
        "provider": {"prometheus": prometheus},
        **metric,
    }
    return {
        "apiVersion": "rollouts.dev/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": name},
        "spec": {"metrics": [measured]},
    }


async def _conditions(world: World) -> list[Any]:
    return [r.get("status", {}).get("conditions") for r in await world.list("Rollout")]
