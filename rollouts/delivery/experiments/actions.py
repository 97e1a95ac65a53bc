"""What a decision about an Experiment may ask for, and the Plan that holds it. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rollouts.api.experiment import ExperimentStatus
from rollouts.delivery.actions import CreateAnalysisRun, Event, PatchReplicaSet, TerminateAnalysisRun


@dataclass(frozen=True, slots=True)
class CreateTemplateSet:
    """Create the ReplicaSet of a template."""

    template: str
    name: str
    pod_template_hash: str
    replicas: int


@dataclass(frozen=True, slots=True)
class CreateService:
    """Create the Service of a template, for the pods with this hash."""

    template: str
    name: str
    pod_template_hash: str


@dataclass(frozen=True, slots=True)
class DeleteService:
    name: str
    uid: str


Action = (
    CreateTemplateSet
    | PatchReplicaSet
    | CreateService
    | DeleteService
    | CreateAnalysisRun
    | TerminateAnalysisRun
)


@dataclass(frozen=True, slots=True)
class Plan:
    """Applied in the order actions, events, status; the status is patched only where it differs."""

    status: ExperimentStatus
    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    requeue_at: datetime | None = None
