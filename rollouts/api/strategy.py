"""How an update is rolled out: canary and blue-green, their steps and analyses.

Part of the Rollout kind (`rollouts.api.rollout`). Decides nothing; `rollouts.delivery` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from rollouts.api.analysis import (
    AnalysisRunArgument,
    AnalysisRunMetadata,
    AnalysisTemplateRef,
    DryRun,
    MeasurementRetention,
)
from rollouts.api.experiment_step import RolloutExperimentStep
from rollouts.api.podmetadata import PodTemplateMetadata as PodTemplateMetadata  # noqa: PLC0414 - part of this vocabulary
from rollouts.api.schema import Field, IntOrString, Rule
from rollouts.api.traffic import SetCanaryScale, SetHeaderRoute, SetMirrorRoute, TrafficRouting
from rollouts.api.webhook import Webhook


@dataclass(frozen=True, slots=True)
class RolloutAnalysis:
    """An analysis that a Rollout starts."""

    templates: Annotated[
        tuple[AnalysisTemplateRef, ...],
        Field("Templates whose metrics are measured together in one AnalysisRun."),
    ] = ()
    args: Annotated[tuple[AnalysisRunArgument, ...], Field("Arguments for the templates.")] = ()
    dry_run: Annotated[tuple[DryRun, ...], Field("Metrics that are measured but never decide.")] = ()
    measurement_retention: Annotated[
        tuple[MeasurementRetention, ...], Field("How many measurements of a metric are kept in the status.")
    ] = ()
    analysis_run_metadata: Annotated[
        AnalysisRunMetadata | None, Field("Labels and annotations for the AnalysisRun.")
    ] = None


@dataclass(frozen=True, slots=True)
class RolloutAnalysisBackground(RolloutAnalysis):
    """An analysis that runs beside the steps until the update ends."""

    starting_step: Annotated[
        int | None,
        Field("Index of the step (from 0) at which the analysis starts. Default: the first.", minimum=0),
    ] = None


class OnTimeout(StrEnum):
    """What a pause that nobody answers in time leads to."""

    ABORT = "abort"
    PROMOTE = "promote"


@dataclass(frozen=True, slots=True)
class RolloutPause:
    RULES = (
        Rule(
            "!(has(self.duration) && has(self.timeout))",
            "timeout is for a pause without duration, which ends by itself",
        ),
    )

    duration: Annotated[
        timedelta | None,
        Field('How long to wait: seconds, or a duration such as "10m". Without it: until somebody promotes.'),
    ] = None
    timeout: Annotated[
        timedelta | None, Field("How long somebody is waited for, where there is no duration.")
    ] = None
    on_timeout: Annotated[
        OnTimeout, Field("What happens when nobody has promoted by then: abort the update, or go on.")
    ] = OnTimeout.ABORT


@dataclass(frozen=True, slots=True)
class CanaryStep:
    """One step of a canary: one of setWeight, pause, analysis and experiment, and what a router is told with it."""

    RULES = (
        Rule(
            "[has(self.setWeight), has(self.pause), has(self.analysis), has(self.experiment)]"
            ".filter(x, x).size() <= 1",
            "a step has at most one of setWeight, pause, analysis, experiment",
        ),
        Rule(
            "has(self.setWeight) || has(self.pause) || has(self.analysis) || has(self.experiment) ||"
            " has(self.setCanaryScale) || has(self.setHeaderRoute) || has(self.setMirrorRoute)",
            "a step has one of setWeight, pause, analysis, setCanaryScale, setHeaderRoute, setMirrorRoute,"
            " experiment",
        ),
    )

    set_weight: Annotated[
        int | None,
        Field(
            "Share of the canary: of the traffic where trafficRouting is set, else of the pods. In percent,"
            " or of maxTrafficWeight.",
            minimum=0,
        ),
    ] = None
    pause: Annotated[RolloutPause | None, Field("Wait for a time, or for a person.")] = None
    analysis: Annotated[
        RolloutAnalysis | None, Field("Run an analysis and go on only when it is Successful.")
    ] = None
    set_canary_scale: Annotated[
        SetCanaryScale | None,
        Field("Pods of the canary from here on, whatever its weight. Needs trafficRouting."),
    ] = None
    set_header_route: Annotated[
        SetHeaderRoute | None,
        Field("Send requests with certain headers to the canary. Needs trafficRouting."),
    ] = None
    set_mirror_route: Annotated[
        SetMirrorRoute | None, Field("Copy requests to the canary. Needs trafficRouting.")
    ] = None
    experiment: Annotated[
        RolloutExperimentStep | None,
        Field("Run pods of both versions side by side and go on only when the Experiment is Successful."),
    ] = None


@dataclass(frozen=True, slots=True)
class PreferredDuringScheduling:
    weight: Annotated[int, Field("Weight of the preference among others of the pod.", minimum=1, maximum=100)]


@dataclass(frozen=True, slots=True)
class RequiredDuringScheduling:
    """There is nothing to set."""


@dataclass(frozen=True, slots=True)
class AntiAffinity:
    """Pods of a new version stay off the nodes where pods of the stable version run. Exactly one field is set."""

    required_during_scheduling_ignored_during_execution: Annotated[
        RequiredDuringScheduling | None, Field("A pod that cannot is not scheduled.")
    ] = None
    preferred_during_scheduling_ignored_during_execution: Annotated[
        PreferredDuringScheduling | None,
        Field("A pod that cannot is scheduled all the same."),
    ] = None


class ProgressType(StrEnum):
    PERCENT = "Percent"
    PODS = "Pods"


@dataclass(frozen=True, slots=True)
class ReplicaProgressThreshold:
    """How many of the pods of a step are enough to go on."""

    type: Annotated[ProgressType, Field("Percent of the pods that the step asks for, or a count of Pods.")]
    value: Annotated[int, Field("The percentage or the count.", minimum=0)]


@dataclass(frozen=True, slots=True)
class CanaryStrategy:
    """Replace the pods step by step, by the ratio of canary to stable pods or by weights of a router."""

    RULES = (
        Rule(
            "!has(self.steps) || self.steps.all(s, !has(s.setWeight) || s.setWeight <= 100 || "
            "(has(self.trafficRouting) && has(self.trafficRouting.maxTrafficWeight)))",
            "setWeight is a percentage, at most 100, unless trafficRouting.maxTrafficWeight is set",
        ),
    )

    canary_service: Annotated[
        str, Field("Service whose selector is kept on the canary pods (the newest ReplicaSet).")
    ] = ""
    stable_service: Annotated[str, Field("Service whose selector is kept on the stable pods.")] = ""
    steps: Annotated[
        tuple[CanaryStep, ...],
        # The bound keeps the cost of the rule on a step within what the API server accepts.
        Field("Steps in order. Without steps: a rolling update.", schema={"maxItems": 1000}),
    ] = ()
    max_surge: Annotated[
        IntOrString,
        Field(
            "Pods allowed above the replicas during an update: count or percentage, rounded up.",
            percent=True,
            minimum=0,
        ),
    ] = "25%"
    max_unavailable: Annotated[
        IntOrString,
        Field(
            "Pods allowed to be missing during an update: count or percentage, rounded down.",
            percent=True,
            minimum=0,
        ),
    ] = "25%"
    analysis: Annotated[RolloutAnalysisBackground | None, Field("Analysis that runs beside the steps.")] = (
        None
    )
    traffic_routing: Annotated[
        TrafficRouting | None, Field("Routers that send each side its share. Default: the ratio of the pods.")
    ] = None
    scale_down_delay_seconds: Annotated[
        int | None,
        Field(
            "Seconds that the old version is kept up after promotion. Default: 30. Needs trafficRouting.",
            minimum=0,
        ),
    ] = None
    scale_down_delay_revision_limit: Annotated[
        int | None, Field("At most this many old versions are kept up during their delay.", minimum=0)
    ] = None
    abort_scale_down_delay_seconds: Annotated[
        int | None,
        Field(
            "Seconds that the canary is kept up after an abort; 0 keeps it up. Default: 30. Only with"
            " trafficRouting.",
            minimum=0,
        ),
    ] = None
    dynamic_stable_scale: Annotated[
        bool, Field("Scale stable down as its share falls. Needs trafficRouting.")
    ] = False
    min_pods_per_replica_set: Annotated[
        int | None, Field("Pods of each side that has any, at least. Only with trafficRouting.", minimum=1)
    ] = None
    replica_progress_threshold: Annotated[
        ReplicaProgressThreshold | None,
        Field("Available canary pods that are enough for the next step. Default: all that are asked for."),
    ] = None
    webhooks: Annotated[
        tuple[Webhook, ...], Field("Endpoints that are asked before the update goes on, or told of it.")
    ] = ()
    canary_metadata: Annotated[
        PodTemplateMetadata | None,
        Field("Labels and annotations of the pods of the new version, until it is promoted or aborted."),
    ] = None
    stable_metadata: Annotated[
        PodTemplateMetadata | None, Field("Labels and annotations of the pods of the stable version.")
    ] = None
    anti_affinity: Annotated[
        AntiAffinity | None, Field("Keeps pods of the new version off the nodes of the stable version.")
    ] = None


@dataclass(frozen=True, slots=True)
class BlueGreenStrategy:
    """Bring up the new version beside the old one and switch the Service over."""

    active_service: Annotated[str, Field("Service that users reach.", min_length=1)]
    preview_service: Annotated[str, Field("Service that reaches the new version before promotion.")] = ""
    preview_replica_count: Annotated[
        int | None, Field("Pods of the new version before promotion. Default: all replicas.", minimum=0)
    ] = None
    auto_promotion_enabled: Annotated[
        bool, Field("Promote as soon as the new version is ready and analysed. False: wait for a person.")
    ] = True
    auto_promotion_seconds: Annotated[
        int,
        Field(
            "Seconds to wait before it is promoted by itself. Ignored without autoPromotionEnabled.",
            minimum=0,
        ),
    ] = 0
    promotion_timeout: Annotated[
        timedelta | None,
        Field("How long somebody is waited for, where autoPromotionEnabled is false."),
    ] = None
    on_promotion_timeout: Annotated[
        OnTimeout, Field("What happens when nobody has promoted by then: abort the update, or go on.")
    ] = OnTimeout.ABORT
    scale_down_delay_seconds: Annotated[
        int, Field("Seconds that the old version is kept up after the switch.", minimum=0)
    ] = 30
    scale_down_delay_revision_limit: Annotated[
        int | None, Field("At most this many old versions are kept up during their delay.", minimum=0)
    ] = None
    abort_scale_down_delay_seconds: Annotated[
        int, Field("Seconds that the new version is kept up after an abort; 0 keeps it up.", minimum=0)
    ] = 30
    pre_promotion_analysis: Annotated[RolloutAnalysis | None, Field("Analysis before the switch.")] = None
    post_promotion_analysis: Annotated[RolloutAnalysis | None, Field("Analysis after the switch.")] = None
    webhooks: Annotated[
        tuple[Webhook, ...], Field("Endpoints that are asked before the update goes on, or told of it.")
    ] = ()
    preview_metadata: Annotated[
        PodTemplateMetadata | None,
        Field("Labels and annotations of the pods of the new version, until it is promoted or aborted."),
    ] = None
    active_metadata: Annotated[
        PodTemplateMetadata | None, Field("Labels and annotations of the pods of the stable version.")
    ] = None
    anti_affinity: Annotated[
        AntiAffinity | None, Field("Keeps pods of the new version off the nodes of the stable version.")
    ] = None


@dataclass(frozen=True, slots=True)
class RollingUpdateStrategy:
    """Replace the pods a few at a time, as a Deployment does (ours)."""

    max_surge: Annotated[
        IntOrString,
        Field(
            "Pods allowed above the replicas during an update: count or percentage, rounded up.",
            percent=True,
            minimum=0,
        ),
    ] = "25%"
    max_unavailable: Annotated[
        IntOrString,
        Field(
            "Pods allowed to be missing during an update: count or percentage, rounded down.",
            percent=True,
            minimum=0,
        ),
    ] = "25%"
    analysis: Annotated[RolloutAnalysisBackground | None, Field("Analysis during the update.")] = None


@dataclass(frozen=True, slots=True)
class RecreateStrategy:
    """End all old pods before the first new one starts, as a Deployment does (ours)."""

    analysis: Annotated[RolloutAnalysisBackground | None, Field("Analysis during the update.")] = None


class StrategyType(StrEnum):
    """`strategy.type` of a Deployment."""

    ROLLING_UPDATE = "RollingUpdate"
    RECREATE = "Recreate"


@dataclass(frozen=True, slots=True)
class RolloutStrategy:
    RULES = (
        Rule(
            "[has(self.canary), has(self.blueGreen), "
            "has(self.rollingUpdate) || (has(self.type) && self.type == 'RollingUpdate'), "
            "has(self.recreate) || (has(self.type) && self.type == 'Recreate')].exists_one(x, x)",
            "exactly one of canary, blueGreen, rollingUpdate and recreate must be set",
        ),
    )

    canary: Annotated[CanaryStrategy | None, Field("Step by step.")] = None
    blue_green: Annotated[BlueGreenStrategy | None, Field("Side by side, then switch.")] = None
    rolling_update: Annotated[RollingUpdateStrategy | None, Field("A few pods at a time.")] = None
    recreate: Annotated[RecreateStrategy | None, Field("The old pods first, then the new ones.")] = None
    type: Annotated[
        StrategyType | None,
        Field("As in a Deployment: RollingUpdate stands for rollingUpdate, Recreate for recreate."),
    ] = None

    @property
    def service_names(self) -> tuple[str, ...]:
        """Services that are named, each once."""
        named: list[str] = []
        if self.canary:
            named += [self.canary.canary_service, self.canary.stable_service]
            routing = self.canary.traffic_routing
            named += [routing.services.root_service] if routing and routing.services else []
        if self.blue_green:
            named += [self.blue_green.active_service, self.blue_green.preview_service]
        return tuple(dict.fromkeys(name for name in named if name))
