"""A whole run in virtual time: what would it have measured when, and what would it have decided. Pure.

Decided here: nothing but the order of calls; `schedule` and `judge` decide as they do in the controller. Called by
`backtest`, which knows what the measurements would have been.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from analysis import judge, schedule
from analysis.model import Measurement, Metric, MetricResult, Phase, RunAssessment

Measure = Callable[[Metric, datetime, Measurement | None], Measurement]
"""Metric, instant and the last measurement of the metric -> what is measured then."""

_ALL_OF_IT = 100_000


@dataclass(frozen=True, slots=True)
class Replay:
    """One run: when it began, when and how it ended, and everything it measured."""

    started_at: datetime
    ended_at: datetime
    phase: Phase
    message: str
    results: tuple[MetricResult, ...]


def run(metrics: Sequence[Metric], started_at: datetime, until: datetime, measure: Measure) -> Replay:
    """The run that begins at `started_at`; what is unfinished at `until` is terminated there."""
    kept = [replace(metric, measurement_retention=_ALL_OF_IT) for metric in metrics]
    results: tuple[MetricResult, ...] = ()
    now = started_at
    while True:
        terminate = now >= until
        assessment = judge.assess_run(kept, results, terminate=terminate)
        if assessment.phase.completed:
            return _ended(started_at, now, _honest(kept, assessment) if terminate else assessment)
        due = schedule.due(kept, assessment.results, run_started_at=started_at, now=now)
        results = _measured(kept, assessment.results, due, now, measure)
        if not due:
            at = schedule.next_due(kept, results, run_started_at=started_at, now=now)
            now = min(at or until, until)


def _measured(
    metrics: Sequence[Metric],
    results: tuple[MetricResult, ...],
    due: Sequence[str],
    now: datetime,
    measure: Measure,
) -> tuple[MetricResult, ...]:
    found = {result.name: result for result in results}
    for metric in metrics:
        if metric.name in due:
            before = found.get(metric.name)
            one = measure(metric, now, before.last if before else None)
            found[metric.name] = judge.record(metric, before, one)
    return tuple(found[metric.name] for metric in metrics if metric.name in found)


def _honest(metrics: Sequence[Metric], assessment: RunAssessment) -> RunAssessment:
    """Ended by the clock alone, with nothing but errors so far: that is no success."""
    deciding = {metric.name for metric in metrics if not metric.dry_run}
    for result in assessment.results if assessment.phase is Phase.SUCCESSFUL else ():
        measured = result.measurements
        if result.name in deciding and measured and all(one.phase is Phase.ERROR for one in measured):
            message = f'Metric "{result.name}" was never measured: {measured[-1].message}'
            return replace(assessment, phase=Phase.ERROR, message=message)
    return assessment


def _ended(started_at: datetime, now: datetime, assessment: RunAssessment) -> Replay:
    return Replay(started_at, now, assessment.phase, assessment.message, assessment.results)
