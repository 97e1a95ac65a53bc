"""Analyses on a real API server when providers misbehave, when data is missing, and when metrics are Jobs."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from rollouts.kube import resources
from tests.api.harness import Bench, Object, analysis_run, eventually

pytestmark = pytest.mark.api


@dataclass(slots=True)
class Prometheus:
    """Answers each query with what it was told; `trouble` comes first, once each."""

    values: dict[str, list[str]] = field(default_factory=dict)
    trouble: list[web.Response | str] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    url: str = ""
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        query = str(request.query.get("query"))
        self.queries.append(query)
        self.keys.extend(filter(None, [request.headers.get("DD-API-KEY")]))
        if self.trouble:
            trouble = self.trouble.pop(0)
            if isinstance(trouble, web.Response):
                return trouble
            await self.released.wait()
        found = self.values.get(re.sub(r"\[\d+s\]", "", query), [])
        result = [{"metric": {}, "value": [0, value]} for value in found]
        body = {"status": "success", "data": {"resultType": "vector", "result": result}}
        return web.json_response(body)


@pytest.fixture
async def prometheus() -> AsyncIterator[Prometheus]:
    server = Prometheus()
    app = web.Application()
    app.router.add_get("/api/v1/query", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    server.released.set()
    await runner.cleanup()


def measured(name: str = "errors", query: str = "errors", **fields: Any) -> Object:
    spec = {"name": name, "interval": "1s", "provider": {"prometheus": {"query": query}}}
    return {**spec, "successCondition": "result[0] < 0.05", **fields}


async def ended(bench: Bench, name: str) -> Object:
    return await bench.becomes("AnalysisRun", name, lambda run: "completedAt" in run.get("status", {}))


async def counted(bench: Bench, name: str, at_least: int, field_name: str = "count") -> Object:
    def there(run: Object) -> bool:
        results = run.get("status", {}).get("metricResults", ())
        return bool(results) and results[0].get(field_name, 0) >= at_least

    found = await bench.becomes("AnalysisRun", name, there)
    return dict(found["status"]["metricResults"][0])


HUGE = web.Response(body=b" " * (8 * 1024 * 1024 + 1), content_type="application/json")
TROUBLE = [
    (web.Response(status=500), "answers HTTP 500"),
    (web.Response(status=401), "refuses the credentials: HTTP 401"),
    (web.Response(text="<html>"), "is not that of a Prometheus query API"),
    (HUGE, "the answer is longer than 8388608 bytes"),
]


@pytest.mark.parametrize(("trouble", "problem"), TROUBLE)
async def test_trouble_is_an_error_that_is_told_and_passes(
    bench: Bench, prometheus: Prometheus, trouble: web.Response, problem: str
) -> None:
    prometheus.values, prometheus.trouble = {"errors": ["0.01"]}, [trouble]
    async with bench.controller(prometheus_address=prometheus.url):
        await bench.create(analysis_run("troubled", measured(count=2)))
        found = (await ended(bench, "troubled"))["status"]

    (result,) = found["metricResults"]
    assert (found["phase"], result["count"], result["error"]) == ("Successful", 2, 1)
    assert problem in result["measurements"][0]["message"]


async def test_a_slow_answer_is_given_up_and_asked_for_again(bench: Bench, prometheus: Prometheus) -> None:
    prometheus.values, prometheus.trouble = {"errors": ["0.01"]}, ["hang"]
    slow = measured(count=1, provider={"prometheus": {"query": "errors", "timeout": 1}})
    async with bench.controller(prometheus_address=prometheus.url):
        await bench.create(analysis_run("slow", slow))
        found = (await ended(bench, "slow"))["status"]

    (result,) = found["metricResults"]
    assert (found["phase"], result["count"], result["error"]) == ("Successful", 1, 1)
    assert "no answer from" in result["measurements"][0]["message"]


async def test_no_data_is_waited_for_and_then_inconclusive(bench: Bench, prometheus: Prometheus) -> None:
    async with bench.controller(prometheus_address=prometheus.url):
        await bench.create(analysis_run("nothing", measured(count=3, onNoData="retry", noDataLimit=2)))
        found = (await ended(bench, "nothing"))["status"]

    (result,) = found["metricResults"]
    assert (found["phase"], result.get("count", 0), result["consecutiveNoData"]) == ("Inconclusive", 0, 3)
    assert "consecutiveNoData (3) > noDataLimit (2): the provider returned no data" in found["message"]
    assert {m["phase"] for m in result["measurements"]} == {"Pending"}


async def test_low_traffic_waits_for_evidence(bench: Bench, prometheus: Prometheus) -> None:
    prometheus.values = {"errors": ["1"], "requests": ["3"]}
    async with bench.controller(prometheus_address=prometheus.url):
        await bench.create(analysis_run("low", measured(count=1, minSamples=100, samplesQuery="requests")))
        waiting = await counted(bench, "low", 2, "consecutiveNoData")
        assert waiting["phase"] == "Running"
        prometheus.values = {"errors": ["0.01"], "requests": ["100"]}
        found = (await ended(bench, "low"))["status"]

    assert found["phase"] == "Successful"


def compared(**fields: Any) -> Object:
    window = "[{{comparison.window}}]"
    return {
        "name": "errors",
        "interval": "1s",
        "count": 50,
        "provider": {"prometheus": {"query": f"bad{window} {{{{comparison.variant}}}}"}},
        "comparison": {
            "canary": "new",
            "control": "old",
            "totalQuery": f"all{window} {{{{comparison.variant}}}}",
        },
        **fields,
    }


def totals(looks: int, canary: int, control: int = 4) -> dict[str, list[str]]:
    """So many looks of 100 and 400 requests."""
    return {
        "bad new": [str(looks * canary)],
        "all new": [str(looks * 100)],
        "bad old": [str(looks * control)],
        "all old": [str(looks * 400)],
    }


async def test_a_comparison_goes_on_where_it_was_after_a_restart(
    bench: Bench, prometheus: Prometheus
) -> None:
    prometheus.values = totals(1, canary=4)
    async with bench.controller(prometheus_address=prometheus.url):
        await bench.create(analysis_run("compared", compared()))
        before = await counted(bench, "compared", 1)
    assert "evidence" in before["measurements"][-1]["metadata"]

    prometheus.values = totals(2, canary=12)
    async with bench.controller(prometheus_address=prometheus.url):
        found = (await ended(bench, "compared"))["status"]

    (result,) = found["metricResults"]
    assert found["phase"] == "Failed"
    assert "canary is worse by" in found["message"]
    assert "canary 24 of 200 (12 %), control 8 of 800 (1 %)" in found["message"]
    looks = [
        json.loads(m["metadata"]["evidence"])[0]
        for m in result["measurements"]
        if "evidence" in m["metadata"]
    ]
    assert looks == [result["count"]]  # none was lost, none was repeated
    assert result["metadata"]["ResolvedPrometheusQuery"].startswith("bad[")


def job(**spec: Any) -> Object:
    pod = {"restartPolicy": "Never", "containers": [{"name": "test", "image": "smoke:1"}]}
    body = {"backoffLimit": 0, "template": {"spec": {**pod, **spec.pop("pod", {})}}, **spec}
    return {"name": "smoke", "provider": {"job": {"metadata": {"labels": {"team": "shop"}}, "spec": body}}}


NOWHERE = {"nodeSelector": {"nobody": "has-this"}}


async def the_job(bench: Bench) -> Object | None:
    found = (await bench.kube.list(resources.JOB, bench.namespace)).items
    return found[0] if found else None


async def test_a_job_that_completes_is_a_success(bench: Bench) -> None:
    async with bench.controller():
        await bench.create(analysis_run("job", {**job(), "count": 2, "interval": "1s"}))
        found = await ended(bench, "job")

    assert found["status"]["phase"] == "Successful"
    names = [m["metadata"]["job-name"] for m in found["status"]["metricResults"][0]["measurements"]]
    uid = found["metadata"]["uid"]
    assert names == [f"{uid}.smoke.1", f"{uid}.smoke.2"]
    made = await the_job(bench)
    assert made is not None
    assert made["metadata"]["labels"]["team"] == "shop"
    assert made["metadata"]["ownerReferences"][0]["uid"] == uid


async def test_a_job_past_its_deadline_has_failed(bench: Bench) -> None:
    async with bench.controller():
        await bench.create(analysis_run("late", job(activeDeadlineSeconds=1, pod=NOWHERE)))
        found = (await ended(bench, "late"))["status"]

    assert found["phase"] == "Failed"
    assert "DeadlineExceeded" in found["message"]


async def test_an_image_that_does_not_come_is_inconclusive(bench: Bench) -> None:
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    status = {"name": "test", "ready": False, "restartCount": 0, "image": "smoke:1", "imageID": ""}
    async with bench.controller():
        await bench.create(analysis_run("image", job(pod=NOWHERE)))
        pod = await eventually(lambda: _first_pod(bench))
        body = {"status": {"containerStatuses": [{**status, "state": {"waiting": waiting}}]}}
        await bench.patch("Pod", pod["metadata"]["name"], body, subresource="status")
        found = (await ended(bench, "image"))["status"]

    assert found["phase"] == "Inconclusive"
    assert "container test: ImagePullBackOff: no such image" in found["message"]


async def _first_pod(bench: Bench) -> Object | None:
    found = await bench.list("Pod")
    return found[0] if found else None


async def test_a_restart_starts_no_second_job_and_a_terminated_run_leaves_none(bench: Bench) -> None:
    async with bench.controller():
        await bench.create(analysis_run("held", job(pod=NOWHERE)))
        first = await eventually(lambda: the_job(bench))
    async with bench.controller():
        await bench.becomes("AnalysisRun", "held", _is_running)
        jobs = (await bench.kube.list(resources.JOB, bench.namespace)).items
        assert [j["metadata"]["uid"] for j in jobs] == [first["metadata"]["uid"]]
        await bench.patch("AnalysisRun", "held", {"spec": {"terminate": True}})
        await ended(bench, "held")
        await eventually(lambda: _gone(bench))


def _is_running(run: Object) -> bool:
    return bool(run.get("status", {}).get("phase") == "Running")


async def _gone(bench: Bench) -> bool:
    return await the_job(bench) is None


async def test_a_job_that_the_server_refuses_is_an_error(bench: Bench) -> None:
    async with bench.controller():
        await bench.create(
            analysis_run("refused", {**job(pod={"restartPolicy": "Always"}), "consecutiveErrorLimit": 0})
        )
        found = (await ended(bench, "refused"))["status"]
    assert found["phase"] == "Error"


async def test_a_provider_takes_its_credentials_from_the_secret(bench: Bench, prometheus: Prometheus) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "datadog"}}
    data = {"api-key": "k3y-of-api", "app-key": "k3y-of-app", "address": prometheus.url}
    await bench.create({**secret, "stringData": data})
    metric = {
        "name": "errors",
        "provider": {"datadog": {"query": "avg:errors{*}"}},
        "consecutiveErrorLimit": 0,
    }
    async with bench.controller():
        await bench.create(analysis_run("datadog", metric))
        found = await ended(bench, "datadog")
    assert found["status"]["phase"] == "Successful"
    assert prometheus.queries == ["avg:errors{*}"]
    assert prometheus.keys == ["k3y-of-api"]
    assert "k3y" not in json.dumps(found)
