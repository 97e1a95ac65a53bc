"""The measurements of a run that are to come, and those that its status does not hold yet. Pure.

Decided here: what has to be known to take the next measurement, and how finished ones join the results. When is
`analysis.schedule`'s, what follows `analysis.judge`'s. Called by `measure`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from analysis import judge, model, schedule
from rollouts.api.parse import stamp

__all__ = ["Due", "coming", "folded", "next_number", "stamped"]


@dataclass(frozen=True, slots=True)
class Due:
    """The next measurement of a metric, and what came before it."""

    name: str
    at: datetime
    run_started_at: datetime
    result: model.MetricResult | None

    @property
    def last(self) -> model.Measurement | None:
        return self.result.last if self.result else None

    @property
    def number(self) -> int:
        return next_number(self.result)

    def after(self, metric: model.Metric, found: model.Measurement) -> Due | None:
        """The one after this one; None if the metric is completed."""
        result = judge.record(metric, self.result, found)
        at = schedule.next_measurement(metric, result, self.run_started_at)
        return replace(self, at=at, result=result) if at else None


def coming(
    metrics: Sequence[model.Metric], assessment: model.RunAssessment, started_at: datetime
) -> Iterator[Due]:
    """The next measurement of each metric that is not completed."""
    results = {result.name: result for result in assessment.results}
    for metric in metrics:
        result = results.get(metric.name)
        at = schedule.next_measurement(metric, result, started_at)
        if at is not None:
            yield Due(metric.name, at, started_at, result)


def folded(
    metrics: tuple[model.Metric, ...],
    results: tuple[model.MetricResult, ...],
    finished: Mapping[str, Sequence[model.Measurement]],
    metadata: Callable[[model.Metric], Mapping[str, str]],
) -> tuple[model.MetricResult, ...]:
    """The results with the finished measurements that they do not hold yet, in the order of the spec."""
    found = {r.name: r for r in results}
    for metric in metrics:
        for measurement in finished.get(metric.name, ()):
            known = found.get(metric.name)
            if not (known and measurement in known.measurements):
                found[metric.name] = judge.record(metric, known, measurement, metadata=metadata(metric))
    return tuple(found[m.name] for m in metrics if m.name in found)


def stamped(m: model.Measurement) -> model.Measurement:
    """As it will be read back from the status, so that the same measurement is recognised there."""
    return model.Measurement(
        phase=m.phase,
        value=m.value,
        message=m.message,
        started_at=stamp(m.started_at) if m.started_at else None,
        finished_at=stamp(m.finished_at) if m.finished_at else None,
        metadata=m.metadata,
    )


def next_number(result: model.MetricResult | None) -> int:
    """From 1; the same after a restart, until the measurement is in the status."""
    return result.count + result.error + 1 if result else 1
