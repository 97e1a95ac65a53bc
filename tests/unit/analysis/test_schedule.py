"""When each metric is measured."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from analysis import judge, schedule
from analysis.model import Metric, MetricResult
from tests.unit.analysis.make import START, at, measured, measurement, metric, results, seconds

EVERY_MINUTE = metric()
DELAYED = metric("delayed", initial_delay=seconds(30))
ONCE = metric("once", interval=None)

# metric, history (one measurement a minute from the start), instant of the next measurement
NEXT: list[tuple[Metric, str, datetime | None]] = [
    (EVERY_MINUTE, "", at(0)),
    (DELAYED, "", at(30)),
    (DELAYED, "S", at(60)),
    (EVERY_MINUTE, "S", at(60)),
    (EVERY_MINUTE, "SS", at(120)),
    (EVERY_MINUTE, "E", at(10)),
    (EVERY_MINUTE, "SE", at(70)),
    (metric(interval=seconds(3)), "E", at(10)),
    (metric(interval=seconds(3)), "S", at(3)),
    (ONCE, "", at(0)),
    (ONCE, "E", at(10)),
    (ONCE, "S", None),
    (metric(count=2), "SS", None),
    (metric(count=2), "SE", at(70)),
    (EVERY_MINUTE, "F", None),
    (EVERY_MINUTE, "EEEEE", None),
    (EVERY_MINUTE, "R", at(0)),
    (EVERY_MINUTE, "SR", at(60)),
    (metric(consecutive_success_limit=2), "SS", None),
]


@pytest.mark.parametrize(("subject", "history", "expected"), NEXT)
def test_the_next_measurement_of_a_metric(subject: Metric, history: str, expected: datetime | None) -> None:
    assert schedule.next_measurement(subject, measured(subject, history), START) == expected


def test_the_interval_runs_from_the_end_of_the_last_measurement() -> None:
    slow = judge.record(EVERY_MINUTE, None, measurement("S", 0, finished_at=at(25)))
    assert schedule.next_measurement(EVERY_MINUTE, slow, START) == at(85)


def test_a_measurement_in_flight_is_not_taken_before_it_may_be_resumed() -> None:
    waiting = judge.record(EVERY_MINUTE, None, measurement("R", 0, resume_at=at(40)))
    assert schedule.next_measurement(EVERY_MINUTE, waiting, START) == at(40)


def test_due_and_next_due_divide_the_metrics_by_now() -> None:
    everything = [EVERY_MINUTE, DELAYED, ONCE]
    found = results(measured(EVERY_MINUTE, "S"))
    assert schedule.due(everything, found, run_started_at=START, now=at(0)) == ("once",)
    assert schedule.next_due(everything, found, run_started_at=START, now=at(0)) == at(30)
    assert schedule.due(everything, found, run_started_at=START, now=at(30)) == ("delayed", "once")
    assert schedule.next_due(everything, found, run_started_at=START, now=at(30)) == at(60)
    assert schedule.due(everything, found, run_started_at=START, now=at(59)) == ("delayed", "once")
    assert schedule.due(everything, found, run_started_at=START, now=at(60)) == (
        "success-rate",
        "delayed",
        "once",
    )
    assert schedule.next_due(everything, found, run_started_at=START, now=at(60)) is None


def test_a_run_that_has_not_started_starts_now() -> None:
    assert schedule.due([ONCE, DELAYED], [], run_started_at=None, now=at(5)) == ("once",)
    assert schedule.next_due([ONCE, DELAYED], [], run_started_at=None, now=at(5)) == at(35)


def test_a_run_being_terminated_measures_nothing() -> None:
    assert schedule.due([ONCE], [], run_started_at=START, now=at(0), terminate=True) == ()
    assert schedule.next_due([DELAYED], [], run_started_at=START, now=at(0), terminate=True) is None


def test_a_failed_metric_stops_the_others() -> None:
    failing, other = metric("failing"), metric("other")
    found = results(measured(failing, "F"))
    assert schedule.due([failing, other], found, run_started_at=START, now=at(900)) == ()


def test_a_failed_dry_run_stops_nobody() -> None:
    failing, other = metric("failing", dry_run=True), metric("other")
    found = results(measured(failing, "F"))
    assert schedule.due([failing, other], found, run_started_at=START, now=at(900)) == ("other",)


def test_a_metric_with_a_completed_phase_is_not_measured_again() -> None:
    ended: MetricResult | None = measured(EVERY_MINUTE, "S")
    assert ended is not None
    ended = replace(ended, phase=judge.Phase.SUCCESSFUL)
    assert schedule.next_measurement(EVERY_MINUTE, ended, START) is None
