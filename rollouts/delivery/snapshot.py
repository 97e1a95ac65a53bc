"""What `decide` sees of the world: plain values, read from the cache by `rollouts.controller.observe`.

Decides nothing. Every instant is UTC and aware; `now` is part of the snapshot, there is no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rollouts.api.analysis import AnalysisPhase, AnalysisTemplateRef, AnalysisTemplateSpec
from rollouts.api.meta import Names
from rollouts.api.rollout import LabelSelector, Rollout
from rollouts.api.rollout_status import ConfigCopy
from rollouts.api.strategy import PodTemplateMetadata
from rollouts.api.traffic import Feature, Shares

LONG_AGO = datetime.min.replace(tzinfo=UTC)
"""Stands for the creation time of an object that has none; the API server always sets it."""


@dataclass(frozen=True, slots=True)
class PodTemplate:
    """The pod template of the spec as ReplicaSets are compared with it.

    `digest` identifies the template by meaning (defaults filled in, our own labels left out); `hash` is
    the pod template hash for the rollout's collision count, the value of `rollouts-pod-template-hash`.
    """

    digest: str
    hash: str


@dataclass(frozen=True, slots=True)
class ReplicaSet:
    """A ReplicaSet that the Rollout owns, as observed."""

    name: str
    uid: str
    resource_version: str
    created_at: datetime
    pod_template_hash: str
    template_digest: str
    revision: int
    replicas: int
    """spec.replicas"""
    desired_replicas: int | None = None
    """The rollout's replicas when this set was last sized (annotation desired-replicas)."""
    current_replicas: int = 0
    """status.replicas: pods that exist"""
    ready_replicas: int = 0
    available_replicas: int = 0
    observed: bool = True
    """The ReplicaSet controller has seen the latest spec."""
    scale_down_deadline: datetime | None = None
    revision_history: tuple[int, ...] = ()
    """The revisions that it was before it was used again, oldest first."""
    git_revision: str = ""
    config_copies: frozenset[str] = frozenset()
    """Copies of ConfigMaps and Secrets that its pods read: kind/name."""
    failure: str = ""
    """Message of its ReplicaFailure condition (quota, admission), empty when there is none."""
    min_ready_seconds: int = 0
    injected: PodTemplateMetadata = field(default_factory=PodTemplateMetadata)
    """What its pods may carry for their role, by its annotation."""
    carried: PodTemplateMetadata = field(default_factory=PodTemplateMetadata)
    """What its template has of that."""
    away_from: str = ""
    """The pod template hash that its pods keep away from (anti-affinity)."""

    @property
    def age(self) -> tuple[datetime, int]:
        """Orders sets by creation. Times are whole seconds: of one second, the lower first revision is older."""
        return self.created_at, min((*self.revision_history, self.revision))


@dataclass(frozen=True, slots=True)
class Service:
    """A Service that the Rollout names. `selected_hash` is empty when no hash is in its selector."""

    name: str
    uid: str
    resource_version: str
    selected_hash: str = ""
    selector: Mapping[str, str] = field(default_factory=dict)
    managed_by: str = ""
    """Name of the Rollout in the managed-by-rollouts annotation."""


@dataclass(frozen=True, slots=True)
class MetricVerdict:
    """The metric that decided a run: what an abort quotes."""

    name: str
    value: str
    condition: str


@dataclass(frozen=True, slots=True)
class AnalysisRun:
    """An AnalysisRun that the Rollout owns, as observed. `type` is its rollout-type label."""

    name: str
    uid: str
    resource_version: str
    created_at: datetime
    type: str
    pod_template_hash: str
    step_index: int | None
    phase: AnalysisPhase
    message: str = ""
    terminating: bool = False
    """spec.terminate is set."""
    decided_by: MetricVerdict | None = None


@dataclass(frozen=True, slots=True)
class ExperimentPods:
    """A template of an Experiment: how its pods are reached."""

    template: str
    service: str
    """Empty while there is none."""
    pod_template_hash: str


@dataclass(frozen=True, slots=True)
class Experiment:
    """An Experiment that the Rollout owns, as observed. `phase` is None until it is first looked at."""

    name: str
    uid: str
    created_at: datetime
    pod_template_hash: str
    phase: AnalysisPhase | None = None
    message: str = ""
    terminating: bool = False
    """spec.terminate is set."""
    pods: tuple[ExperimentPods, ...] = ()


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod of the Rollout, listed only while a restart is due or pods change their role."""

    name: str
    uid: str
    created_at: datetime
    pod_template_hash: str
    available: bool
    deleting: bool
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Workload:
    """The object in workloadRef. `replicas` is None for one that has no pods of its own to give up."""

    kind: str
    name: str
    uid: str
    resource_version: str
    generation: int
    template: Mapping[str, Any] = field(default_factory=dict)
    selector: LabelSelector = field(default_factory=LabelSelector)
    replicas: int | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """A ConfigMap or Secret by kind and name."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class ExistingCopy:
    """A copy of a ConfigMap or Secret that the Rollout owns."""

    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """The latest answer of a webhook, and how often it has been asked. Held in memory, lost in a crash."""

    calls: int
    ok: bool
    message: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Route:
    """A router that the spec names: what it can do, and what it does as far as that is known."""

    router: str
    """Its field under trafficRouting."""
    available: bool = True
    """This controller has it."""
    features: frozenset[Feature] = frozenset()
    by_pods: bool = False
    """Between none and all, the share is whatever the ratio of the available pods gives."""
    read: bool = True
    """What it does is known; where it is not, nothing is asked of it."""
    shares: Shares | None = None
    """What it does; None for something that is none of ours."""
    shared: bool = False
    """By pods, and both sides get some."""
    verified: bool | None = None
    error: str = ""
    verify_error: str = ""
    retry_at: datetime | None = None
    """It failed, and is not asked again before."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that one decision may look at.

    `services` and `templates` hold what the spec names (templates that templates name included); None
    stands for an object that is absent.
    `rivals` maps the name of a Service to another Rollout that names it too.
    """

    rollout: Rollout
    template: PodTemplate
    now: datetime
    replica_sets: tuple[ReplicaSet, ...] = ()
    services: Mapping[str, Service | None] = field(default_factory=dict)
    rivals: Mapping[str, str] = field(default_factory=dict)
    analysis_runs: tuple[AnalysisRun, ...] = ()
    experiments: tuple[Experiment, ...] = ()
    templates: Mapping[AnalysisTemplateRef, AnalysisTemplateSpec | None] = field(default_factory=dict)
    fast_rollback: bool = False
    """The Git half vouches for this pod template (`Names.fast_rollback_annotation` equals its digest)."""
    pods: tuple[Pod, ...] = ()
    workload: Workload | None = None
    """The object in workloadRef; its template and selector are in the rollout's spec already."""
    webhook_answers: Mapping[str, WebhookAnswer] = field(default_factory=dict)
    """By `WebhookCall.id`."""
    admitted: bool = True
    """There is a slot for an update of this Rollout."""
    wanted_copies: tuple[ConfigCopy, ...] = ()
    """What the template, as it is in the snapshot, refers to in place of what the spec names."""
    existing_copies: tuple[ExistingCopy, ...] = ()
    routes: tuple[Route, ...] = ()
    """One for each router that the spec names."""
    names: Names = field(default_factory=Names)
