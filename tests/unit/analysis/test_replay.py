"""Runs in virtual time, the limits that follow from them, and the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from analysis import backtest, backtest_page, condition, plots, replay, thresholds
from analysis.backtest import Past, Plan, Window
from analysis.model import Measurement, Metric, Phase
from analysis.numbers import number
from tests.unit.analysis.make import START, at, metric, seconds

S, F = Phase.SUCCESSFUL, Phase.FAILED


def measuring(values: dict[str, Sequence[float]]) -> replay.Measure:
    """Each metric's values, one a minute from the start of the world."""

    def measure(subject: Metric, when: datetime, last: Measurement | None) -> Measurement:
        del last
        value = values[subject.name][int((when - START) / timedelta(minutes=1))]
        outcome = condition.evaluate_result([value], subject.success_condition, subject.failure_condition)
        return Measurement(outcome.phase, f"[{value:g}]", outcome.message, when, when)

    return measure


def test_a_good_run_takes_its_time_and_a_bad_one_ends_early() -> None:
    subject = metric("m", count=3)
    good = replay.run([subject], START, at(600), measuring({"m": [0.99] * 10}))
    bad = replay.run([subject], START, at(600), measuring({"m": [0.99, 0.5, 0.99]}))
    assert (good.phase, good.ended_at) == (S, at(120))
    assert (bad.phase, bad.ended_at) == (F, at(60))
    assert bad.message.startswith(
        'Metric "m" assessed Failed due to failed (1) > failureLimit (0): value 0.5'
    )


def test_every_measurement_is_kept() -> None:
    found = replay.run([metric("m", count=30)], START, at(3600), measuring({"m": [0.99] * 60}))
    assert [len(r.measurements) for r in found.results] == [30]


def test_a_run_without_end_is_ended() -> None:
    found = replay.run([metric("m")], START, at(150), measuring({"m": [0.99] * 10}))
    assert (found.phase, found.ended_at, found.results[0].count) == (S, at(150), 3)


def test_a_run_that_the_clock_ends_with_nothing_but_errors_is_no_success() -> None:
    def measure(subject: Metric, when: datetime, last: Measurement | None) -> Measurement:
        del subject, last
        return Measurement(Phase.ERROR, "", "cannot connect", when, when)

    found = replay.run([metric("m", count=3)], START, at(15), measure)
    watched = replay.run([metric("m", count=3, dry_run=True)], START, at(15), measure)

    assert (found.phase, found.message) == (Phase.ERROR, 'Metric "m" was never measured: cannot connect')
    assert watched.phase is S


def test_one_bad_metric_ends_the_others() -> None:
    metrics = [metric("a", count=5), metric("b", count=5, initial_delay=seconds(60))]
    found = replay.run(metrics, START, at(600), measuring({"a": [0.99] * 9, "b": [0.99, 0.99, 0.1]}))
    assert (found.phase, found.ended_at) == (F, at(120))
    assert {r.name: r.phase for r in found.results} == {"a": S, "b": F}


LIMITS = [
    ("result[0] >= 0.95", True, ("result[0]", ">=", 0.95, True)),
    ("result < 3", True, ("result", "<", 3.0, False)),
    ("result[0] > 0.05", False, ("result[0]", ">", 0.05, False)),
    ("result[0] <= 7", False, ("result[0]", "<=", 7.0, True)),
]


@pytest.mark.parametrize(("text", "success", "expected"), LIMITS)
def test_a_condition_that_is_one_limit(text: str, success: bool, expected: tuple[Any, ...]) -> None:
    fields = (
        {"success_condition": text} if success else {"success_condition": None, "failure_condition": text}
    )
    found = thresholds.limit_of(metric(**fields))
    assert found is not None
    assert (found.subject, found.operator, found.value, found.wants_more) == expected


@pytest.mark.parametrize(
    "text",
    [
        "result[0] >= 0.95 && true",
        "result[1] > 1",
        "len(result) > 0",
        "result[0] == 1",
        "0.9 < result[0]",
        "x",
    ],
)
def test_other_conditions_have_no_single_limit(text: str) -> None:
    assert thresholds.limit_of(metric(success_condition=text)) is None


def suggested(subject: Metric, good: Sequence[Sequence[float]], bad: Sequence[Sequence[float]] = ()) -> Any:
    found = thresholds.suggest(subject, good, bad)
    assert found is not None
    return found


def test_the_limit_lies_between_the_good_and_the_bad() -> None:
    found = suggested(metric(), [[0.99, 0.97], [0.98]], [[0.9, 0.99], [0.7]])
    assert (found.strictest, found.loosest, found.separable, found.value) == (0.97, 0.9, True, 0.935)
    assert found.condition == "result[0] >= 0.935"


