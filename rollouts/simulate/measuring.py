"""AnalysisRuns in virtual time: measured when `analysis.schedule` says so, judged by `analysis.judge`.

Only what a measurement yields comes from elsewhere, as a `Reader`. Called by `world`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from analysis import condition, judge, schedule, template
from analysis import parse as metric_specs
from analysis.answer import is_no_data, without_data
from analysis.errors import AnalysisError
from analysis.model import Measurement, Metric, MetricResult, Phase, RunAssessment
from rollouts.api.analysis import AnalysisPhase, AnalysisRunSpec
from rollouts.api.parse import dump
from rollouts.delivery.snapshot import AnalysisRun, MetricVerdict
from rollouts.simulate.scenario import Reading

Reader = Callable[[str], Reading | None]
"""Name of a metric -> what it yields now; None: a success."""

SECRET = "secret"  # noqa: S105 - stands for the value of a Secret, which nobody looks at here


@dataclass(slots=True)
class Run:
    """An AnalysisRun that goes on."""

    name: str
    metrics: tuple[Metric, ...]
    started_at: datetime
    results: tuple[MetricResult, ...] = ()

    def measure(self, now: datetime, reader: Reader) -> RunAssessment:
        """Everything that is due by now, and the verdict after it."""
        due = schedule.due(self.metrics, self.results, run_started_at=self.started_at, now=now)
        found = {result.name: result for result in self.results}
        for metric in self.metrics:
            if metric.name in due:
                taken = measured(metric, reader(metric.name), now)
                found[metric.name] = judge.record(metric, found.get(metric.name), taken)
        results = tuple(found[metric.name] for metric in self.metrics if metric.name in found)
        assessment = judge.assess_run(self.metrics, results)
        self.results = assessment.results
        return assessment

    def next_due(self, now: datetime) -> datetime | None:
        return schedule.next_due(self.metrics, self.results, run_started_at=self.started_at, now=now)


def begin(name: str, spec: AnalysisRunSpec, now: datetime) -> Run:
    """Raises `AnalysisError` for metrics that the controller could not measure either."""
    return Run(name, prepared(spec), now)


def prepared(spec: AnalysisRunSpec) -> tuple[Metric, ...]:
    """The metrics with their arguments filled in."""
    values = {arg.name: SECRET if arg.value is None else arg.value for arg in spec.args}
    return metric_specs.metrics(
        [template.resolve_metric(dump(metric), values) for metric in spec.metrics],
        dry_run=[d.metric_name for d in spec.dry_run],
        retention=[(m.metric_name, m.limit) for m in spec.measurement_retention],
    )


def measured(metric: Metric, reading: Reading | None, now: datetime) -> Measurement:
    if reading is None:
        return Measurement(Phase.SUCCESSFUL, started_at=now, finished_at=now)
    if reading.outcome is not None:
        return Measurement(reading.outcome, started_at=now, finished_at=now)
    phase, value, message = _judged(metric, _answer(metric, reading.value))
    return Measurement(phase, value, message, started_at=now, finished_at=now)


def failed(run: AnalysisRun, error: AnalysisError) -> AnalysisRun:
    return replace(run, phase=AnalysisPhase.ERROR, message=str(error))


def seen(run: AnalysisRun, metrics: tuple[Metric, ...], assessment: RunAssessment) -> AnalysisRun:
    """The run as its Rollout sees it."""
    return replace(
        run,
        phase=AnalysisPhase(assessment.phase),
        message=assessment.message,
        decided_by=_decided_by(metrics, assessment),
    )


def _judged(metric: Metric, value: object) -> tuple[Phase, str, str]:
    if metric.on_no_data and is_no_data(value):
        answer = without_data(metric, "the provider returned no data", json.dumps(value))
        return answer.phase, answer.value, answer.message
    outcome = condition.evaluate_result(value, metric.success_condition, metric.failure_condition)
    return outcome.phase, json.dumps(value), outcome.message


def _answer(metric: Metric, value: object) -> object:
    """A number stands for one sample: what Prometheus answers is a list."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return [float(value)] if is_number and "prometheus" in metric.provider else value  # type: ignore[arg-type]


def _decided_by(metrics: tuple[Metric, ...], assessment: RunAssessment) -> MetricVerdict | None:
    if not assessment.phase.unfavourable:
        return None
    result = next((r for r in assessment.results if r.phase is assessment.phase and not r.dry_run), None)
    metric = next((m for m in metrics if result and m.name == result.name), None)
    if result is None or metric is None:
        return None
    telling = next((m for m in reversed(result.measurements) if m.phase is assessment.phase), None)
    value = (telling.value or telling.message) if telling else ""
    failed_by = metric.failure_condition if assessment.phase is Phase.FAILED else None
    return MetricVerdict(
        metric.name, value, failed_by or metric.success_condition or metric.failure_condition or ""
    )
