"""Backtests against a real Prometheus with six hours of history: bad times are found, good ones pass."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rollouts import sandbox
from rollouts.cli.main import app
from rollouts.sandbox import Component
from tests.analysis import history
from tests.analysis.history import Stretch

pytestmark = pytest.mark.e2e

HOURS = timedelta(hours=6)
TEMPLATE = """
apiVersion: rollouts.dev/v1alpha1
kind: AnalysisTemplate
metadata: {name: compared}
spec:
  args: [{name: canary}, {name: control, value: old}]
  metrics:
  - name: errors
    interval: 30s
    count: 10
    comparison:
      canary: "{{args.canary}}"
      control: "{{args.control}}"
      minimumEffect: "0.005"
      totalQuery: >-
        sum(increase(http_requests_total{pod_template_hash="{{comparison.variant}}"}[{{comparison.window}}]))
    provider:
      prometheus:
        address: http://prometheus.monitoring:9090
        query: >-
          sum(increase(http_requests_total{code="500",pod_template_hash="{{comparison.variant}}"}[{{comparison.window}}]))
---
apiVersion: rollouts.dev/v1alpha1
kind: AnalysisTemplate
metadata: {name: threshold}
spec:
  metrics:
  - name: error-ratio
    interval: 30s
    count: 10
    failureLimit: 1
    successCondition: result[0] < 0.012
    provider:
      prometheus:
        query: >-
          sum(rate(http_requests_total{code="500",pod_template_hash="new"}[1m]))
          / sum(rate(http_requests_total{pod_template_hash="new"}[1m]))
---
apiVersion: rollouts.dev/v1alpha1
kind: AnalysisTemplate
metadata: {name: nothing}
spec:
  metrics:
  - name: misspelt
    interval: 1m
    count: 2
    onNoData: retry
    noDataLimit: 2
    successCondition: result[0] < 0.05
    provider: {prometheus: {query: "sum(rate(http_request_total[1m]))"}}
"""


@dataclass(frozen=True, slots=True)
class Past:
    url: str
    begin: datetime
    end: datetime
    bad: tuple[Stretch, ...]
    file: Path

    @property
    def windows(self) -> list[str]:
        return [
            part
            for s in self.bad
            for part in ("--bad", f"{s.begin.isoformat()}/{(s.begin + s.length).isoformat()}")
        ]


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    """The canary is bad twice, once mildly; once both sides have trouble, which is nobody's fault."""
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    begin = end - HOURS
    mild = Stretch(begin + timedelta(hours=2), timedelta(minutes=20), "new", 0.05)
    bad = Stretch(begin + timedelta(hours=4), timedelta(minutes=20), "new", 0.3)
    database = [
        Stretch(begin + timedelta(hours=5), timedelta(minutes=15), name, 0.04) for name in ("old", "new")
    ]
    ratio = history.errors((mild, bad, *database), 0.005)
    file = tmp_path_factory.mktemp("templates") / "templates.yaml"
    file.write_text(TEMPLATE)
    with sandbox.up(tmp_path_factory.mktemp("past"), wanted=frozenset({Component.PROMETHEUS})) as box:
        history.backfill(box, history.openmetrics(begin, end, ratio, seed=5))
        yield Past(box.prometheus_url, begin, end, (mild, bad), file)


def command(past: Past, template: str, *more: str) -> Any:
    arguments = ["--from", past.begin.isoformat(), "--to", past.end.isoformat(), "--every", "10m"]
    words = ["analysis", "backtest", "-f", str(past.file), "--template", template, "--prometheus", past.url]
    return CliRunner().invoke(app, [*words, *arguments, *more], catch_exceptions=False)


def figures(past: Past, template: str, *more: str) -> dict[str, Any]:
    answered = command(past, template, "-o", "json", *more)
    assert answered.exit_code == 0, answered.output
    found: dict[str, Any] = json.loads(answered.stdout)
    return found


def test_a_comparison_finds_the_bad_times_and_passes_the_good_ones(past: Past) -> None:
    found = figures(past, "compared", "--arg", "canary=new", *past.windows)
    assert found["all"]["runs"] == 35  # the last one would not have had time to wait for data
    assert found["found"] == 1
    assert found["falseAlarms"] == 0
    assert found["metrics"][0]["errors"] == found["metrics"][0]["withoutData"] == 0
    failed = [run for run in found["runs"] if run["phase"] == "Failed"]
    assert all("canary is worse by +" in run["message"] for run in failed)
    assert found["bad"]["p90Seconds"] <= 300


