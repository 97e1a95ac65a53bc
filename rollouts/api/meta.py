"""Every name that this project puts on an object or reads from one.

Names that carry the API group derive from the setting, so that `--api-group argoproj.io` serves the
objects, tools and habits that exist around Argo Rollouts (`docs/drop-in.md`). Decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from rollouts.api.schema import Field

__all__ = [
    "APPLICATION_GROUP",
    "CANARY_STEP_INDEX_LABEL",
    "DEFAULT_GROUP",
    "PEER_GROUP",
    "POD_TEMPLATE_HASH_LABEL",
    "ROLLOUT_TYPE_LABEL",
    "SCALE_DOWN_DEADLINE_ANNOTATION",
    "VERSION",
    "Condition",
    "ConditionType",
    "Names",
    "ObjectMeta",
    "Reason",
]

DEFAULT_GROUP = "rollouts.dev"
PEER_GROUP = "argoproj.io"
APPLICATION_GROUP = "rollouts.dev"
"""Applications keep their own group in drop-in mode: `argoproj.io` Applications belong to Argo CD."""
VERSION = "v1alpha1"

POD_TEMPLATE_HASH_LABEL = "rollouts-pod-template-hash"
SCALE_DOWN_DEADLINE_ANNOTATION = "scale-down-deadline"
ROLLOUT_TYPE_LABEL = "rollout-type"
CANARY_STEP_INDEX_LABEL = "step-index"


@dataclass(frozen=True, slots=True)
class Names:
    """Labels, annotations and API versions for one API group."""

    group: str = DEFAULT_GROUP

    @property
    def is_the_peers(self) -> bool:
        """The objects are those of Argo Rollouts, which its clients read, too."""
        return self.group == PEER_GROUP

    @property
    def api_version(self) -> str:
        return f"{self.group}/{VERSION}"

    @property
    def revision_annotation(self) -> str:
        return f"rollout.{self.group}/revision"

    @property
    def desired_replicas_annotation(self) -> str:
        return f"rollout.{self.group}/desired-replicas"

    @property
    def ephemeral_metadata_annotation(self) -> str:
        """On a ReplicaSet: labels and annotations that its pods carry for its role."""
        return f"rollout.{self.group}/ephemeral-metadata"

    @property
    def workload_generation_annotation(self) -> str:
        """On a Rollout: generation of the object that its pod template is taken from."""
        return f"rollout.{self.group}/workload-generation"

    @property
    def managed_by_annotation(self) -> str:
        return f"argo-rollouts.{self.group}/managed-by-rollouts"

    @property
    def instance_id_label(self) -> str:
        return f"argo-rollouts.{self.group}/controller-instance-id"

    @property
    def experiment_name_annotation(self) -> str:
        """On the ReplicaSets and Services of an Experiment."""
        return f"experiment.{self.group}/name"

    @property
    def experiment_template_annotation(self) -> str:
        return f"experiment.{self.group}/template-name"

    @property
    def git_revision_annotation(self) -> str:
        """On a Rollout: the Git revision that its spec came from, written by the Application."""
        return f"rollout.{self.group}/git-revision"

    @property
    def fast_rollback_annotation(self) -> str:
        """On a Rollout: digest of a pod template that was good before (`podtemplate.digest`).

        Written by the Git half when it puts a known good revision back (after a quarantine, or a
        `git revert`). The delivery half skips steps, pauses and analysis while it equals the digest of
        the spec's template; being bound to the template it cannot leak to the next release.
        """
        return f"rollout.{self.group}/fast-rollback"

    @property
    def update_priority_annotation(self) -> str:
        """On a Rollout: a number; of queued updates the higher goes first."""
        return f"rollout.{self.group}/update-priority"

    @property
    def config_copy_label(self) -> str:
        """On a copy of a ConfigMap or Secret that a revision reads (`spec.copyConfig`)."""
        return f"rollout.{self.group}/config-copy"

    @property
    def revision_history_annotation(self) -> str:
        """On a ReplicaSet that is used again: the revisions that it was before, oldest first."""
        return f"rollout.{self.group}/revision-history"

    @property
    def config_copy_annotation(self) -> str:
        """On a ConfigMap or Secret: "false" keeps it from being copied, "true" copies what is left out."""
        return f"rollout.{self.group}/config-copy"

    @property
    def config_ignore_annotation(self) -> str:
        """On a ConfigMap or Secret: keys, separated by commas, whose change is no update."""
        return f"rollout.{self.group}/config-copy-ignore"

    @property
    def config_source_annotation(self) -> str:
        """On a copy: the name of what it was copied from."""
        return f"rollout.{self.group}/config-copy-of"

    @property
    def config_copies_annotation(self) -> str:
        """On a ReplicaSet: the copies that its pods read."""
        return f"rollout.{self.group}/config-copies"

    @property
    def application_name_label(self) -> str:
        return f"application.{APPLICATION_GROUP}/name"

    @property
    def application_namespace_label(self) -> str:
        return f"application.{APPLICATION_GROUP}/namespace"


class ConditionType(StrEnum):
    """Condition types of a Rollout (argo-rollouts: types.go)."""

    AVAILABLE = "Available"
    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    COMPLETED = "Completed"
    HEALTHY = "Healthy"
    INVALID_SPEC = "InvalidSpec"
    REPLICA_FAILURE = "ReplicaFailure"


class Reason(StrEnum):
    """Reasons of conditions and events (argo-rollouts: utils/conditions; Flux: apis/meta)."""

    ROLLOUT_ADDED = "RolloutAddedToInformer"
    ROLLOUT_UPDATED = "RolloutUpdated"
    NEW_REPLICA_SET = "NewReplicaSetCreated"
    NEW_REPLICA_SET_AVAILABLE = "NewReplicaSetAvailable"
    REPLICA_SET_UPDATED = "ReplicaSetUpdated"
    SCALING_REPLICA_SET = "ScalingReplicaSet"
    STEP_COMPLETED = "RolloutStepCompleted"
    NOT_COMPLETED = "RolloutNotCompleted"
    COMPLETED = "RolloutCompleted"
    HEALTHY = "RolloutHealthy"
    NOT_HEALTHY = "RolloutNotHealthy"
    PAUSED = "RolloutPaused"
    RESUMED = "RolloutResumed"
    ABORTED = "RolloutAborted"
    RETRIED = "RolloutRetry"
    BAKING = "RolloutBaking"
    SKIP_STEPS = "SkipSteps"
    SWITCH_SERVICE = "SwitchService"
    ANALYSIS_RUN_PENDING = "AnalysisRunPending"
    TRAFFIC_WEIGHT_UPDATED = "TrafficWeightUpdated"
    TRAFFIC_ROUTING_ERROR = "TrafficRoutingError"
    WEIGHT_VERIFY_ERROR = "WeightVerifyError"
    ANALYSIS_RUN_RUNNING = "AnalysisRunRunning"
    ANALYSIS_RUN_SUCCESSFUL = "AnalysisRunSuccessful"
    ANALYSIS_RUN_FAILED = "AnalysisRunFailed"
    ANALYSIS_RUN_ERROR = "AnalysisRunError"
    ANALYSIS_RUN_INCONCLUSIVE = "AnalysisRunInconclusive"
    QUEUED = "RolloutQueued"
    DEQUEUED = "RolloutDequeued"
    WEBHOOK_FAILED = "WebhookFailed"
    EXPERIMENT_CREATED = "ExperimentCreated"
    EXPERIMENT_PENDING = "ExperimentPending"
    EXPERIMENT_RUNNING = "ExperimentRunning"
    EXPERIMENT_SUCCESSFUL = "ExperimentSuccessful"
    EXPERIMENT_FAILED = "ExperimentFailed"
    EXPERIMENT_ERROR = "ExperimentError"
    EXPERIMENT_INCONCLUSIVE = "ExperimentInconclusive"
    EXPERIMENT_COMPLETED = "ExperimentCompleted"
    TEMPLATE_PROGRESSING = "TemplateProgressing"
    TEMPLATE_RUNNING = "TemplateRunning"
    TEMPLATE_SUCCESSFUL = "TemplateSuccessful"
    TEMPLATE_FAILED = "TemplateFailed"
    TEMPLATE_ERROR = "TemplateError"
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
    AVAILABLE = "AvailableReason"
    INVALID_SPEC = "InvalidSpec"
    FAILED_CREATE = "FailedCreate"
    RECONCILIATION_ERROR = "ReconciliationError"


@dataclass(frozen=True, slots=True)
class Condition:
    """One entry of `status.conditions`."""

    type: Annotated[str, Field("Type of the condition.")]
    status: Annotated[str, Field("True, False or Unknown.")]
    reason: Annotated[str, Field("One word in CamelCase: why the condition is as it is.", shown=True)] = ""
    message: Annotated[str, Field("One sentence for people.", shown=True)] = ""
    last_update_time: Annotated[datetime | None, Field("When the reason or the message last changed.")] = None
    last_transition_time: Annotated[datetime | None, Field("When the status last changed.")] = None
    observed_generation: Annotated[
        int | None, Field("Generation of the spec that this condition is about.")
    ] = None


@dataclass(frozen=True, slots=True)
class ObjectMeta:
    """What we read of an object's metadata; the rest stays in the API server."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    owner_references: tuple[Mapping[str, Any], ...] = ()
    finalizers: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"
