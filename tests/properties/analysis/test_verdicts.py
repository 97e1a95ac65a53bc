"""What holds for judge and schedule, whatever the limits are and whatever was measured."""

from __future__ import annotations

import itertools
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from analysis import judge, schedule
from analysis.model import Metric, MetricResult, Phase, severity
from tests.unit.analysis.make import PHASES, START, at, measured, measurement, metric, results, seconds

LIMITS = st.integers(0, 4)
HISTORIES = st.text(alphabet="SFIE", max_size=15)


@st.composite
def metrics(draw: st.DrawFn, name: str = "m") -> Metric:
    in_a_row = draw(LIMITS)
    return metric(
        name,
        interval=draw(st.sampled_from([None, seconds(1), seconds(10), seconds(60)])),
        initial_delay=draw(st.sampled_from([None, seconds(5)])),
        count=draw(st.sampled_from([None, 1, 3, 8])),
        failure_limit=draw(st.integers(-1 if in_a_row else 0, 4)),
        inconclusive_limit=draw(LIMITS),
        consecutive_error_limit=draw(LIMITS),
        consecutive_success_limit=in_a_row,
        dry_run=draw(st.booleans()),
        measurement_retention=draw(st.integers(1, 10)),
    )


RUNS = st.lists(st.tuples(st.integers(), HISTORIES), min_size=1, max_size=4).flatmap(
    lambda parts: st.tuples(*(st.tuples(metrics(f"m{i}"), HISTORIES) for i in range(len(parts))))
)


@given(metrics(), HISTORIES)
def test_counters_agree_with_the_history_up_to_the_verdict(subject: Metric, history: str) -> None:
    result = measured(subject, history)
    if result is None:
        return
    assert result.count == result.successful + result.failed + result.inconclusive
    assert result.count + result.error == len(history)
    assert len(result.measurements) == min(len(history), subject.measurement_retention)
    assert result.consecutive_error == len(history) - len(history.rstrip("E"))
    assert result.consecutive_success == len(history) - len(history.rstrip("S"))


@given(metrics(), HISTORIES)
def test_a_verdict_stays_whatever_is_measured_after_it(subject: Metric, history: str) -> None:
    result: MetricResult | None = None
    decided: Phase | None = None
    for index, letter in enumerate(history):
        result = judge.record(subject, result, measurement(letter, index))
        result = judge.assess_run([subject], [result]).results[0]
        assert decided in {None, result.phase}
        decided = result.phase if result.phase.completed else None


@given(metrics(), HISTORIES)
def test_failed_means_more_failures_than_allowed_or_successes_in_a_row_missed(
    subject: Metric, history: str
) -> None:
    verdict = judge.assess_metric(subject, measured(subject, history))
    failures = history.count("F")
    if subject.failure_limit >= 0:
        assert (verdict.phase is Phase.FAILED) == (failures > subject.failure_limit)
    elif verdict.phase is Phase.FAILED:
        assert subject.consecutive_success_limit > 0


@given(metrics(), HISTORIES)
def test_an_unfavourable_verdict_is_explained_and_no_other(subject: Metric, history: str) -> None:
    verdict = judge.assess_metric(subject, measured(subject, history))
    assert bool(verdict.message) == verdict.phase.unfavourable


@given(metrics(), HISTORIES, st.integers(0, 15))
def test_errors_alone_never_change_the_count(subject: Metric, history: str, errors: int) -> None:
    before, after = measured(subject, history), measured(subject, history + "E" * errors)
    assert (before.count if before else 0) == (after.count if after else 0)


@given(RUNS, st.booleans())
def test_the_phase_of_a_run_is_that_of_its_worst_metric(
    run: tuple[tuple[Metric, str], ...], terminate: bool
) -> None:
    subjects = [subject for subject, _ in run]
    found = judge.assess_run(subjects, results(*(measured(*part) for part in run)), terminate=terminate)
    deciding = [r.phase for r in found.results if not r.dry_run and r.phase.completed]
    worst = max(deciding, key=severity, default=Phase.SUCCESSFUL)
    if found.phase.completed:
        assert found.phase is worst
    else:
        assert found.phase is Phase.RUNNING
        assert not worst.unfavourable


