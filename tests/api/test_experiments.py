"""Experiments on a real API server, with analyses and Services, measured as Prometheus would answer."""

from __future__ import annotations

import asyncio

import pytest

from tests.api.harness import Bench, Object, eventually, rollout, steps
from tests.api.test_analysis import Measured, metric, template
from tests.api.test_analysis import prometheus as prometheus  # noqa: PLC0414 - the fixture

pytestmark = pytest.mark.api


def experiment(name: str, *templates: Object, **spec: object) -> Object:
    return {
        "apiVersion": "rollouts.dev/v1alpha1",
        "kind": "Experiment",
        "metadata": {"name": name},
        "spec": {"templates": list(templates), "scaleDownDelaySeconds": 0, **spec},
    }


def pods(name: str, image: str = "web:1", **fields: object) -> Object:
    container = {"name": "main", "image": image, "ports": [{"containerPort": 8080}]}
    labels = {"app": f"exp-{name}"}
    return {
        "name": name,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        **fields,
    }


async def sizes(bench: Bench) -> dict[str, int]:
    return {s["metadata"]["name"]: s["spec"]["replicas"] for s in await bench.list("ReplicaSet")}


async def test_an_experiment_runs_its_pods_and_analyses_and_cleans_up(
    bench: Bench, prometheus: Measured
) -> None:
    prometheus.hold = asyncio.Event()
    args = [{"name": "hash", "value": "{{templates.canary.podTemplateHash}}"}]
    analyses = [
        {"name": "compare", "templateName": "rate", "args": args, "requiredForCompletion": True},
    ]
    async with bench.controller(prometheus_address=prometheus.url):
        await bench.create(template("rate", args=[{"name": "hash"}]))
        await bench.create(
            experiment(
                "compare",
                pods("baseline", replicas=2, service={}),
                pods("canary", "web:2", service={"name": "exp-canary"}),
                analyses=analyses,
            )
        )
        await bench.ends("Experiment", "compare", "Running")
        await eventually(lambda: bench.find("AnalysisRun", "compare-compare"))
        assert await sizes(bench) == {"compare-baseline": 2, "compare-canary": 1}
        service = await bench.get("Service", "exp-canary")
        running = await bench.get("Experiment", "compare")
        prometheus.hold.set()
        status = (await bench.ends("Experiment", "compare", "Successful"))["status"]

        async def gone() -> bool:
            services = [s["metadata"]["name"] for s in await bench.list("Service")]
            return set((await sizes(bench)).values()) == {0} and not services

        await eventually(gone)
        run = await bench.get("AnalysisRun", "compare-compare")

    assert service["spec"]["selector"]["app"] == "exp-canary"
    assert service["metadata"]["annotations"]["experiment.rollouts.dev/template-name"] == "canary"
    assert run["metadata"]["ownerReferences"][0]["kind"] == "Experiment"
    (templates,) = [t for t in running["status"]["templateStatuses"] if t["name"] == "canary"]
    assert run["spec"]["args"] == [{"name": "hash", "value": templates["podTemplateHash"]}]
    assert templates["serviceName"] == "exp-canary"
    assert status["message"] == "Required AnalysisRuns completed"
    assert [t["status"] for t in status["templateStatuses"]] == ["Successful", "Successful"]


async def test_a_failed_analysis_fails_the_experiment_and_a_retry_runs_it_again(
    bench: Bench, prometheus: Measured
) -> None:
    prometheus.value = "0"
    analyses = [{"name": "rate", "templateName": "rate", "requiredForCompletion": True}]
    async with bench.controller(prometheus_address=prometheus.url):
        await bench.create(template("rate", metric()))
        await bench.create(experiment("web", pods("only"), analyses=analyses))
        failed = await bench.ends("Experiment", "web", "Failed")
        assert failed["status"]["analysisRuns"][0]["phase"] == "Failed"
        await eventually(lambda: _is_empty(bench))

        prometheus.value = "1"
        await bench.patch("Experiment", "web", {"status": None}, subresource="status")

        def is_successful(found: Object) -> bool:
            return bool(found.get("status", {}).get("phase") == "Successful")

        again = await bench.becomes("Experiment", "web", is_successful)

    assert again["status"]["analysisRuns"][0]["analysisRun"] == "web-rate.1"


async def _is_empty(bench: Bench) -> bool:
    return set((await sizes(bench)).values()) == {0}