def test_a_threshold_blames_the_canary_for_the_database(past: Past) -> None:
    found = figures(past, "threshold", *past.windows)
    assert found["found"] == 1
    assert found["falseAlarms"] > 0
    (suggested,) = found["suggestions"]
    assert (suggested["metric"], suggested["field"]) == ("error-ratio", "successCondition")
    assert suggested["strictest"] > 0.035  # the database's errors have to be tolerated


def test_a_suggested_limit_is_one_that_works(past: Past) -> None:
    """Without the last hour, in which both sides had trouble, a limit exists."""
    to = (past.begin + timedelta(hours=4, minutes=50)).isoformat()
    (suggested,) = figures(past, "threshold", *past.windows, "--to", to)["suggestions"]
    assert suggested["separable"]
    corrected = past.file.read_text().replace("result[0] < 0.012", suggested["condition"])
    file = past.file.with_name("corrected.yaml")
    file.write_text(corrected)
    again = Past(past.url, past.begin, past.end, past.bad, file)
    found = figures(again, "threshold", *past.windows, "--to", to)
    assert (found["found"], found["falseAlarms"]) == (1, 0)


def test_a_query_that_finds_nothing_is_told(past: Past) -> None:
    found = figures(past, "nothing", "--every", "1h")
    (metric,) = found["metrics"]
    assert metric["withoutData"] == metric["measurements"] > 0
    assert found["all"]["phases"]["Inconclusive"] == found["all"]["runs"]
    assert "no data" in metric["example"]


def test_the_report_reads_well(past: Past, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    answered = command(past, "compared", "--arg", "canary=new", *past.windows, "--html", str(page))
    assert answered.exit_code == 0
    assert "Backtest of compared: 35 releases, one every 10m" in answered.stdout
    assert "False alarms: 0 %" in answered.stdout
    assert "Found: 100 %" in answered.stdout
    text = page.read_text()
    assert text.count("<svg") == 2
    assert "src=" not in text
    assert "http-equiv" not in text


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((), "args.canary has no value; give it with --arg NAME=VALUE"),
        (("--arg", "canary"), "--arg canary: write NAME=VALUE"),
        (
            ("--arg", "canary=new", "--arg", "x=1"),
            "--arg x: no template declares it; declared: canary, control",
        ),
        (("--arg", "canary=new", "--every", "1s"), "runs are more than 2000; choose a larger --every"),
        (("--arg", "canary=new", "--duration", "9h"), "no run of 9h fits between --from and --to"),
        (("--arg", "canary=new", "--bad", "noon"), "--bad noon: write FROM/TO"),
        (("--arg", "canary=new", "--from", "noon"), "--from noon: write a time such as"),
        (
            ("--arg", "canary=new", "--template", "x"),
            "there is no AnalysisTemplate x; the files have compared,",
        ),
    ],
)
def test_what_cannot_be_replayed_is_told(past: Past, words: tuple[str, ...], problem: str) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of the type that main() turns into a line
        command(past, "compared", *words)
    assert problem in str(caught.value)


def test_run_measures_now_and_its_exit_code_tells(past: Past, tmp_path: Path) -> None:
    file = tmp_path / "up.yaml"
    metric = {"name": "up", "provider": {"prometheus": {"query": "vector(1)"}}}
    spec = {
        "metrics": [{**metric, "successCondition": "result[0] == {{args.wanted}}"}],
        "args": [{"name": "wanted"}],
    }
    file.write_text(json.dumps({"kind": "AnalysisTemplate", "metadata": {"name": "up"}, "spec": spec}))
    outcomes = {}
    for wanted in ("1", "2"):
        words = ["analysis", "run", "-f", str(file), "--prometheus", past.url, "--arg", f"wanted={wanted}"]
        answered = CliRunner().invoke(app, words)
        outcomes[wanted] = (answered.exit_code, answered.stdout.splitlines()[-1])
    assert outcomes["1"] == (0, "Successful")
    assert outcomes["2"][0] == 1
    assert outcomes["2"][1].startswith(
        'Failed: Metric "up" assessed Failed due to failed (1) > failureLimit (0)'
    )
