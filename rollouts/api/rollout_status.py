"""The status of a Rollout, type for type as the peers' tools read it.

Part of the Rollout kind (`rollouts.api.rollout`). Written by `rollouts.delivery` only, but for the fields that people patch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from rollouts.api.analysis import (
    AnalysisPhase,
)
from rollouts.api.meta import Condition
from rollouts.api.schema import Field
from rollouts.api.webhook import WebhookStatus


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
    INCONCLUSIVE_EXPERIMENT = "InconclusiveExperiment"
    WEBHOOK_GATE = "WebhookGate"


class CompletionStatus(StrEnum):
    PROMOTED = "Promoted"
    FAST_PROMOTED = "FastPromoted"
    ABORTED = "Aborted"
    SUPERSEDED = "Superseded"
    ROLLED_BACK = "RolledBack"
    FAST_ROLLED_BACK = "FastRolledBack"


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
    additional: Annotated[
        tuple[WeightDestination, ...], Field("What others get, such as the pods of an Experiment.")
    ] = ()
    verified: Annotated[
        bool | None, Field("Whether the router has confirmed these weights, where it can tell.")
    ] = None


@dataclass(frozen=True, slots=True)
class CanaryStatus:
    current_step_analysis_run_status: Annotated[
        RolloutAnalysisRunStatus | None, Field("AnalysisRun of the current step.")
    ] = None
    current_background_analysis_run_status: Annotated[
        RolloutAnalysisRunStatus | None, Field("AnalysisRun beside the steps.")
    ] = None
    current_experiment: Annotated[str, Field("Name of the Experiment of the current step.")] = ""
    weights: Annotated[TrafficWeights | None, Field("Shares as they are now.")] = None
    router_error: Annotated[str, Field("Why a router cannot do what it should.")] = ""


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
class DeclaredStatus:
    """What of `spec.promote` and `spec.abort` has been obeyed: pod template hash and words."""

    promote: Annotated[str, Field("The last promotion.")] = ""
    abort: Annotated[str, Field("The last abort.")] = ""


@dataclass(frozen=True, slots=True)
class BakeStatus:
    started_at: Annotated[datetime, Field("When the update had reached everybody.")]
    analysis_run_status: Annotated[RolloutAnalysisRunStatus | None, Field("AnalysisRun of the bake.")] = None


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

    reason: Annotated[
        str,
        Field(
            "Aborted, AnalysisFailed, AnalysisError, ExperimentFailed, ExperimentError, WebhookFailed, "
            "WebhookRollback, PauseTimeout or ProgressDeadlineExceeded."
        ),
    ]
    message: Annotated[str, Field("One sentence: what happened.")]
    revision: Annotated[int, Field("Revision that was aborted.")] = 0
    git_revision: Annotated[str, Field("Git revision that the aborted spec came from.")] = ""
    pod_template_hash: Annotated[str, Field("Pod template hash that was aborted.")] = ""
    step: Annotated[int | None, Field("Index of the step (from 0) at which it happened.", shown=True)] = None
    analysis_run: Annotated[str, Field("AnalysisRun that decided.")] = ""
    experiment: Annotated[str, Field("Experiment that decided.")] = ""
    webhook: Annotated[str, Field("Webhook that decided.")] = ""
    metric: Annotated[str, Field("Metric that decided.")] = ""
    value: Annotated[str, Field("Its last value.")] = ""
    threshold: Annotated[str, Field("The condition that it did not meet.")] = ""


@dataclass(frozen=True, slots=True)
class ConfigCopy:
    """A ConfigMap or Secret, and the copy of it that the current revision reads (ours)."""

    kind: Annotated[str, Field("ConfigMap or Secret.")]
    name: Annotated[str, Field("What the pod template of the spec refers to.")]
    copy: Annotated[str, Field("What the pods read.")]


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
    synced_pod_metadata: Annotated[
        str, Field("Identifies the labels and annotations by role that all pods are known to carry.")
    ] = ""
    workload_observed_generation: Annotated[
        str, Field("Generation of the object in workloadRef that this status is about (a string).")
    ] = ""
    workload_replicas: Annotated[
        int | None, Field("Replicas that the Deployment in workloadRef had before it was scaled down.")
    ] = None
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
    webhooks: Annotated[tuple[WebhookStatus, ...], Field("What the webhooks of this update have said.")] = ()
    gated: Annotated[
        bool, Field("True: webhooks are asked before the current step; the weight before it holds.")
    ] = False
    queued_at: Annotated[
        datetime | None, Field("Since when the update waits for others to end; it has not begun.")
    ] = None
    config_copies: Annotated[
        tuple[ConfigCopy, ...], Field("Copies of ConfigMaps and Secrets that the current revision reads.")
    ] = ()
    stable_rs: Annotated[str, Field("Pod template hash of the stable ReplicaSet.", json="stableRS")] = ""
    current_revision: Annotated[int, Field("Number of the revision in the spec.")] = 0
    git_revision: Annotated[str, Field("Git revision that the current spec came from.")] = ""
    stable_git_revision: Annotated[str, Field("Git revision that stable came from.")] = ""
    collision_count: Annotated[int | None, Field("Times that the pod template hash collided.")] = None
    replicas: Annotated[int, Field("Pods that exist.", shown=True)] = 0
    updated_replicas: Annotated[int, Field("Pods of the spec's template.", shown=True)] = 0
    ready_replicas: Annotated[int, Field("Ready pods.", shown=True)] = 0
    available_replicas: Annotated[int, Field("Available pods.", shown=True)] = 0
    hpa_replicas: Annotated[
        int,
        Field(
            "Pods that an autoscaler counts: never more than spec.replicas.", json="HPAReplicas", shown=True
        ),
    ] = 0
    selector: Annotated[str, Field("Pod selector as a string, for autoscalers.")] = ""
    restarted_at: Annotated[datetime | None, Field("The restartAt that has been carried out.")] = None
    canary: Annotated[CanaryStatus, Field("Canary state.")] = field(default_factory=CanaryStatus)
    blue_green: Annotated[BlueGreenStatus, Field("Blue-green state.")] = field(
        default_factory=BlueGreenStatus
    )
    declared: Annotated[
        DeclaredStatus, Field("What spec.promote and spec.abort have asked for and got, once.")
    ] = field(default_factory=DeclaredStatus)
    bake: Annotated[BakeStatus | None, Field("The bake after the last step.")] = None
    conditions: Annotated[tuple[Condition, ...], Field("Conditions.")] = ()
    duration: Annotated[RolloutDuration | None, Field("When the update started and ended.")] = None
