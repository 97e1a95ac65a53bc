"""What a decision may ask for: the closed union of actions, and the Plan that holds them.

Data only. `rollouts.controller.apply` carries the actions out in order, each with a precondition; a
crash after any of them leaves a state from which the next decision ends in the same place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from rollouts.api.analysis import AnalysisRunSpec
from rollouts.api.experiment import ExperimentAnalysis
from rollouts.api.experiment_step import RolloutExperimentStep
from rollouts.api.meta import Reason
from rollouts.api.rollout_status import RolloutDuration, RolloutStatus
from rollouts.api.strategy import PodTemplateMetadata
from rollouts.api.traffic import Shares
from rollouts.api.webhook import Webhook


class EventType(StrEnum):
    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True)
class Event:
    """A core/v1 Event on the Rollout: one fact, in the past tense."""

    reason: Reason
    message: str
    type: EventType = EventType.NORMAL
    about: str = ""
    """Name of the object whose write it tells: once that is done nobody will decide it again."""

    @property
    def is_unique(self) -> bool:
        """Said once in the life of a Rollout: the words name the revision that has become stable."""
        return self.reason is Reason.COMPLETED


@dataclass(frozen=True, slots=True)
class CreateReplicaSet:
    """Create the set of the spec's pod template. The name is `<rollout>-<hash>`."""

    name: str
    pod_template_hash: str
    revision: int
    replicas: int
    desired_replicas: int
    git_revision: str = ""
    pod_metadata: PodTemplateMetadata = field(default_factory=PodTemplateMetadata)
    away_from: str = ""
    """Pod template hash whose nodes the pods stay off."""
    config_copies: tuple[str, ...] = ()
    """Copies of ConfigMaps and Secrets that its pods read: kind/name."""


@dataclass(frozen=True, slots=True)
class PatchReplicaSet:
    """Everything that changes of a set in one write; None leaves a value, and removes a label or annotation."""

    name: str
    uid: str
    resource_version: str
    replicas: int | None = None
    annotations: Mapping[str, str | None] = field(default_factory=dict)
    min_ready_seconds: int | None = None
    pod_labels: Mapping[str, str | None] = field(default_factory=dict)
    pod_annotations: Mapping[str, str | None] = field(default_factory=dict)
    away_from: str | None = None


@dataclass(frozen=True, slots=True)
class PatchPod:
    """Labels and annotations of a pod that is running; None removes one."""

    name: str
    uid: str
    labels: Mapping[str, str | None]
    annotations: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class DeleteReplicaSet:
    name: str
    uid: str
    resource_version: str


@dataclass(frozen=True, slots=True)
class SwitchService:
    """Point a Service at a pod template hash (empty: at all of them) and mark it as managed by us."""

    name: str
    uid: str
    resource_version: str
    pod_template_hash: str


@dataclass(frozen=True, slots=True)
class SetWeights:
    """Have a router send each side its share. It may fail: that is told, and holds up nothing else."""

    router: str
    shares: Shares


@dataclass(frozen=True, slots=True)
class CreateAnalysisRun:
    """Create an AnalysisRun with a deterministic name: AlreadyExists with our uid is success."""

    name: str
    spec: AnalysisRunSpec
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TerminateAnalysisRun:
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class DeleteAnalysisRun:
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class CreateExperiment:
    """Create an Experiment from the pods of two sets: AlreadyExists with our uid is success."""

    name: str
    step: RolloutExperimentStep
    analyses: tuple[ExperimentAnalysis, ...]
    canary_set: str
    stable_set: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TerminateExperiment:
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class DeleteExperiment:
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class EvictPod:
    """Evict through the eviction API, so that PodDisruptionBudgets hold."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class ScaleWorkload:
    """Size of the Deployment in workloadRef, through its scale subresource."""

    name: str
    uid: str
    resource_version: str
    replicas: int


@dataclass(frozen=True, slots=True)
class CopyConfig:
    """Copy a ConfigMap or Secret as it is now. Its content is in the name: if it has changed, look again."""

    kind: str
    source: str
    name: str


@dataclass(frozen=True, slots=True)
class DeleteConfigCopy:
    kind: str
    name: str
    uid: str


Write = (
    ScaleWorkload
    | CreateReplicaSet
    | PatchReplicaSet
    | PatchPod
    | DeleteReplicaSet
    | SwitchService
    | CreateAnalysisRun
    | TerminateAnalysisRun
    | DeleteAnalysisRun
    | CreateExperiment
    | TerminateExperiment
    | DeleteExperiment
    | EvictPod
    | CopyConfig
    | DeleteConfigCopy
)
"""Actions whose failure is the Rollout's."""
Action = Write | SetWeights


@dataclass(frozen=True, slots=True)
class WebhookCall:
    """A webhook that is to be asked at `at`, unless it is being asked already. The caller waits for `at`."""

    id: str
    webhook: Webhook
    phase: str
    """What the endpoint is told of the update: Waiting, Progressing, Succeeded or Failed."""
    at: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, what to say, and when to look again (None: only when something changes).

    Applied in the order annotations (of the Rollout itself; None removes one), actions, events, status; the
    status is patched only where it differs. `ended` is the duration of the update that this plan ends, with
    how it ended. `calls` are all webhooks that are waited for:
    any other call that is under way is not wanted any more.
    """

    status: RolloutStatus
    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    requeue_at: datetime | None = None
    ended: RolloutDuration | None = None
    annotations: Mapping[str, str | None] = field(default_factory=dict)
    calls: tuple[WebhookCall, ...] = ()
