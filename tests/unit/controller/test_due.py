"""What comes next for each metric, and finished measurements that the status does not hold yet."""

from __future__ import annotations

from dataclasses import replace

from analysis import judge
from analysis.model import Phase, RunAssessment, Summary
from rollouts.controller import due
from rollouts.controller.due import Due
from tests.unit.analysis.make import START, at, measured, measurement, metric, results, seconds


def test_each_metric_that_is_not_completed_has_a_next_measurement() -> None:
    fresh, going, ended = metric("fresh", initial_delay=seconds(5)), metric("going"), metric("ended", count=1)
    found = results(measured(going, "SE"), measured(ended, "S"))
    assessment = RunAssessment(Phase.RUNNING, "", tuple(found), Summary(), Summary())
    coming = list(due.coming((fresh, going, ended), assessment, START))
    assert [(one.name, one.at, one.number) for one in coming] == [("fresh", at(5), 1), ("going", at(70), 3)]
    assert coming[0].last is None


def test_one_measurement_follows_the_other_until_the_metric_is_completed() -> None:
    subject = metric("m", count=2)
    first = Due("m", START, START, None)
    second = first.after(subject, measurement("S", 0))
    assert second is not None
    assert (second.at, second.number) == (at(60), 2)
    assert second.after(subject, measurement("S", 60)) is None
    assert first.after(subject, measurement("F", 0)) is None


def test_several_unwritten_measurements_are_folded_in_order_and_once() -> None:
    subject = metric("m", measurement_retention=2)
    known = judge.record(subject, None, measurement("S", 0))
    waiting = [measurement("S", 0), measurement("F", 60), measurement("S", 120)]
    (found,) = due.folded((subject,), (known,), {"m": waiting}, lambda _: {"query": "up"})
    assert (found.count, found.successful, found.failed) == (3, 2, 1)
    assert found.measurements == tuple(waiting[1:])


def test_metadata_comes_with_the_first_measurement() -> None:
    subject = metric("m")
    (found,) = due.folded((subject,), (), {"m": [measurement("S")]}, lambda _: {"query": "up"})
    assert found.metadata == {"query": "up"}


def test_a_measurement_is_kept_as_the_status_will_tell_it() -> None:
    one = replace(measurement("S"), started_at=at(0.7), finished_at=at(0.9), metadata={"a": "b"})
    assert due.stamped(one) == replace(one, started_at=at(0), finished_at=at(0))