@given(RUNS, st.booleans())
def test_an_assessment_is_a_fixed_point(run: tuple[tuple[Metric, str], ...], terminate: bool) -> None:
    subjects = [subject for subject, _ in run]
    first = judge.assess_run(subjects, results(*(measured(*part) for part in run)), terminate=terminate)
    again = judge.assess_run(subjects, first.results, terminate=terminate)
    assert (again.phase, again.message, again.results) == (first.phase, first.message, first.results)


@given(RUNS)
def test_a_run_that_is_terminated_is_completed(run: tuple[tuple[Metric, str], ...]) -> None:
    subjects = [subject for subject, _ in run]
    found = judge.assess_run(subjects, results(*(measured(*part) for part in run)), terminate=True)
    assert found.phase.completed
    assert all(result.phase.completed for result in found.results)


@given(RUNS, st.floats(0, 2000))
def test_a_running_analysis_always_has_something_to_measure_now_or_later(
    run: tuple[tuple[Metric, str], ...], later: float
) -> None:
    subjects = [subject for subject, _ in run]
    assessed = judge.assess_run(subjects, results(*(measured(*part) for part in run)))
    now = at(later)
    due = schedule.due(subjects, assessed.results, run_started_at=START, now=now)
    following = schedule.next_due(subjects, assessed.results, run_started_at=START, now=now)
    assert (assessed.phase is Phase.RUNNING) == bool(due or following)
    assert following is None or following > now


@given(RUNS, st.floats(0, 2000))
def test_what_is_due_next_becomes_due_at_that_instant(
    run: tuple[tuple[Metric, str], ...], later: float
) -> None:
    subjects = [subject for subject, _ in run]
    found = results(*(measured(*part) for part in run))
    following = schedule.next_due(subjects, found, run_started_at=START, now=at(later))
    if following is not None:
        before = following - timedelta(microseconds=1)
        earlier = set(schedule.due(subjects, found, run_started_at=START, now=before))
        assert set(schedule.due(subjects, found, run_started_at=START, now=following)) > earlier


@given(metrics(), st.lists(st.sampled_from("SFIE"), min_size=1, max_size=40))
def test_a_whole_run_in_virtual_time_measures_no_more_than_it_must(
    subject: Metric, letters: list[str]
) -> None:
    """Schedule and judge together: the run ends, and each measurement keeps its distance."""
    found: tuple[MetricResult, ...] = ()
    now, taken, answers = START, [], iter(letters)
    for _ in range(200):
        assessed = judge.assess_run([subject], found)
        if assessed.phase.completed:
            break
        if schedule.due([subject], found, run_started_at=START, now=now):
            letter = next(answers, "S")
            taken.append((now, letter))
            answer = measurement(letter, (now - START).total_seconds())
            found = (judge.record(subject, found[0] if found else None, answer),)
            continue
        following = schedule.next_due([subject], found, run_started_at=START, now=now)
        assert following is not None
        now = following
    gaps = [(later[0] - earlier[0], earlier[1]) for earlier, later in itertools.pairwise(taken)]
    interval = subject.interval or schedule.ERROR_RETRY
    assert all(gap == (schedule.ERROR_RETRY if letter == "E" else interval) for gap, letter in gaps)
    assert taken[0][0] == START + (subject.initial_delay or seconds(0))
    if subject.effective_count is not None:
        counted = [letter for _, letter in taken if letter != "E"]
        assert len(counted) <= subject.effective_count


def test_every_letter_of_a_history_is_a_phase() -> None:
    assert {PHASES[letter] for letter in "SFIER"} == set(Phase) - {Phase.PENDING}
