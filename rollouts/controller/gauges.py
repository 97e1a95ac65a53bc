"""The state of Rollouts, AnalysisRuns and Experiments as gauges, read from the stores at a scrape. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily

from analysis.numbers import number
from rollouts.api.analysis import AnalysisPhase, AnalysisTemplateSpec, Metric
from rollouts.api.parse import dump
from rollouts.api.rollout import Rollout
from rollouts.api.rollout_status import Phase
from rollouts.controller.cache import Store
from rollouts.controller.experiments.records import KnownExperiment
from rollouts.controller.records import KnownRollout, Malformed
from rollouts.controller.runs import KnownRun
from rollouts.delivery import rolling
from rollouts.errors import SpecError

__all__ = ["analysis_runs", "experiments", "provider", "rollouts", "templates"]

_OBJECT = ("namespace", "name")


def rollouts(store: Store[KnownRollout | Malformed]) -> Iterator[GaugeMetricFamily]:
    """argo-rollouts: controller/metrics/rollout.go, and the weights, which it does not tell."""
    info = GaugeMetricFamily(
        "rollout_info", "Every Rollout.", labels=(*_OBJECT, "strategy", "traffic_router", "phase")
    )
    phases = GaugeMetricFamily(
        "rollout_phase", "1 for the phase that a Rollout is in.", labels=(*_OBJECT, "strategy", "phase")
    )
    counts = {name: _per_rollout(f"rollout_info_replicas_{name}", f"Pods {name}.") for name in _COUNTS}
    desired = _per_rollout("rollout_desired_weight", "Weight that the steps ask for, in percent.")
    actual = _per_rollout("rollout_actual_weight", "Share of the canary as it is, in percent.")
    for record in store:
        if not isinstance(record.value, KnownRollout):
            continue
        rollout, where = record.value.rollout, tuple(record.key)
        strategy, phase = _strategy(rollout), rollout.status.phase
        info.add_metric((*where, strategy, "", phase or ""), 1)
        for candidate in Phase:
            phases.add_metric((*where, strategy, candidate), candidate is phase)
        for name, count in _counts(rollout).items():
            counts[name].add_metric(where, count)
        if rollout.spec.strategy.blue_green is None:
            desired.add_metric(where, _desired_weight(rollout))
            weights = rollout.status.canary.weights
            actual.add_metric(where, weights.canary.weight if weights else 0)
    yield from (info, phases, *counts.values(), desired, actual)


def analysis_runs(store: Store[KnownRun]) -> Iterator[GaugeMetricFamily]:
    """argo-rollouts: controller/metrics/analysis.go"""
    info = GaugeMetricFamily("analysis_run_info", "Every AnalysisRun.", labels=(*_OBJECT, "phase"))
    phases = GaugeMetricFamily(
        "analysis_run_phase", "1 for the phase that an AnalysisRun is in.", labels=(*_OBJECT, "phase")
    )
    metrics = GaugeMetricFamily(
        "analysis_run_metric_phase",
        "1 for the phase that a metric of a running AnalysisRun is in.",
        labels=(*_OBJECT, "metric", "type", "dry_run", "phase"),
    )
    kinds = GaugeMetricFamily(
        "analysis_run_metric_type",
        "Provider of a metric of a running AnalysisRun.",
        labels=(*_OBJECT, "metric", "type"),
    )
    values = GaugeMetricFamily(
        "analysis_run_metric_value",
        "Newest value of a metric of a running AnalysisRun, where it is a number.",
        labels=(*_OBJECT, "metric"),
    )
    for record in store:
        phase = record.value.view.phase
        info.add_metric((*record.key, phase), 1)
        for candidate in AnalysisPhase:
            phases.add_metric((*record.key, candidate), candidate is phase)
        run = record.value.run
        providers = {m.name: provider(m) for m in run.spec.metrics} if run else {}
        for result in run.status.metric_results if run else ():
            kind, dry_run = providers.get(result.name, "Unknown"), str(result.dry_run).lower()
            kinds.add_metric((*record.key, result.name, kind), 1)
            for candidate in AnalysisPhase:
                where = (*record.key, result.name, kind, dry_run, candidate)
                metrics.add_metric(where, candidate is result.phase)
            value = number(result.measurements[-1].value) if result.measurements else None
            if value is not None:
                values.add_metric((*record.key, result.name), value)
    yield from (info, phases, kinds, metrics, values)


def templates(*stores: Store[AnalysisTemplateSpec | SpecError]) -> Iterator[GaugeMetricFamily]:
    """argo-rollouts: controller/metrics/analysis.go"""
    info = GaugeMetricFamily("analysis_template_info", "Every AnalysisTemplate.", labels=_OBJECT)
    metrics = GaugeMetricFamily(
        "analysis_template_metric_info",
        "Metrics of AnalysisTemplates, with their provider.",
        labels=(*_OBJECT, "type", "metric"),
    )
    for record in (record for store in stores for record in store):
        info.add_metric(record.key, 1)
        spec = record.value
        for metric in spec.metrics if isinstance(spec, AnalysisTemplateSpec) else ():
            metrics.add_metric((*record.key, provider(metric), metric.name), 1)
    yield from (info, metrics)


def provider(metric: Metric) -> str:
    """The provider of a metric by the peer's name: Prometheus, Job, Web, NewRelic, ..."""
    named = next(iter(dump(metric.provider)), "unknown")
    return named[:1].upper() + named[1:]


def experiments(store: Store[KnownExperiment]) -> Iterator[GaugeMetricFamily]:
    """argo-rollouts: controller/metrics/experiment.go"""
    info = GaugeMetricFamily("experiment_info", "Every Experiment.", labels=(*_OBJECT, "phase"))
    phases = GaugeMetricFamily(
        "experiment_phase", "1 for the phase that an Experiment is in.", labels=(*_OBJECT, "phase")
    )
    for record in store:
        phase = record.value.status.phase
        info.add_metric((*record.key, phase or ""), 1)
        for candidate in AnalysisPhase:
            phases.add_metric((*record.key, candidate), candidate is phase)
    yield from (info, phases)


_COUNTS = ("desired", "updated", "available", "unavailable")


def _per_rollout(name: str, documentation: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, labels=_OBJECT)


def _counts(rollout: Rollout) -> dict[str, int]:
    status = rollout.status
    return {
        "desired": rollout.spec.replicas,
        "updated": status.updated_replicas,
        "available": status.available_replicas,
        "unavailable": max(0, rollout.spec.replicas - status.available_replicas),
    }


def _strategy(rollout: Rollout) -> str:
    return next(iter(rolling.chosen(rollout.spec.strategy)), "")


def _desired_weight(rollout: Rollout) -> int:
    canary, status = rolling.as_canary(rollout.spec.strategy), rollout.status
    index = status.current_step_index
    if canary is None or status.abort or status.stable_rs == status.current_pod_hash:
        return 0
    if index is None or index >= len(canary.steps):
        return (canary.traffic_routing.max_traffic_weight if canary.traffic_routing else None) or 100
    weights = [step.set_weight for step in canary.steps[: index + 1] if step.set_weight is not None]
    return weights[-1] if weights else 0
