"""AnalysisRuns on a real API server, measured by a server that answers as Prometheus does."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from tests.api.harness import Bench, Object, eventually, rollout, steps

pytestmark = pytest.mark.api


@dataclass(slots=True)
class Measured:
    """Answers every query with `value`; `None`: no data; `hold`: not before it is set."""

    value: str | None = "1"
    url: str = ""
    queries: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    hold: asyncio.Event | None = None

    async def answer(self, request: web.Request) -> web.Response:
        parameters = {**request.query, **(await request.post())}
        self.queries.append(str(parameters.get("query")))
        self.tokens.append(request.headers.get("Authorization", ""))
        if self.hold:
            await self.hold.wait()
        result = [] if self.value is None else [{"metric": {}, "value": [0, self.value]}]
        body = {"status": "success", "data": {"resultType": "vector", "result": result}}
        response = web.Response(text=json.dumps(body), content_type="application/json")
        # kopf waits at its end for every task that began meanwhile, also for our side of an open connection.
        response.force_close()
        return response


@pytest.fixture
async def prometheus() -> AsyncIterator[Measured]:
    measured = Measured()
    app = web.Application()
    app.router.add_route("*", "/api/v1/query", measured.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    measured.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield measured
    await runner.cleanup()


def metric(name: str = "success-rate", **extra: object) -> Object:
    provider = {"prometheus": {"query": "success_rate"}}
    return {"name": name, "successCondition": "result[0] >= 0.95", "provider": provider, **extra}


def template(name: str, *metrics: Object, **spec: object) -> Object:
    return {
        "apiVersion": "rollouts.dev/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": name},
        "spec": {"metrics": list(metrics) or [metric()], **spec},
    }


def run(name: str, *metrics: Object, **spec: object) -> Object:
    return {**template(name, *metrics, **spec), "kind": "AnalysisRun"}


def analysis(name: str) -> Object:
    return {"analysis": {"templates": [{"templateName": name}]}}


async def test_a_run_that_nobody_owns_is_measured(bench: Bench, prometheus: Measured) -> None:
    async with bench.controller(prometheus_address=prometheus.url):
        await bench.create(run("smoke", metric(count=2, interval="1s")))
        status = (await bench.ends("AnalysisRun", "smoke", "Successful"))["status"]

    (result,) = status["metricResults"]
    assert (result["count"], result["successful"]) == (2, 2)
    assert [m["value"] for m in result["measurements"]] == ["[1]", "[1]"]
    assert status["runSummary"] == {"count": 1, "successful": 1}
    assert prometheus.queries == ["success_rate", "success_rate"]


async def test_a_step_waits_for_its_analysis_and_goes_on_when_it_is_successful(
    bench: Bench, prometheus: Measured
) -> None:
    prometheus.hold = asyncio.Event()
    async with bench.controller(prometheus_address=prometheus.url):
        await bench.create(template("success-rate"))
        await bench.create(rollout(replicas=2, **steps({"setWeight": 50}, analysis("success-rate"))))
        await bench.reaches("web", "Healthy")
        assert await bench.list("AnalysisRun") == []

        await bench.set_image("web", "web:2")
        await eventually(lambda: _runs(bench))
        assert await bench.replicas("web") == {"1": 1, "2": 1}
        prometheus.hold.set()
        await bench.reaches("web", "Healthy")

    (found,) = await bench.list("AnalysisRun")
    assert found["metadata"]["labels"]["rollout-type"] == "Step"
    assert found["metadata"]["ownerReferences"][0]["kind"] == "Rollout"
    assert found["status"]["phase"] == "Successful"


async def test_a_failed_analysis_aborts_and_says_which_metric_and_value(
    bench: Bench, prometheus: Measured
) -> None:
    prometheus.value = "0.8"
    async with bench.controller(prometheus_address=prometheus.url):
        await bench.create(template("success-rate"))
        await bench.create(rollout(replicas=2, **steps({"setWeight": 50}, analysis("success-rate"))))
        await bench.reaches("web", "Healthy")
        await bench.set_image("web", "web:2")
        found = await bench.reaches("web", "Degraded")
        await eventually(lambda: _are(bench, {"1": 2, "2": 0}))
        told = await bench.events("web")

    reason = found["status"]["abortReason"]
    assert (reason["reason"], reason["metric"]) == ("AnalysisFailed", "success-rate")
    assert "0.8" in reason["value"]
    assert reason["threshold"] == "result[0] >= 0.95"
    assert told.count("AnalysisRunFailed") == told.count("RolloutAborted") == 1


async def test_an_abort_does_not_wait_for_a_measurement_that_hangs(
    bench: Bench, prometheus: Measured
) -> None:
    prometheus.hold = asyncio.Event()
    async with bench.controller(prometheus_address=prometheus.url):
        await bench.create(template("success-rate"))
        await bench.create(rollout(replicas=2, **steps({"setWeight": 50}, analysis("success-rate"))))
        await bench.reaches("web", "Healthy")
        await bench.set_image("web", "web:2")
        await eventually(lambda: _asked(prometheus))

        await bench.steer("web", abort=True)
        await bench.reaches("web", "Degraded")
        await eventually(lambda: _are(bench, {"1": 2, "2": 0}))
        prometheus.hold.set()


async def test_an_unreachable_provider_is_an_error_not_a_failure(bench: Bench) -> None:
    async with bench.controller(prometheus_address="http://127.0.0.1:1"):
        await bench.create(run("smoke", metric(consecutiveErrorLimit=0)))
        status = (await bench.ends("AnalysisRun", "smoke", "Error"))["status"]

    assert status["metricResults"][0]["error"] == 1
    assert "127.0.0.1" in status["metricResults"][0]["measurements"][0]["message"]


async def test_a_run_can_be_terminated(bench: Bench, prometheus: Measured) -> None:
    async with bench.controller(prometheus_address=prometheus.url):
        await bench.create(run("endless", metric(interval="1s")))
        await eventually(lambda: _asked(prometheus))

        await bench.patch("AnalysisRun", "endless", {"spec": {"terminate": True}})
        status = (await bench.ends("AnalysisRun", "endless", "Successful"))["status"]

    assert status["message"] == "Run Terminated"


async def test_a_secret_is_used_and_shown_nowhere(
    bench: Bench, prometheus: Measured, caplog: pytest.LogCaptureFixture
) -> None:
    header = {"key": "Authorization", "value": "Bearer {{args.token}}"}
    provider = {"prometheus": {"query": "up", "headers": [header]}}
    secret_condition = "result[0] >= 2 and '{{args.token}}' != ''"
    args = [{"name": "token", "valueFrom": {"secretKeyRef": {"name": "prometheus", "key": "token"}}}]
    async with bench.controller(prometheus_address=prometheus.url):
        await bench.create(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "prometheus"},
                "data": {"token": base64.b64encode(b"s3cr3t-t0k3n").decode()},
            }
        )
        await bench.create(
            run("private", metric(provider=provider, successCondition=secret_condition), args=args)
        )
        found = await bench.ends("AnalysisRun", "private", "Failed")
        shown = json.dumps([found, *await bench.list("Event")])

    assert prometheus.tokens == ["Bearer s3cr3t-t0k3n"]
    assert "s3cr3t-t0k3n" not in shown
    assert "s3cr3t-t0k3n" not in caplog.text


async def test_a_missing_secret_is_named(bench: Bench, prometheus: Measured) -> None:
    args = [{"name": "token", "valueFrom": {"secretKeyRef": {"name": "absent", "key": "token"}}}]
    async with bench.controller(prometheus_address=prometheus.url):
        await bench.create(run("private", args=args))
        status = (await bench.ends("AnalysisRun", "private", "Error"))["status"]

    assert "absent does not exist" in status["message"]
    assert prometheus.queries == []


async def test_a_condition_that_cannot_be_parsed_is_told_before_anything_is_measured(
    bench: Bench, prometheus: Measured
) -> None:
    async with bench.controller(prometheus_address=prometheus.url):
        await bench.create(run("typo", metric(successCondition="result[0] >>= 1")))
        status = (await bench.ends("AnalysisRun", "typo", "Error"))["status"]

    assert "successCondition" in status["message"]
    assert prometheus.queries == []


async def test_a_finished_run_is_deleted_when_its_time_has_come(bench: Bench, prometheus: Measured) -> None:
    async with bench.controller(prometheus_address=prometheus.url):
        await bench.create(run("short-lived", ttlStrategy={"secondsAfterCompletion": 1}))
        await bench.create(run("kept", ttlStrategy={"secondsAfterFailure": 1}))
        await bench.ends("AnalysisRun", "kept", "Successful")
        await eventually(lambda: _is_gone(bench, "short-lived"))

    assert await bench.find("AnalysisRun", "kept")


async def test_a_restart_counts_no_measurement_twice(bench: Bench, prometheus: Measured) -> None:
    async with bench.controller(prometheus_address=prometheus.url):
        await bench.create(run("long", metric(count=4, interval="1s")))
        await bench.becomes("AnalysisRun", "long", lambda found: _has_counted(found, 2))
    async with bench.controller(prometheus_address=prometheus.url):
        status = (await bench.ends("AnalysisRun", "long", "Successful"))["status"]

    (result,) = status["metricResults"]
    assert result["count"] == len(result["measurements"]) == 4


async def test_a_hung_measurement_delays_no_other_run(bench: Bench, prometheus: Measured) -> None:
    prometheus.hold = asyncio.Event()
    async with bench.controller(prometheus_address=prometheus.url, workers=1):
        await bench.create(run("hung"))
        await eventually(lambda: _asked(prometheus))
        await bench.create(run("typo", metric(successCondition="(")))
        await bench.ends("AnalysisRun", "typo", "Error")
        prometheus.hold.set()
        await bench.ends("AnalysisRun", "hung", "Successful")


async def _runs(bench: Bench) -> list[Object]:
    return await bench.list("AnalysisRun")


async def _asked(prometheus: Measured) -> bool:
    return bool(prometheus.queries)


async def _are(bench: Bench, replicas: dict[str, int]) -> bool:
    return await bench.replicas("web") == replicas


async def _is_gone(bench: Bench, name: str) -> bool:
    return await bench.find("AnalysisRun", name) is None


def _has_counted(run: Object, count: int) -> bool:
    results = run.get("status", {}).get("metricResults", [])
    return bool(results) and results[0].get("count", 0) >= count
