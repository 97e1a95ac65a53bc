"""Objects in domain words, for tests: `rollout(canary(set_weight(20), pause()))`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from rollouts.api.analysis import (
    AnalysisRunArgument,
    AnalysisTemplateRef,
    AnalysisTemplateSpec,
    Metric,
)
from rollouts.api.experiment_step import (
    RolloutExperimentAnalysis,
    RolloutExperimentStep,
    RolloutExperimentTemplate,
    SpecRef,
)
from rollouts.api.meta import ObjectMeta
from rollouts.api.parse import parse
from rollouts.api.rollout import Bake, LabelSelector, RollbackWindow, Rollout, RolloutSpec
from rollouts.api.strategy import (
    BlueGreenStrategy,
    CanaryStep,
    CanaryStrategy,
    OnTimeout,
    RecreateStrategy,
    RollingUpdateStrategy,
    RolloutAnalysis,
    RolloutAnalysisBackground,
    RolloutPause,
    RolloutStrategy,
)
from rollouts.api.traffic import SetCanaryScale, TrafficRouting

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def set_weight(percent: int) -> CanaryStep:
    return CanaryStep(set_weight=percent)


def pause(
    seconds: float | None = None, *, timeout: float | None = None, then: OnTimeout = OnTimeout.ABORT
) -> CanaryStep:
    duration = None if seconds is None else timedelta(seconds=seconds)
    patience = None if timeout is None else timedelta(seconds=timeout)
    return CanaryStep(pause=RolloutPause(duration, patience, then))


def analyse(*templates: str) -> CanaryStep:
    return CanaryStep(analysis=analysis(*templates))


def experiment(*names: str, analyses: tuple[str, ...] = (), **fields: Any) -> CanaryStep:
    """Pods of both sides: `canary` and whatever else there is of stable."""
    sides = {"canary": SpecRef.CANARY}
    step = RolloutExperimentStep(
        templates=tuple(
            RolloutExperimentTemplate(name, sides.get(name, SpecRef.STABLE))
            for name in names or ("baseline", "canary")
        ),
        analyses=tuple(RolloutExperimentAnalysis(name, name) for name in analyses),
        **fields,
    )
    return CanaryStep(experiment=step)


def weighed(weight: int, **fields: Any) -> CanaryStep:
    """An experiment whose canary gets a share of the traffic."""
    step = experiment(**fields).experiment
    assert step is not None
    templates = (step.templates[0], replace(step.templates[1], weight=weight))
    return CanaryStep(experiment=replace(step, templates=templates))


def analysis(*templates: str, args: tuple[AnalysisRunArgument, ...] = ()) -> RolloutAnalysis:
    return RolloutAnalysis(templates=refs(*templates), args=args)


def background(*templates: str, starting_step: int | None = None) -> RolloutAnalysisBackground:
    return RolloutAnalysisBackground(templates=refs(*templates), starting_step=starting_step)


def refs(*templates: str) -> tuple[AnalysisTemplateRef, ...]:
    return tuple(AnalysisTemplateRef(name) for name in templates or ("success-rate",))


def template(*metrics: str, interval: float | None = None) -> AnalysisTemplateSpec:
    return AnalysisTemplateSpec(metrics=tuple(metric(name, interval=interval) for name in metrics))


def metric(name: str, *, interval: float | None = None, count: int | None = None) -> Metric:
    written = {
        "name": name,
        "provider": {"prometheus": {"query": "up"}},
        "successCondition": "result[0] >= 0.95",
        "interval": None if interval is None else f"{interval}s",
        "count": count,
    }
    return parse(Metric, written, "metric")


def canary(*steps: CanaryStep, **fields: Any) -> CanaryStrategy:
    return CanaryStrategy(steps=steps, **fields)


def routed(*steps: CanaryStep, **fields: Any) -> CanaryStrategy:
    """A canary with the router that records."""
    routing = fields.pop("traffic_routing", TrafficRouting(plugins={"recording": {}}))
    services = {"canary_service": "canary", "stable_service": "stable"}
    return CanaryStrategy(steps=steps, traffic_routing=routing, **{**services, **fields})


def set_scale(**fields: Any) -> CanaryStep:
    return CanaryStep(set_canary_scale=SetCanaryScale(**fields))


def blue_green(**fields: Any) -> BlueGreenStrategy:
    return BlueGreenStrategy(active_service=fields.pop("active_service", "active"), **fields)


def rolling_update(**fields: Any) -> RollingUpdateStrategy:
    return RollingUpdateStrategy(**fields)


def recreate(**fields: Any) -> RecreateStrategy:
    return RecreateStrategy(**fields)


Strategy = CanaryStrategy | BlueGreenStrategy | RollingUpdateStrategy | RecreateStrategy


def _chosen(strategy: Strategy) -> RolloutStrategy:
    match strategy:
        case CanaryStrategy():
            return RolloutStrategy(canary=strategy)
        case BlueGreenStrategy():
            return RolloutStrategy(blue_green=strategy)
        case RollingUpdateStrategy():
            return RolloutStrategy(rolling_update=strategy)
        case RecreateStrategy():
            return RolloutStrategy(recreate=strategy)


def rollout(
    strategy: Strategy,
    *,
    replicas: int = 4,
    name: str = "web",
    annotations: Mapping[str, str] | None = None,
    **fields: Any,
) -> Rollout:
    spec = RolloutSpec(
        selector=fields.pop("selector", LabelSelector(match_labels={"app": name})),
        template=pod_template("v1", name),
        strategy=_chosen(strategy),
        replicas=replicas,
        **fields,
    )
    metadata = ObjectMeta(
        name=name, namespace="shop", uid="uid-rollout", generation=1, annotations=annotations or {}
    )
    return Rollout(metadata, spec)


def pod_template(version: str, name: str = "web") -> Mapping[str, Any]:
    return {
        "metadata": {"labels": {"app": name}},
        "spec": {
            "containers": [
                {"name": name, "image": f"shop/{name}:{version}", "ports": [{"containerPort": 80}]}
            ]
        },
    }


def bake(seconds: float | None, analysed: RolloutAnalysis | None = None) -> Bake:
    return Bake(None if seconds is None else timedelta(seconds=seconds), analysed)


def window(revisions: int) -> RollbackWindow:
    return RollbackWindow(revisions)
