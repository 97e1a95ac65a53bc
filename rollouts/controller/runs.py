"""AnalysisRuns as the stores keep them, and their status in both vocabularies: the API's and `analysis`'.

Decides what is kept (the spec and the measurements only until the run is completed) and which metric
explains a verdict. Used by `observe`, `measure` and the wiring.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from analysis import model
from rollouts.api.analysis import (
    AnalysisPhase,
    AnalysisRun,
    AnalysisRunSpec,
    AnalysisRunStatus,
    MeasurementStatus,
    Metric,
    MetricResult,
    RunSummary,
    TTLStrategy,
)
from rollouts.api.meta import (
    CANARY_STEP_INDEX_LABEL,
    POD_TEMPLATE_HASH_LABEL,
    ROLLOUT_TYPE_LABEL,
    Names,
    ObjectMeta,
)
from rollouts.api.parse import parse, stamp
from rollouts.controller.cache import Body, Record, Store
from rollouts.controller.records import served_by
from rollouts.delivery import snapshot
from rollouts.delivery.snapshot import MetricVerdict
from rollouts.errors import SpecError
from rollouts.kube import resources

__all__ = ["KnownRun", "results_of", "runs", "status_of", "verdict"]


@dataclass(frozen=True, slots=True)
class KnownRun:
    """An AnalysisRun: as its Rollout sees it, and while it is not completed with all that measuring needs.

    `error` stands for the spec of a run that does not parse.
    """

    view: snapshot.AnalysisRun
    run: AnalysisRun | None = None
    error: SpecError | None = None
    expires_at: datetime | None = None
    """When a completed run is to be deleted."""


def runs(names: Names, instance_id: str) -> Store[KnownRun]:
    return Store(resources.analysis_run(names.group), _run, label_selector=served_by(names, instance_id))


def verdict(record: Record[KnownRun] | None) -> object:
    """What an owner looks at; measurements that change nothing of it do not ring."""
    return record and (
        record.uid,
        record.value.view.phase,
        record.value.view.message,
        record.value.view.terminating,
    )


def results_of(status: AnalysisRunStatus) -> tuple[model.MetricResult, ...]:
    """A status read back for judging."""
    return tuple(
        model.MetricResult(
            name=r.name,
            phase=model.Phase(r.phase),
            count=r.count,
            successful=r.successful,
            failed=r.failed,
            inconclusive=r.inconclusive,
            error=r.error,
            consecutive_error=r.consecutive_error,
            consecutive_success=r.consecutive_success,
            consecutive_no_data=r.consecutive_no_data,
            measurements=tuple(_measurement(m) for m in r.measurements),
            message=r.message,
            dry_run=r.dry_run,
            metadata=r.metadata,
        )
        for r in status.metric_results
    )


def status_of(assessment: model.RunAssessment, *, started_at: datetime, now: datetime) -> AnalysisRunStatus:
    """An assessment as it is written."""
    phase = AnalysisPhase(assessment.phase)
    dry_run = _summary(assessment.dry_run_summary)
    return AnalysisRunStatus(
        phase=phase,
        message=assessment.message,
        metric_results=tuple(_result(r) for r in assessment.results),
        started_at=started_at,
        completed_at=stamp(now) if phase.completed else None,
        run_summary=_summary(assessment.summary),
        dry_run_summary=dry_run if dry_run.count else None,
    )


def _run(body: Body, old: Record[KnownRun] | None) -> KnownRun:
    del old
    metadata = parse(ObjectMeta, body["metadata"], "metadata", strict=False)
    try:
        status = parse(AnalysisRunStatus, body.get("status") or {}, "status", strict=False)
        spec = parse(AnalysisRunSpec, body.get("spec"), "spec")
    except SpecError as e:
        return KnownRun(_malformed_view(body, metadata), error=e.with_traceback(None))
    view = _view(metadata, spec, status)
    if view.phase.completed:
        return KnownRun(view, expires_at=_expiry(spec.ttl_strategy, status))
    return KnownRun(view, AnalysisRun(metadata, spec, status))


def _view(metadata: ObjectMeta, spec: AnalysisRunSpec, status: AnalysisRunStatus) -> snapshot.AnalysisRun:
    step_index = metadata.labels.get(CANARY_STEP_INDEX_LABEL, "")
    return snapshot.AnalysisRun(
        name=metadata.name,
        uid=metadata.uid,
        resource_version=metadata.resource_version,
        created_at=metadata.creation_timestamp or datetime.min,  # noqa: DTZ901 - the server always sets it
        type=metadata.labels.get(ROLLOUT_TYPE_LABEL, ""),
        pod_template_hash=metadata.labels.get(POD_TEMPLATE_HASH_LABEL, ""),
        step_index=int(step_index) if step_index.isdecimal() else None,
        phase=status.phase or AnalysisPhase.PENDING,
        message=status.message,
        terminating=spec.terminate,
        decided_by=_decided_by(spec.metrics, status),
    )


def _malformed_view(body: Body, metadata: ObjectMeta) -> snapshot.AnalysisRun:
    """The phase alone is read; the measuring side answers with Error what it has not answered yet."""
    raw: Mapping[str, Any] = body.get("status") or {}
    try:
        phase = AnalysisPhase(raw.get("phase") or AnalysisPhase.PENDING)
    except ValueError:
        phase = AnalysisPhase.PENDING
    status = AnalysisRunStatus(phase=phase, message=str(raw.get("message", "")))
    return _view(metadata, AnalysisRunSpec(metrics=()), status)


def _decided_by(metrics: tuple[Metric, ...], status: AnalysisRunStatus) -> MetricVerdict | None:
    """The metric that made a run end badly, with the measurement that tells and what it did not meet."""
    if status.phase is None or not model.Phase(status.phase).unfavourable:
        return None
    result = next((r for r in status.metric_results if r.phase is status.phase and not r.dry_run), None)
    metric = next((m for m in metrics if result and m.name == result.name), None)
    if result is None or metric is None:
        return None
    telling = next((m for m in reversed(result.measurements) if m.phase is status.phase), None)
    value, message = (telling.value, telling.message) if telling else ("", result.message)
    if metric.comparison is not None:
        limit = f"confidence {metric.comparison.confidence}, minimumEffect {metric.comparison.minimum_effect}"
        return MetricVerdict(metric.name, message, limit)
    failed_by = status.phase is AnalysisPhase.FAILED and metric.failure_condition
    condition = failed_by or metric.success_condition or metric.failure_condition
    return MetricVerdict(metric.name, value or message, condition)


def _expiry(ttl: TTLStrategy | None, status: AnalysisRunStatus) -> datetime | None:
    # argo-rollouts: analysis/controller.go, the limit for the outcome goes before the one for any outcome
    if ttl is None or status.completed_at is None:
        return None
    successful = status.phase is AnalysisPhase.SUCCESSFUL
    own = ttl.seconds_after_success if successful else ttl.seconds_after_failure
    seconds = own if own is not None else ttl.seconds_after_completion
    return None if seconds is None else status.completed_at + timedelta(seconds=seconds)


def _measurement(m: MeasurementStatus) -> model.Measurement:
    return model.Measurement(
        phase=model.Phase(m.phase),
        value=m.value,
        message=m.message,
        started_at=m.started_at,
        finished_at=m.finished_at,
        metadata=m.metadata,
    )


def _result(r: model.MetricResult) -> MetricResult:
    return MetricResult(
        name=r.name,
        phase=AnalysisPhase(r.phase),
        message=r.message,
        count=r.count,
        successful=r.successful,
        failed=r.failed,
        inconclusive=r.inconclusive,
        error=r.error,
        consecutive_error=r.consecutive_error,
        consecutive_success=r.consecutive_success,
        consecutive_no_data=r.consecutive_no_data,
        dry_run=r.dry_run,
        metadata=r.metadata,
        measurements=tuple(
            MeasurementStatus(
                AnalysisPhase(m.phase), m.value, m.message, m.started_at, m.finished_at, m.metadata
            )
            for m in r.measurements
        ),
    )


def _summary(s: model.Summary) -> RunSummary:
    return RunSummary(s.count, s.successful, s.failed, s.inconclusive, s.error)
