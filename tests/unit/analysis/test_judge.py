"""Every rule of how measurements become the phase of a metric and of a run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from analysis import judge
from analysis.model import Measurement, Metric, MetricResult, Phase, Summary
from tests.unit.analysis.make import at, measured, measurement, metric, results

S, F, I, E = Phase.SUCCESSFUL, Phase.FAILED, Phase.INCONCLUSIVE, Phase.ERROR  # noqa: E741
RUNNING, PENDING = Phase.RUNNING, Phase.PENDING

# fields of the metric, history of measurements, phase while running, phase when it is terminated
METRICS: list[tuple[dict[str, Any], str, Phase, Phase]] = [
    # nothing measured, or not finished
    ({}, "", PENDING, S),
    ({}, "R", RUNNING, S),
    ({}, "SR", RUNNING, S),
    ({"count": 1}, "R", RUNNING, S),
    # count: one without interval, endless with an interval only, zero is absent
    ({"interval": None}, "S", S, S),
    ({"interval": None, "count": 0}, "S", S, S),
    ({}, "SSSSSSSSSSSSSSS", RUNNING, S),
    ({"count": 0}, "SSS", RUNNING, S),
    ({"count": 3}, "SS", RUNNING, S),
    ({"count": 3}, "SSS", S, S),
    # a limit is exceeded only by more than it
    ({}, "F", F, F),
    ({"failure_limit": 3}, "FFF", RUNNING, S),
    ({"failure_limit": 3}, "FFFF", F, F),
    ({"failure_limit": 1}, "SFSF", F, F),
    ({"failure_limit": 1, "count": 3}, "SFS", S, S),
    ({"failure_limit": 1, "count": 2}, "FF", F, F),
    ({}, "I", I, I),
    ({"inconclusive_limit": 2}, "II", RUNNING, S),
    ({"inconclusive_limit": 2}, "III", I, I),
    ({"inconclusive_limit": 1, "count": 2}, "IS", S, S),
    # errors: only those in a row count, and never towards count
    ({}, "EEEE", RUNNING, S),
    ({}, "EEEEE", E, E),
    ({}, "EEEESEEEE", RUNNING, S),
    ({"failure_limit": 9}, "EEEEFEEEE", RUNNING, S),
    ({"inconclusive_limit": 9}, "EEEEIEEEE", RUNNING, S),
    ({"consecutive_error_limit": 0}, "E", E, E),
    ({"interval": None}, "E", RUNNING, S),
    ({"interval": None}, "ES", S, S),
    ({"count": 2}, "EES", RUNNING, S),
    ({"count": 2}, "EESES", S, S),
    # failureLimit -1: failures never decide
    ({"failure_limit": -1, "consecutive_success_limit": 2}, "FFFFFFFFF", RUNNING, S),
    ({"failure_limit": -1, "consecutive_success_limit": 2}, "FSFSS", S, S),
    # consecutiveSuccessLimit: reached is enough
    ({"consecutive_success_limit": 3, "failure_limit": 5}, "SS", RUNNING, S),
    ({"consecutive_success_limit": 3, "failure_limit": 5}, "SSS", S, S),
    ({"consecutive_success_limit": 2, "failure_limit": 5}, "SFS", RUNNING, S),
    ({"consecutive_success_limit": 2, "inconclusive_limit": 5}, "SIS", RUNNING, S),
    ({"consecutive_success_limit": 2}, "SES", RUNNING, S),
    ({"consecutive_success_limit": 2}, "SESS", S, S),
    # count reached without them: Inconclusive, Failed only if failures were switched off
    ({"consecutive_success_limit": 2, "failure_limit": 2, "count": 4}, "SFSF", I, I),
    ({"consecutive_success_limit": 2, "failure_limit": -1, "count": 4}, "SFSF", F, F),
    ({"consecutive_success_limit": 2, "failure_limit": -1, "count": 4}, "SFSS", S, S),
    ({"consecutive_success_limit": 4, "count": 4}, "SSSS", S, S),
]


@pytest.mark.parametrize(("fields", "history", "running", "terminated"), METRICS)
def test_a_history_gives_the_phase_of_a_metric(
    fields: dict[str, Any], history: str, running: Phase, terminated: Phase
) -> None:
    subject = metric(**fields)
    result = measured(subject, history)
    assert judge.assess_metric(subject, result).phase is running
    assert judge.assess_metric(subject, result, terminating=True).phase is terminated


def test_errors_are_counted_apart() -> None:
    result = measured(metric(failure_limit=9, inconclusive_limit=9), "SSFIEES")
    assert result is not None
    assert (result.count, result.successful, result.failed, result.inconclusive, result.error) == (
        5,
        3,
        1,
        1,
        2,
    )
    assert (result.consecutive_error, result.consecutive_success) == (0, 1)


def test_an_error_breaks_successes_in_a_row_and_success_breaks_errors_in_a_row() -> None:
    result = measured(metric(), "SSE")
    assert result is not None
    assert (result.consecutive_error, result.consecutive_success) == (1, 0)


def test_only_the_last_measurements_are_kept_but_all_are_counted() -> None:
    result = measured(metric(measurement_retention=3), "S" * 20)
    assert result is not None
    assert (len(result.measurements), result.count) == (3, 20)
    assert [m.started_at for m in result.measurements] == [at(60 * n) for n in (17, 18, 19)]


def test_the_outcome_takes_the_place_of_the_measurement_in_flight() -> None:
    result = measured(metric(), "SRF")
    assert result is not None
    assert [m.phase for m in result.measurements] == [S, F]
    assert result.count == 2


def test_a_measurement_in_flight_counts_for_nothing() -> None:
    result = measured(metric(), "SR")
    assert result is not None
    assert (result.count, result.error, result.phase) == (1, 0, RUNNING)


def test_an_answer_after_the_end_changes_nothing() -> None:
    ended = MetricResult("success-rate", phase=S, count=1, successful=1)
    assert judge.record(metric(), ended, measurement("F")) == ended


def test_a_completed_phase_stays() -> None:
    ended = MetricResult("success-rate", phase=F, message="why", failed=1, measurements=(measurement("F"),))
    assert judge.assess_metric(metric(failure_limit=5), ended) == (F, "why")


def test_the_first_measurement_brings_the_metadata() -> None:
    first = judge.record(metric(), None, measurement("S"), metadata={"query": "up"})
    assert judge.record(metric(), first, measurement("S", 60)).metadata == {"query": "up"}


MESSAGES: list[tuple[Metric, str, dict[str, Any], str]] = [
    (
        metric(failure_limit=1),
        "FF",
        {},
        "failed (2) > failureLimit (1): value 0.81, successCondition result[0] >= 0.95",
    ),
    (
        metric(failure_condition="result[0] < 0.9"),
        "F",
        {"value": "[0.81,0.5]"},
        "failed (1) > failureLimit (0): value [0.81,0.5], failureCondition result[0] < 0.9",
    ),
    (
        metric(failure_condition="result[0] < 0.5"),
        "I",
        {"value": "0.8"},
        (
            "inconclusive (1) > inconclusiveLimit (0): value 0.8, "
            "successCondition result[0] >= 0.95, failureCondition result[0] < 0.5"
        ),
    ),
    (
        metric(consecutive_error_limit=1),
        "EE",
        {"message": "cannot connect to http://prometheus:9090: Connection refused"},
        (
            "consecutiveErrors (2) > consecutiveErrorLimit (1): "
            "cannot connect to http://prometheus:9090: Connection refused"
        ),
    ),
    (
        metric(consecutive_success_limit=2, failure_limit=-1, count=3),
        "SFS",
        {},
        (
            "consecutiveSuccess (1) < consecutiveSuccessLimit (2) at count (3): "
            "value 0.81, successCondition result[0] >= 0.95"
        ),
    ),
]


@pytest.mark.parametrize(("subject", "history", "fields", "message"), MESSAGES)
def test_the_message_names_limit_value_and_condition(
    subject: Metric, history: str, fields: dict[str, Any], message: str
) -> None:
    assert judge.assess_metric(subject, measured(subject, history, **fields)).message == message


A, B, C = metric("a", count=2), metric("b", count=2), metric("c", count=2, dry_run=True)

# histories of a, b and the dry run c (None: never measured), phase of the run, its message
RUNS: list[tuple[str | None, str | None, str | None, Phase, str]] = [
    (None, None, None, RUNNING, ""),
    ("S", "S", "S", RUNNING, ""),
    ("SS", "SS", "S", RUNNING, ""),
    ("SS", None, "SS", RUNNING, ""),
    ("SS", "SS", "SS", S, ""),
    ("F", "S", "S", F, 'Metric "a" assessed Failed due to failed (1) > failureLimit (0)'),
    ("F", None, None, F, 'Metric "a" assessed Failed due to failed (1) > failureLimit (0)'),
    ("S", "I", "S", I, 'Metric "b" assessed Inconclusive due to inconclusive (1) > inconclusiveLimit (0)'),
    (
        "EEEEE",
        "S",
        None,
        E,
        'Metric "a" assessed Error due to consecutiveErrors (5) > consecutiveErrorLimit (4)',
    ),
    ("I", "F", "S", F, 'Metric "b" assessed Failed due to failed (1) > failureLimit (0)'),
    (
        "I",
        "EEEEE",
        "S",
        E,
        'Metric "b" assessed Error due to consecutiveErrors (5) > consecutiveErrorLimit (4)',
    ),
    ("EEEEE", "F", "S", F, 'Metric "b" assessed Failed due to failed (1) > failureLimit (0)'),
    ("F", "R", "S", F, 'Metric "a" assessed Failed due to failed (1) > failureLimit (0)'),
    ("SS", "SS", "F", S, ""),
    ("S", "S", "F", RUNNING, ""),
    ("SS", "SS", "EEEEE", S, ""),
]


@pytest.mark.parametrize(("a", "b", "c", "phase", "message"), RUNS)
def test_the_worst_metric_that_matters_gives_the_phase_of_the_run(
    a: str | None, b: str | None, c: str | None, phase: Phase, message: str
) -> None:
    found = results(*(measured(m, history) for m, history in ((A, a), (B, b), (C, c)) if history))
    verdict = judge.assess_run([A, B, C], found)
    assert verdict.phase is phase
    assert verdict.message == message or (message and verdict.message.startswith(f"{message}: "))


def test_a_failing_metric_terminates_the_others_in_good_standing() -> None:
    endless = metric("endless")
    verdict = judge.assess_run([A, endless], results(measured(A, "F"), measured(endless, "SSR")))
    assert {r.name: r.phase for r in verdict.results} == {"a": F, "endless": S}


def test_terminate_ends_an_endless_run_well() -> None:
    endless = metric("endless")
    running = judge.assess_run([endless], results(measured(endless, "SSS")))
    ended = judge.assess_run([endless], running.results, terminate=True)
    assert (running.phase, ended.phase, ended.message) == (RUNNING, S, "Run Terminated")


def test_terminate_before_the_first_measurement_is_success() -> None:
    verdict = judge.assess_run([A, B], [], terminate=True)
    assert (verdict.phase, verdict.message, verdict.results) == (S, "Run Terminated", ())


def test_terminate_does_not_hide_a_failure() -> None:
    verdict = judge.assess_run([A, B], results(measured(A, "F")), terminate=True)
    assert verdict.phase is F
    assert verdict.message.startswith('Metric "a" assessed Failed')


def test_a_dry_run_that_fails_neither_ends_the_run_nor_decides_it() -> None:
    verdict = judge.assess_run([A, C], results(measured(A, "SS"), measured(C, "F")))
    assert (verdict.phase, verdict.message) == (S, "")
    assert (verdict.summary, verdict.dry_run_summary) == (
        Summary(count=1, successful=1),
        Summary(count=1, failed=1),
    )


def test_dry_runs_alone_succeed() -> None:
    assert judge.assess_run([C], results(measured(C, "F"))).phase is S


def test_the_summary_counts_metrics_not_measurements() -> None:
    found = results(measured(A, "SS"), measured(B, "F"))
    assert judge.assess_run([A, B, C], found).summary == Summary(count=2, successful=1, failed=1)


def test_a_run_without_metrics_is_an_error() -> None:
    assert judge.assess_run([], []).phase is E


def test_results_of_unknown_metrics_are_left_alone() -> None:
    stranger = MetricResult("stranger", phase=F, failed=1)
    verdict = judge.assess_run([A], [stranger, *results(measured(A, "SS"))])
    assert verdict.phase is S
    assert verdict.results[0] == stranger


def test_an_assessment_of_its_own_results_is_the_same() -> None:
    first = judge.assess_run([A, B, C], results(measured(A, "F"), measured(B, "S"), measured(C, "S")))
    assert judge.assess_run([A, B, C], first.results) == first


def test_a_measurement_without_a_start_can_be_judged() -> None:
    result = judge.record(A, None, Measurement(phase=F, finished_at=at(0)))
    assert judge.assess_metric(A, replace(result, phase=RUNNING)).phase is F


@pytest.mark.parametrize(
    ("terminate", "phases"),
    [(True, (I, S)), (False, (RUNNING, RUNNING))],
)
def test_what_is_in_flight_at_the_end_has_no_answer(terminate: bool, phases: tuple[Phase, Phase]) -> None:
    once = metric("job", interval=None)
    found = judge.cut_off(
        [once, A], results(measured(once, "R"), measured(A, "S")), at(90), terminate=terminate
    )
    verdict = judge.assess_run([once, A], found, terminate=terminate)

    assert tuple(result.phase for result in verdict.results) == phases
    if terminate:
        [cut] = verdict.results[0].measurements
        assert (cut.phase, cut.finished_at, verdict.results[0].inconclusive) == (I, at(90), 1)
        assert verdict.phase is I


def test_what_is_in_flight_is_cut_off_by_a_metric_that_fails() -> None:
    once = metric("job", interval=None)
    found = judge.cut_off([once, B], results(measured(once, "R"), measured(B, "F")), at(90), terminate=False)

    assert [result.inconclusive for result in found] == [1, 0]
    assert judge.assess_run([once, B], found).phase is F
