"""The Rollout kind: spec, status and defaults, field for field as Argo Rollouts v1alpha1 names them.

Single source of the CRD, the reference and the validation. Decides nothing; `rollouts.delivery` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from rollouts.api.analysis import (
    AnalysisPhase,
    AnalysisRunArgument,
    AnalysisTemplateRef,
    DryRun,
    MeasurementRetention,
)
from rollouts.api.meta import Condition, ObjectMeta
from rollouts.api.schema import Field, IntOrString, Rule


class Phase(StrEnum):
    """`status.phase` (argo-rollouts: utils/rollout/rolloututil.go)."""

    HEALTHY = "Healthy"
    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    DEGRADED = "Degraded"


class PauseReason(StrEnum):
    CANARY_PAUSE_STEP = "CanaryPauseStep"
    BLUE_GREEN_PAUSE = "BlueGreenPause"
    INCONCLUSIVE_ANALYSIS = "InconclusiveAnalysisRun"


class CompletionStatus(StrEnum):
    PROMOTED = "Promoted"
    FAST_PROMOTED = "FastPromoted"
    ABORTED = "Aborted"
    SUPERSEDED = "Superseded"
    ROLLED_BACK = "RolledBack"
    FAST_ROLLED_BACK = "FastRolledBack"


@dataclass(frozen=True, slots=True)
class AnalysisRunMetadata:
    labels: Annotated[Mapping[str, str], Field("Labels for the AnalysisRun.")] = field(default_factory=dict)
    annotations: Annotated[Mapping[str, str], Field("Annotations for the AnalysisRun.")] = field(
        default_factory=dict
    )


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


@dataclass(frozen=True, slots=True)
class RolloutPause:
    duration: Annotated[
        timedelta | None,
        Field('How long to wait: seconds, or a duration such as "10m". Without it: until somebody promotes.'),
    ] = None


@dataclass(frozen=True, slots=True)
class CanaryStep:
    """One step of a canary. Exactly one field is set."""

    RULES = (
        Rule(
            "[has(self.setWeight), has(self.pause), has(self.analysis)].exists_one(x, x)",
            "a step has exactly one of setWeight, pause, analysis",
        ),
    )

    set_weight: Annotated[
        int | None, Field("Share of the canary in percent of the replicas.", minimum=0, maximum=100)
    ] = None
    pause: Annotated[RolloutPause | None, Field("Wait for a time, or for a person.")] = None
    analysis: Annotated[
        RolloutAnalysis | None, Field("Run an analysis and go on only when it is Successful.")
    ] = None


@dataclass(frozen=True, slots=True)
class CanaryStrategy:
    """Replace the pods step by step, by the ratio of canary to stable pods."""

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


@dataclass(frozen=True, slots=True)
class RolloutStrategy:
    RULES = (
        Rule("has(self.canary) != has(self.blueGreen)", "exactly one of canary and blueGreen must be set"),
    )

    canary: Annotated[CanaryStrategy | None, Field("Step by step.")] = None
    blue_green: Annotated[BlueGreenStrategy | None, Field("Side by side, then switch.")] = None


@dataclass(frozen=True, slots=True)
class LabelSelectorRequirement:
    key: Annotated[str, Field("Label key.")]
    operator: Annotated[
        str, Field("In, NotIn, Exists or DoesNotExist.", pattern="^(In|NotIn|Exists|DoesNotExist)$")
    ]
    values: Annotated[tuple[str, ...], Field("Values for In and NotIn.")] = ()


@dataclass(frozen=True, slots=True)
class LabelSelector:
    match_labels: Annotated[Mapping[str, str], Field("Labels with exactly these values.")] = field(
        default_factory=dict
    )
    match_expressions: Annotated[
        tuple[LabelSelectorRequirement, ...], Field("Requirements, all of which hold.")
    ] = ()


@dataclass(frozen=True, slots=True)
class RollbackWindow:
    revisions: Annotated[
        int, Field("Going back to one of the last this many revisions skips steps and analysis.", minimum=0)
    ] = 0


@dataclass(frozen=True, slots=True)
class AnalysisRunStrategy:
    successful_run_history_limit: Annotated[int, Field("Successful AnalysisRuns to keep.", minimum=0)] = 5
    unsuccessful_run_history_limit: Annotated[
        int, Field("Failed, errored and inconclusive AnalysisRuns to keep.", minimum=0)
    ] = 5


@dataclass(frozen=True, slots=True)
class RolloutSpec:
    selector: Annotated[
        LabelSelector, Field("Selects the pods; must match the template's labels. Immutable.")
    ]
    template: Annotated[
        Mapping[str, Any],
        Field("Pod template. A change to it starts an update."),
    ]
    strategy: Annotated[RolloutStrategy, Field("How an update is rolled out.")]
    replicas: Annotated[int, Field("Desired pods.", minimum=0, schema={"default": 1})] = 1
    min_ready_seconds: Annotated[
        int, Field("Seconds a pod must be ready before it counts as available.", minimum=0)
    ] = 0
    revision_history_limit: Annotated[int, Field("Old ReplicaSets to keep for undo.", minimum=0)] = 10
    progress_deadline_seconds: Annotated[
        int, Field("Seconds without progress after which the update has failed.", minimum=1)
    ] = 600
    progress_deadline_abort: Annotated[bool, Field("Abort when the progress deadline is exceeded.")] = False
    paused: Annotated[bool, Field("Hold the update where it is; scaling is still served.")] = False
    restart_at: Annotated[datetime | None, Field("Restart every pod that was created before this time.")] = (
        None
    )
    rollback_window: Annotated[RollbackWindow | None, Field("Fast rollback to recent revisions.")] = None
    analysis: Annotated[AnalysisRunStrategy, Field("AnalysisRuns to keep.")] = field(
        default_factory=AnalysisRunStrategy
    )


@dataclass(frozen=True, slots=True)
class PauseCondition:
    reason: Annotated[PauseReason, Field("Why the update waits.")]
    start_time: Annotated[datetime, Field("Since when.")]


@dataclass(frozen=True, slots=True)
class RolloutAnalysisRunStatus:
    name: Annotated[str, Field("Name of the AnalysisRun.")]
    status: Annotated[AnalysisPhase, Field("Its phase.")]
    message: Annotated[str, Field("Its message.")] = ""


@dataclass(frozen=True, slots=True)
class WeightDestination:
    weight: Annotated[int, Field("Share in percent.", shown=True)] = 0
    service_name: Annotated[str, Field("Service of this side, if it has one.")] = ""
    pod_template_hash: Annotated[str, Field("Pod template hash of this side.")] = ""


@dataclass(frozen=True, slots=True)
class TrafficWeights:
    canary: Annotated[WeightDestination, Field("What the canary gets.")] = field(
        default_factory=WeightDestination
    )
    stable: Annotated[WeightDestination, Field("What stable gets.")] = field(
        default_factory=WeightDestination
    )


@dataclass(frozen=True, slots=True)
class CanaryStatus:
    current_step_analysis_run_status: Annotated[
        RolloutAnalysisRunStatus | None, Field("AnalysisRun of the current step.")
    ] = None
    current_background_analysis_run_status: Annotated[
        RolloutAnalysisRunStatus | None, Field("AnalysisRun beside the steps.")
    ] = None
    weights: Annotated[TrafficWeights | None, Field("Shares as they are now.")] = None


@dataclass(frozen=True, slots=True)
class BlueGreenStatus:
    preview_selector: Annotated[str, Field("Pod template hash that the preview Service selects.")] = ""
    active_selector: Annotated[str, Field("Pod template hash that the active Service selects.")] = ""
    scale_up_preview_check_point: Annotated[
        bool, Field("The preview is accepted: analysis and pause are over, it gets all replicas.")
    ] = False
    pre_promotion_analysis_run_status: Annotated[
        RolloutAnalysisRunStatus | None, Field("AnalysisRun before the switch.")
    ] = None
    post_promotion_analysis_run_status: Annotated[
        RolloutAnalysisRunStatus | None, Field("AnalysisRun after the switch.")
    ] = None


@dataclass(frozen=True, slots=True)
class RolloutDuration:
    rollout_started_at: Annotated[datetime | None, Field("When this update started.")] = None
    manual_pause_started_at: Annotated[datetime | None, Field("Since when a person is waited for.")] = None
    total_manual_pause_duration_seconds: Annotated[int | None, Field("Seconds spent waiting for people.")] = (
        None
    )
    finished_at: Annotated[datetime | None, Field("When this update ended.")] = None
    completion_status: Annotated[CompletionStatus | None, Field("How it ended.")] = None


@dataclass(frozen=True, slots=True)
class AbortReason:
    """Why an update was aborted, in fields (ours)."""

    reason: Annotated[str, Field("Aborted, AnalysisFailed, AnalysisError or ProgressDeadlineExceeded.")]
    message: Annotated[str, Field("One sentence: what happened.")]
    revision: Annotated[int, Field("Revision that was aborted.")] = 0
    git_revision: Annotated[str, Field("Git revision that the aborted spec came from.")] = ""
    pod_template_hash: Annotated[str, Field("Pod template hash that was aborted.")] = ""
    step: Annotated[int | None, Field("Index of the step (from 0) at which it happened.", shown=True)] = None
    analysis_run: Annotated[str, Field("AnalysisRun that decided.")] = ""
    metric: Annotated[str, Field("Metric that decided.")] = ""
    value: Annotated[str, Field("Its last value.")] = ""
    threshold: Annotated[str, Field("The condition that it did not meet.")] = ""


@dataclass(frozen=True, slots=True)
class RolloutStatus:
    phase: Annotated[Phase | None, Field("Healthy, Progressing, Paused or Degraded.")] = None
    message: Annotated[str, Field("Why, in one sentence.")] = ""
    observed_generation: Annotated[
        str, Field("Generation of the spec that this status is about (a string).")
    ] = ""
    abort: Annotated[
        bool, Field("True: the current update is aborted and stable serves. Set by people, too.")
    ] = False
    aborted_at: Annotated[datetime | None, Field("When it was aborted.")] = None
    abort_reason: Annotated[AbortReason | None, Field("Why it was aborted.")] = None
    promote_full: Annotated[
        bool, Field("True: skip the remaining steps, pauses and analyses. Set by people.")
    ] = False
    pause_conditions: Annotated[
        tuple[PauseCondition, ...], Field("Why the update waits. Cleared by people to go on.")
    ] = ()
    controller_pause: Annotated[bool, Field("The controller has paused the update.")] = False
    current_pod_hash: Annotated[str, Field("Pod template hash of the spec.")] = ""
    current_step_hash: Annotated[str, Field("Hash of the steps; a change starts them again.")] = ""
    current_step_index: Annotated[
        int | None, Field("Index of the current step; the number of steps when all are done.", shown=True)
    ] = None
    current_step_started_at: Annotated[datetime | None, Field("When the current step started.")] = None
    step: Annotated[str, Field("Current step and number of steps, as kubectl shows it: 2/6.")] = ""
    last_progress_at: Annotated[
        datetime | None,
        Field("When the update last came nearer to its end; the progress deadline counts from here."),
    ] = None
    best_available: Annotated[
        int, Field("Most updated pods that were available since the step began; more is progress.")
    ] = 0
    attempt: Annotated[
        int, Field("Times that this update was tried again, after an abort or an inconclusive analysis.")
    ] = 0
    stable_rs: Annotated[str, Field("Pod template hash of the stable ReplicaSet.", json="stableRS")] = ""
    current_revision: Annotated[int, Field("Number of the revision in the spec.")] = 0
    git_revision: Annotated[str, Field("Git revision that the current spec came from.")] = ""
    stable_git_revision: Annotated[str, Field("Git revision that stable came from.")] = ""
    collision_count: Annotated[int | None, Field("Times that the pod template hash collided.")] = None
    replicas: Annotated[int, Field("Pods that exist.", shown=True)] = 0
    updated_replicas: Annotated[int, Field("Pods of the spec's template.", shown=True)] = 0
    ready_replicas: Annotated[int, Field("Ready pods.", shown=True)] = 0
    available_replicas: Annotated[int, Field("Available pods.", shown=True)] = 0
    hpa_replicas: Annotated[int, Field("Pods that an autoscaler counts.", json="HPAReplicas", shown=True)] = 0
    selector: Annotated[str, Field("Pod selector as a string, for autoscalers.")] = ""
    restarted_at: Annotated[datetime | None, Field("The restartAt that has been carried out.")] = None
    canary: Annotated[CanaryStatus, Field("Canary state.")] = field(default_factory=CanaryStatus)
    blue_green: Annotated[BlueGreenStatus, Field("Blue-green state.")] = field(
        default_factory=BlueGreenStatus
    )
    conditions: Annotated[tuple[Condition, ...], Field("Conditions.")] = ()
    duration: Annotated[RolloutDuration | None, Field("When the update started and ended.")] = None


@dataclass(frozen=True, slots=True)
class Rollout:
    metadata: ObjectMeta
    spec: RolloutSpec
    status: RolloutStatus = field(default_factory=RolloutStatus)