async def test_an_experiment_is_terminated_and_then_is_quiet(bench: Bench) -> None:
    async with bench.controller() as requests:
        await bench.create(experiment("web", pods("only"), duration="1h"))
        await bench.ends("Experiment", "web", "Running")
        await bench.patch("Experiment", "web", {"spec": {"terminate": True}})
        await bench.ends("Experiment", "web", "Successful")
        await eventually(lambda: _is_empty(bench))

        def is_counted(found: Object) -> bool:
            return bool(found["status"]["templateStatuses"][0]["replicas"] == 0)

        await bench.becomes("Experiment", "web", is_counted)
        before = len(requests.writes())
        await bench.patch("Experiment", "web", {"metadata": {"labels": {"seen": "twice"}}})
        await bench.create(experiment("bad", pods("only", selector={"matchLabels": {"app": "no"}})))

        def is_refused(found: Object) -> bool:
            conditions = found.get("status", {}).get("conditions") or ()
            return [c["reason"] for c in conditions] == ["InvalidSpec"]

        await bench.becomes("Experiment", "bad", is_refused)
        assert [w for w in requests.writes()[before:] if "experiments/web" in w] == []


def experiment_step(**fields: object) -> Object:
    sides = [
        {"name": "baseline", "specRef": "stable", "metadata": {"labels": {"side": "baseline"}}},
        {"name": "canary", "specRef": "canary", "metadata": {"labels": {"side": "canary"}}, "service": {}},
    ]
    return {"experiment": {"templates": sides, "scaleDownDelaySeconds": 0, **fields}}


async def updating(bench: Bench, *steps_: Object) -> None:
    """web:2 is on its way, and stands at its experiment."""
    made = rollout(replicas=2, **steps({"setWeight": 50}, *steps_))
    made["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 80}]
    await bench.create(made)
    await bench.reaches("web", "Healthy")
    await bench.set_image("web", "web:2")

    async def conducted() -> list[Object]:
        return await bench.list("Experiment")

    await eventually(conducted)


async def test_a_step_runs_both_sides_and_goes_on_when_its_experiment_is_successful(bench: Bench) -> None:
    async with bench.controller():
        await updating(bench, experiment_step(duration="1s"), {"pause": {}})
        (made,) = await bench.list("Experiment")
        found = await bench.reaches("web", "Paused")

        async def gone() -> bool:
            sets = await sizes(bench)
            left = [name for name in sets if name.startswith(made["metadata"]["name"])]
            return [sets[name] for name in left] == [0, 0] and not await bench.list("Service")

        await eventually(gone)

    images = {t["name"]: t["template"]["spec"]["containers"][0]["image"] for t in made["spec"]["templates"]}
    assert images == {"baseline": "web:1", "canary": "web:2"}
    selectors = [t["selector"]["matchLabels"] for t in made["spec"]["templates"]]
    assert selectors == [{"app": "web", "side": "baseline"}, {"app": "web", "side": "canary"}]
    assert made["metadata"]["ownerReferences"][0]["kind"] == "Rollout"
    assert made["metadata"]["annotations"] == {"rollout.rollouts.dev/revision": "2"}
    assert found["status"]["currentStepIndex"] == 2
    assert "ExperimentCreated" in await bench.events("web")


@pytest.mark.parametrize(("value", "phase"), [("0", "Degraded"), ("0.5", "Paused")])
async def test_an_experiment_that_fails_aborts_and_one_in_doubt_waits(
    bench: Bench, prometheus: Measured, value: str, phase: str
) -> None:
    prometheus.value = value
    analyses = [{"name": "rate", "templateName": "rate", "requiredForCompletion": True}]
    async with bench.controller(prometheus_address=prometheus.url):
        await bench.create(template("rate", metric(failureCondition="result[0] < 0.3")))
        await updating(bench, experiment_step(analyses=analyses))
        status = (await bench.reaches("web", phase))["status"]

    if phase == "Paused":
        assert [p["reason"] for p in status["pauseConditions"]] == ["InconclusiveExperiment"]
    else:
        assert status["abortReason"]["reason"] == "ExperimentFailed"
        assert status["abortReason"]["experiment"].endswith("-2-1")


async def test_an_experiment_is_terminated_by_an_abort(bench: Bench) -> None:
    async with bench.controller():
        await updating(bench, experiment_step())
        (made,) = await bench.list("Experiment")
        name = made["metadata"]["name"]
        await bench.ends("Experiment", name, "Running")
        await bench.steer("web", abort=True)
        await bench.ends("Experiment", name, "Successful")
        await bench.reaches("web", "Degraded")
        assert (await bench.get("Experiment", name))["spec"]["terminate"] is True
