"""The dashboard in the chart asks for what the controller tells: each panel, on a real Prometheus, has something to show."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from rollouts import sandbox
from rollouts.kube import resources
from rollouts.sandbox import Component, ports
from tests.analysis import history
from tests.api.harness import Bench, Object, eventually, rollout, steps

pytestmark = pytest.mark.api

DASHBOARD = Path(__file__).parents[2] / "charts" / "rollouts" / "files" / "dashboards" / "rollouts.json"
SCRAPE = timedelta(seconds=15)
METRIC = {
    "name": "errors",
    "interval": "1s",
    "successCondition": "result[0] < 2",
    "provider": {"prometheus": {"query": "vector(1)"}},
}


async def exposition(bench: Bench, prometheus: sandbox.Sandbox) -> str:
    """What a controller tells while an update and its analysis go on."""
    (port,) = ports.find(1)
    address = f"127.0.0.1:{port}"
    await bench.create(
        {
            "apiVersion": "rollouts.dev/v1alpha1",
            "kind": "AnalysisTemplate",
            "metadata": {"name": "errors"},
            "spec": {"metrics": [METRIC]},
        }
    )
    source = {"repoURL": "https://127.0.0.1:1/nowhere.git"}
    await bench.kube.create(
        resources.APPLICATION,
        {
            "apiVersion": "rollouts.dev/v1alpha1",
            "kind": "Application",
            "metadata": {"name": "shop", "namespace": bench.namespace},
            "spec": {"source": source},
        },
        field_manager="tests",
    )
    background = {"templates": [{"templateName": "errors"}]}
    strategy = steps({"setWeight": 50}, {"pause": {}})
    strategy["canary"]["analysis"] = background
    async with (
        httpx.AsyncClient(trust_env=False) as client,
        bench.controller(prometheus_address=prometheus.prometheus_url, metrics_address=address),
    ):
        await bench.create(rollout(replicas=2, **strategy))
        await bench.reaches("web", "Healthy")
        await bench.set_image("web", "web:2")

        async def told() -> str:
            text = (await client.get(f"http://{address}/metrics")).text
            is_whole = "analysis_run_metric_value{" in text and "application_reconcile_bucket" in text
            return text if is_whole else ""

        return await eventually(told)


def scraped(text: str, end: datetime) -> Iterator[str]:
    """The same exposition, scraped for some minutes."""
    for line in text.splitlines():
        if line and not line.startswith("#"):
            for number in range(20, -1, -1):
                yield f"{line} {(end - number * SCRAPE).timestamp():.3f}\n"
    yield "# EOF\n"


def queries(panels: list[Object]) -> Iterator[tuple[str, str]]:
    for panel in panels:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


async def test_each_panel_has_something_to_show(
    bench: Bench, tmp_path_factory: pytest.TempPathFactory
) -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    asked = list(queries(dashboard["panels"]))
    variables = {v["name"]: v.get("allValue", "") for v in dashboard["templating"]["list"]}
    variables["__rate_interval"] = "1m"
    directory = tmp_path_factory.mktemp("dashboard")
    with sandbox.up(directory, wanted=frozenset({Component.PROMETHEUS})) as box:
        text = await exposition(bench, box)
        end = datetime.now(UTC)
        history.backfill(box, scraped(text, end))
        async with httpx.AsyncClient(trust_env=False, base_url=box.prometheus_url) as client:
            empty = []
            for title, written in asked:
                query = re.sub(r"\$(\w+)", lambda m: variables[m[1]], written)
                params = {"query": query, "time": str(end.timestamp())}
                answer = (await client.get("/api/v1/query", params=params)).json()
                assert answer["status"] == "success", (title, answer)
                if not answer["data"]["result"]:
                    empty.append((title, query))
    assert empty == []
    assert len(asked) > 20
