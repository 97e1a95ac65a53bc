"""Which metric is measured when. Pure: every instant comes in as an argument.

Decided here: the instant of the next measurement of each metric. Not decided here: whether a metric is
finished (`judge`). The controller asks `due` for what to measure now and `next_due` for when to look again.

The rules are those of Argo Rollouts (analysis/analysis.go): the first measurement comes initialDelay after
the start of the run, each further one an interval after the last one *finished*, and after an error ten
seconds later whatever the interval is. A measurement that a crash left in flight is taken again, not before
its `resume_at`. A run that is being terminated measures nothing more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from analysis import judge
from analysis.model import Metric, MetricResult, Phase

ERROR_RETRY = timedelta(seconds=10)


def due(
    metrics: Sequence[Metric],
    results: Sequence[MetricResult],
    *,
    run_started_at: datetime | None,
    now: datetime,
    terminate: bool = False,
) -> tuple[str, ...]:
    """Names of the metrics to measure now, in the order of the spec."""
    planned = _planned(metrics, results, run_started_at or now, terminate=terminate)
    return tuple(name for name, at in planned if at <= now)


def next_due(
    metrics: Sequence[Metric],
    results: Sequence[MetricResult],
    *,
    run_started_at: datetime | None,
    now: datetime,
    terminate: bool = False,
) -> datetime | None:
    """The earliest instant after `now` at which a metric falls due; those due already are not counted."""
    planned = _planned(metrics, results, run_started_at or now, terminate=terminate)
    return min((at for _, at in planned if at > now), default=None)


def _planned(
    metrics: Sequence[Metric], results: Sequence[MetricResult], started_at: datetime, *, terminate: bool
) -> Iterator[tuple[str, datetime]]:
    if judge.is_terminating(metrics, results, terminate=terminate):
        return
    found = {result.name: result for result in results}
    for metric in metrics:
        at = next_measurement(metric, found.get(metric.name), started_at)
        if at is not None:
            yield metric.name, at


def next_measurement(metric: Metric, result: MetricResult | None, started_at: datetime) -> datetime | None:
    """When one metric is to be measured next; None when it is completed."""
    if judge.assess_metric(metric, result).phase.completed:
        return None
    last = result.last if result else None
    if last is None:
        return started_at + (metric.initial_delay or timedelta())
    if last.finished_at is None:
        return last.resume_at or last.started_at or started_at
    # An interval is absent only when one measurement is wanted, so that a further one is a retry.
    retry = last.phase is Phase.ERROR or metric.interval is None
    return last.finished_at + (ERROR_RETRY if retry else metric.interval or ERROR_RETRY)
