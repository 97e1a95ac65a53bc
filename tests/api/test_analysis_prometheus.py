"""Analyses on a real API server and a real Prometheus: counters that restart, a Prometheus that does, and both of us."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from analysis import schedule
from rollouts import sandbox
from rollouts.api.parse import timestamp
from rollouts.sandbox import Component
from tests.analysis import history
from tests.api.harness import Bench, Object, analysis_run

pytestmark = pytest.mark.api

PER_SECOND = {"old": (400, 4), "new": (100, 1)}  # requests and errors, by pod template hash
RESTART_SECONDS = 5
LONG_ENOUGH = timedelta(minutes=10)


def counters(begin: datetime) -> Iterator[str]:
    """Counters that begin anew every few seconds, written down for the time in which the tests will ask."""
    yield "# TYPE http_requests counter\n# TYPE http_errors counter\n"
    seconds = range(int(LONG_ENOUGH.total_seconds()))
    for which, name in enumerate(("http_requests", "http_errors")):
        for pod_hash, rates in PER_SECOND.items():
            for second in seconds:
                count = rates[which] * (1 + second % RESTART_SECONDS)
                at = (begin + timedelta(seconds=second)).timestamp()
                yield f'{name}_total{{hash="{pod_hash}"}} {count} {at:.3f}\n'
    yield "# EOF\n"


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sandbox.Sandbox]:
    directory: Path = tmp_path_factory.mktemp("prometheus")
    with sandbox.up(directory, wanted=frozenset({Component.PROMETHEUS})) as box:
        history.backfill(box, counters(datetime.now(UTC) - timedelta(minutes=1)))
        yield box


def ratio(name: str, **fields: Any) -> Object:
    query = "sum(rate(http_errors_total[10s])) / sum(rate(http_requests_total[10s]))"
    return {
        "name": name,
        "interval": "1s",
        "successCondition": "result[0] > 0.005 && result[0] < 0.02",
        "provider": {"prometheus": {"query": query}},
        **fields,
    }


async def status_when(bench: Bench, name: str, metric: str, **at_least: int) -> Object:
    """The status when the result of a metric has come so far."""

    def there(run: Object) -> bool:
        results = run.get("status", {}).get("metricResults", ())
        found = next((r for r in results if r["name"] == metric), {})
        return all(found.get(k, 0) >= v for k, v in at_least.items())

    return dict((await bench.becomes("AnalysisRun", name, there))["status"])


async def ended(bench: Bench, name: str) -> Object:
    found = await bench.becomes("AnalysisRun", name, lambda run: "completedAt" in run.get("status", {}))
    return dict(found["status"])


async def test_counters_that_restart_in_a_run_deceive_nobody(
    bench: Bench, prometheus: sandbox.Sandbox
) -> None:
    side = '{hash="{{comparison.variant}}"}[{{comparison.window}}]'
    compared = {
        "name": "compared",
        "interval": "1s",
        "count": RESTART_SECONDS + 2,
        "provider": {"prometheus": {"query": f"sum(increase(http_errors_total{side}))"}},
        "comparison": {
            "canary": "new",
            "control": "old",
            "totalQuery": f"sum(increase(http_requests_total{side}))",
            "lookback": "5s",
        },
    }
    async with bench.controller(prometheus_address=prometheus.prometheus_url):
        await bench.create(analysis_run("restarts", compared, ratio("ratio", count=RESTART_SECONDS + 2)))
        status = await ended(bench, "restarts")

    assert status["phase"] == "Successful", status["message"]
    for result in status["metricResults"]:
        assert (result.get("error", 0), result.get("failed", 0)) == (0, 0), result
        assert result["successful"] == result["count"] == RESTART_SECONDS + 2


async def test_a_prometheus_that_is_away_and_a_controller_that_restarts_lose_nothing(
    bench: Bench, prometheus: sandbox.Sandbox
) -> None:
    wanted = 4
    address = prometheus.prometheus_url
    strict = ratio("strict", count=wanted, consecutiveErrorLimit=0)
    async with bench.controller(prometheus_address=address):
        await bench.create(
            analysis_run("outage", ratio("patient", count=wanted), strict, dryRun=[{"metricName": "strict"}])
        )
        await status_when(bench, "outage", "patient", successful=1)
        prometheus.stop(Component.PROMETHEUS)
        try:
            await status_when(bench, "outage", "patient", consecutiveError=1)
            await bench.create(analysis_run("typo", ratio("typo", successCondition="result[0] >")))
            assert (await ended(bench, "typo"))["phase"] == "Error"  # the controller has time for others
        finally:
            prometheus.start(Component.PROMETHEUS)
    async with bench.controller(prometheus_address=address):
        status = await ended(bench, "outage")

    patient, strict = status["metricResults"]
    assert (status["phase"], patient["phase"], strict["phase"]) == ("Successful", "Successful", "Error")
    assert "consecutiveErrors (1) > consecutiveErrorLimit (0)" in strict["message"]
    assert (patient["count"], patient["successful"], patient["error"]) == (wanted, wanted, 1)
    measured = patient["measurements"]
    assert len(measured) == wanted + 1
    phases = [m["phase"] for m in measured]
    after = phases.index("Error") + 1
    assert f"cannot connect to {address}: Connection refused" in measured[after - 1]["message"]
    pause = timestamp(measured[after]["startedAt"], "") - timestamp(measured[after - 1]["finishedAt"], "")
    assert pause >= schedule.ERROR_RETRY
    assert len({m["startedAt"] for m in measured}) == len(measured), json.dumps(measured)
