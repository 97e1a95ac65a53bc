"""Measurements and limits -> phase, for one metric and for a whole run. Pure.

Decided here: when a metric is Failed, Inconclusive, Error or Successful, when one metric ends the others,
and the sentence that says why. Not decided here: what a single value means (`condition`), when to measure
(`schedule`). Called by the controller and by the simulator after each measurement.

The rules are those of Argo Rollouts (analysis/analysis.go): a limit is exceeded when the count is strictly
greater; errors are not part of the count; failureLimit -1 switches that limit off. Unlike there, one call
reaches the end: a metric that fails terminates the others in the same assessment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from analysis.model import (
    EVIDENCE,
    FAILURE_LIMIT_DISABLED,
    Measurement,
    Metric,
    MetricResult,
    Phase,
    RunAssessment,
    Summary,
    severity,
)

RUN_TERMINATED = "Run Terminated"
CUT_OFF = "terminated before it had an answer"


class Verdict(NamedTuple):
    """A phase and the reason for it (empty when there is nothing to explain)."""

    phase: Phase
    message: str = ""


def record(
    metric: Metric,
    result: MetricResult | None,
    measurement: Measurement,
    *,
    metadata: Mapping[str, str] | None = None,
) -> MetricResult:
    """The result with one more measurement; one in flight is replaced by its outcome.

    A metric that is already completed stays as it is: an answer that arrives late changes no verdict.
    `metadata` goes with the first measurement of a metric.
    """
    before = result or MetricResult(name=metric.name, dry_run=metric.dry_run, metadata=metadata or {})
    if before.phase.completed:
        return before
    kept = before.measurements
    if before.last is not None and before.last.in_flight:
        kept = kept[:-1]
    kept = (*map(_without_evidence, kept), measurement)[-metric.measurement_retention :]
    counted = replace(before, phase=Phase.RUNNING, measurements=kept)
    return counted if measurement.in_flight else _count(counted, measurement.phase)


def _without_evidence(measurement: Measurement) -> Measurement:
    """What a comparison carries from look to look is kept once, with the newest measurement."""
    if EVIDENCE not in measurement.metadata:
        return measurement
    shown = {key: text for key, text in measurement.metadata.items() if key != EVIDENCE}
    return replace(measurement, metadata=shown)


def _count(result: MetricResult, phase: Phase) -> MetricResult:
    match phase:
        case Phase.SUCCESSFUL:
            return replace(
                result,
                count=result.count + 1,
                successful=result.successful + 1,
                consecutive_error=0,
                consecutive_success=result.consecutive_success + 1,
                consecutive_no_data=0,
            )
        case Phase.FAILED:
            counted = replace(result, count=result.count + 1, failed=result.failed + 1)
        case Phase.INCONCLUSIVE:
            counted = replace(result, count=result.count + 1, inconclusive=result.inconclusive + 1)
        case Phase.ERROR:
            errors = result.consecutive_error + 1
            return replace(result, error=result.error + 1, consecutive_error=errors, consecutive_success=0)
        case Phase.PENDING:
            return replace(result, consecutive_error=0, consecutive_no_data=result.consecutive_no_data + 1)
        case Phase.RUNNING:
            return result
    return replace(counted, consecutive_error=0, consecutive_success=0, consecutive_no_data=0)


def assess_metric(metric: Metric, result: MetricResult | None, *, terminating: bool = False) -> Verdict:
    """The phase of one metric. `terminating`: nothing more will be measured, whatever is in flight."""
    if result is None or not result.measurements:
        return Verdict(Phase.SUCCESSFUL if terminating else Phase.PENDING)
    if result.phase.completed:
        return Verdict(result.phase, result.message)
    if result.measurements[-1].in_flight and not terminating:
        return Verdict(Phase.RUNNING)
    return (
        _limit_exceeded(metric, result)
        or _enough_in_a_row(metric, result)
        or _count_reached(metric, result)
        or Verdict(Phase.SUCCESSFUL if terminating else Phase.RUNNING)
    )


def _limit_exceeded(metric: Metric, result: MetricResult) -> Verdict | None:
    if metric.failure_limit != FAILURE_LIMIT_DISABLED and result.failed > metric.failure_limit:
        reason = f"failed ({result.failed}) > failureLimit ({metric.failure_limit})"
        return _unfavourable(metric, result, Phase.FAILED, reason)
    if result.inconclusive > metric.inconclusive_limit:
        reason = f"inconclusive ({result.inconclusive}) > inconclusiveLimit ({metric.inconclusive_limit})"
        return _unfavourable(metric, result, Phase.INCONCLUSIVE, reason)
    if result.consecutive_error > metric.consecutive_error_limit:
        limit = metric.consecutive_error_limit
        reason = f"consecutiveErrors ({result.consecutive_error}) > consecutiveErrorLimit ({limit})"
        return _unfavourable(metric, result, Phase.ERROR, reason)
    if result.consecutive_no_data > metric.no_data_limit:
        reason = f"consecutiveNoData ({result.consecutive_no_data}) > noDataLimit ({metric.no_data_limit})"
        return Verdict(Phase.INCONCLUSIVE, f"{reason}: {result.measurements[-1].message}")
    return None


def _enough_in_a_row(metric: Metric, result: MetricResult) -> Verdict | None:
    limit = metric.consecutive_success_limit
    return Verdict(Phase.SUCCESSFUL) if 0 < limit <= result.consecutive_success else None


def _count_reached(metric: Metric, result: MetricResult) -> Verdict | None:
    count = metric.effective_count
    if count is None or result.count < count:
        return None
    if metric.consecutive_success_limit == 0:
        return Verdict(Phase.SUCCESSFUL)
    # With failureLimit switched off, successes in a row were the only way to pass.
    failed = metric.failure_limit == FAILURE_LIMIT_DISABLED
    reason = (
        f"consecutiveSuccess ({result.consecutive_success}) < "
        f"consecutiveSuccessLimit ({metric.consecutive_success_limit}) at count ({count})"
    )
    return _unfavourable(metric, result, Phase.FAILED if failed else Phase.INCONCLUSIVE, reason)


def _unfavourable(metric: Metric, result: MetricResult, phase: Phase, reason: str) -> Verdict:
    evidence = _evidence(metric, result, phase)
    return Verdict(phase, f"{reason}: {evidence}" if evidence else reason)


def _evidence(metric: Metric, result: MetricResult, phase: Phase) -> str:
    """The measurement that tells: what it says itself, or its value beside the condition it did not meet."""
    telling = next((m for m in reversed(result.measurements) if m.phase is phase), None)
    if telling is None:
        return ""
    if telling.message:
        return telling.message
    return ", ".join([f"value {_bare(telling.value)}", *_conditions(metric, phase)])


def _bare(value: str) -> str:
    """`[0.81]` reads better as `0.81`; longer lists stay as they are."""
    inner = value[1:-1]
    single = value.startswith("[") and value.endswith("]") and inner and "," not in inner
    return inner if single else value


def _conditions(metric: Metric, phase: Phase) -> list[str]:
    success = [f"successCondition {metric.success_condition}"] if metric.success_condition else []
    failure = [f"failureCondition {metric.failure_condition}"] if metric.failure_condition else []
    if phase is Phase.FAILED and failure:
        return failure
    return success + failure


def is_terminating(metrics: Sequence[Metric], results: Sequence[MetricResult], *, terminate: bool) -> bool:
    """Whether nothing more is to be measured: told to stop, or a metric that matters has ended badly."""
    if terminate:
        return True
    found = _by_name(results)
    return any(
        assess_metric(metric, found.get(metric.name)).phase.unfavourable
        for metric in metrics
        if not metric.dry_run
    )


def cut_off(
    metrics: Sequence[Metric], results: Sequence[MetricResult], now: datetime, *, terminate: bool
) -> tuple[MetricResult, ...]:
    """Where nothing more is measured, what is still in flight has no answer: it is Inconclusive, never good."""
    if not is_terminating(metrics, results, terminate=terminate):
        return tuple(results)
    by_name = {metric.name: metric for metric in metrics}
    return tuple(
        record(by_name[result.name], result, _without_answer(result.last, now))
        if result.name in by_name and result.last is not None and result.last.in_flight
        else result
        for result in results
    )


def _without_answer(measurement: Measurement, now: datetime) -> Measurement:
    return replace(measurement, phase=Phase.INCONCLUSIVE, message=CUT_OFF, finished_at=now, resume_at=None)


def assess_run(
    metrics: Sequence[Metric], results: Sequence[MetricResult], *, terminate: bool = False
) -> RunAssessment:
    """The verdict on a run and its metric results with phase and message set.

    A run that is told to stop, or in which a metric that matters ends badly, is completed at once: metrics
    in good standing count as Successful, those never measured do not count.
    """
    terminating = is_terminating(metrics, results, terminate=terminate)
    by_name = {metric.name: metric for metric in metrics}
    assessed = tuple(
        _assessed(by_name[result.name], result, terminating=terminating) if result.name in by_name else result
        for result in results
    )
    verdict = _run_verdict(metrics, assessed, terminating=terminating, terminate=terminate)
    return RunAssessment(
        phase=verdict.phase,
        message=verdict.message,
        results=assessed,
        summary=_summary(metric for metric in _paired(metrics, assessed, dry_run=False)),
        dry_run_summary=_summary(metric for metric in _paired(metrics, assessed, dry_run=True)),
    )


def _assessed(metric: Metric, result: MetricResult, *, terminating: bool) -> MetricResult:
    verdict = assess_metric(metric, result, terminating=terminating)
    return replace(result, phase=verdict.phase, message=verdict.message, dry_run=metric.dry_run)


def _run_verdict(
    metrics: Sequence[Metric], results: Sequence[MetricResult], *, terminating: bool, terminate: bool
) -> Verdict:
    if not metrics:
        return Verdict(Phase.ERROR, "the analysis has no metrics")
    found = _by_name(results)
    done = [found[m.name] for m in metrics if m.name in found and found[m.name].phase.completed]
    if not terminating and len(done) < len(metrics):
        return Verdict(Phase.RUNNING)
    worst = max((r for r in done if not r.dry_run), key=lambda r: severity(r.phase), default=None)
    if worst is None or not worst.phase.unfavourable:
        return Verdict(Phase.SUCCESSFUL, RUN_TERMINATED if terminate else "")
    return Verdict(worst.phase, f'Metric "{worst.name}" assessed {worst.phase} due to {worst.message}')


def _paired(
    metrics: Sequence[Metric], results: Sequence[MetricResult], *, dry_run: bool
) -> list[MetricResult | None]:
    found = _by_name(results)
    return [found.get(metric.name) for metric in metrics if metric.dry_run is dry_run]


def _summary(results: Iterable[MetricResult | None]) -> Summary:
    phases = [result.phase if result else Phase.PENDING for result in results]
    return Summary(
        count=len(phases),
        successful=phases.count(Phase.SUCCESSFUL),
        failed=phases.count(Phase.FAILED),
        inconclusive=phases.count(Phase.INCONCLUSIVE),
        error=phases.count(Phase.ERROR),
    )


def _by_name(results: Iterable[MetricResult]) -> dict[str, MetricResult]:
    return {result.name: result for result in results}