def test_a_failure_limit_forgives_the_worst_values() -> None:
    found = suggested(metric(failure_limit=1), [[0.2, 0.97, 0.99]], [[0.1, 0.3, 0.99]])
    assert (found.strictest, found.loosest) == (0.97, 0.3)


def test_what_cannot_be_told_apart_is_told() -> None:
    found = suggested(metric(), [[0.8]], [[0.9]])
    assert not found.separable
    assert backtest_page.suggestion(found).startswith("No limit tells good from bad")


@pytest.mark.parametrize(
    ("fields", "values", "limit"),
    [
        ({"success_condition": "result[0] < 1"}, [0.123456], 0.1235),
        ({"success_condition": "result[0] < 1"}, [0.5], 0.5001),
        ({"success_condition": "result[0] <= 1"}, [0.5], 0.5),
        ({"success_condition": "result[0] > 1"}, [0.5], 0.4999),
        ({"success_condition": None, "failure_condition": "result[0] >= 1"}, [0.5], 0.5001),
        ({"success_condition": None, "failure_condition": "result[0] > 1"}, [0.5], 0.5),
    ],
)
def test_every_good_run_passes_the_limit(fields: dict[str, Any], values: list[float], limit: float) -> None:
    subject = metric(**fields)
    found = suggested(subject, [values])
    assert found.strictest == pytest.approx(limit)
    text = f"result[0] {found.limit.operator} {found.strictest}"
    key = "success_condition" if subject.success_condition else "failure_condition"
    outcome = condition.evaluate_result(
        values, text if key == "success_condition" else None, text if key == "failure_condition" else None
    )
    assert outcome.phase is S


def past(index: int, phase: Phase, values: Sequence[float]) -> Past:
    started = START + index * timedelta(minutes=10)
    value = {"m": [*values, *[values[-1]] * 600]}
    subject = metric("m", count=3, success_condition="result[0] >= 0.95")

    def measure(one: Metric, when: datetime, last: Measurement | None) -> Measurement:
        found = measuring(value)(one, START + (when - started), last)
        return replace(found, started_at=when, finished_at=when)

    run = replay.run([subject], started, started + timedelta(minutes=5), measure)
    assert run.phase is phase
    return Past(run, run)


@pytest.fixture
def report() -> backtest.Report:
    plan = Plan(
        metrics=(metric("m", count=3, success_condition="result[0] >= 0.95"),),
        begin=START,
        end=START + timedelta(hours=1),
        every=timedelta(minutes=10),
        longest=timedelta(minutes=5),
        bad=(Window(START + timedelta(minutes=20), START + timedelta(minutes=30)),),
    )
    pasts = [
        past(0, S, [0.99]),
        past(1, F, [0.99, 0.94]),
        past(2, F, [0.5]),
        past(3, S, [0.97]),
    ]
    return backtest.report(plan, pasts)


def test_the_figures(report: backtest.Report) -> None:
    assert len(report.plan.starts) == 6
    assert (report.everything.runs, report.good.runs, report.bad.runs) == (4, 3, 1)
    assert (round(report.false_alarms, 3), report.found) == (0.333, 1)
    assert (report.everything.median_seconds, report.everything.p90_seconds) == (30, 60)
    assert report.silent[0].measurements == 3 + 2 + 1 + 3
    assert report.suggestions[0].strictest == 0.94


def test_the_page_is_complete_and_escapes_what_it_shows(report: backtest.Report) -> None:
    page = backtest_page.page(report, "<script>")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert page.count("<svg") == page.count("</svg>") == 2
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_nothing_at_all_makes_a_page_too() -> None:
    plan = Plan((metric("m"),), START, START + timedelta(hours=1), seconds(60), seconds(60))
    empty = backtest.report(plan, [])
    assert "No value that is one number" in backtest_page.page(empty, "nothing")
    assert (empty.false_alarms, empty.found) == (0, 0)


@pytest.mark.parametrize("values", [[0, 0], [1], [], [0.001, 0.0011], [-5, 1e6], [float("inf"), 2]])
def test_any_values_have_a_frame_that_holds_them(values: list[float]) -> None:
    frame = plots.frame(START, at(3600), values)
    assert frame.low < frame.high
    assert all(frame.low <= v <= frame.high for v in values if v != float("inf"))
    assert plots.svg(frame, "x", [plots.dots(frame, [(at(5), v) for v in values], "dot")]).startswith("<svg")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.5", 0.5),
        ("[0.5]", 0.5),
        ("[+Inf]", float("inf")),
        ("[1,2]", None),
        ("NaN", None),
        ("", None),
        ("a", None),
    ],
)
def test_what_counts_as_a_number(text: str, value: float | None) -> None:
    assert number(text) == value
