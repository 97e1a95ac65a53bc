"""ReplicaSets and pods as the cluster in memory keeps them, and what a patch makes of them. Changed by `cluster`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from rollouts.api import injected
from rollouts.api.meta import SCALE_DOWN_DEADLINE_ANNOTATION, Names
from rollouts.api.parse import timestamp
from rollouts.api.strategy import PodTemplateMetadata
from rollouts.delivery.actions import PatchReplicaSet
from rollouts.delivery.snapshot import ReplicaSet


@dataclass(slots=True)
class SimulatedPod:
    name: str
    created_at: datetime
    available: bool = False
    deleting: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class SimulatedSet:
    """A ReplicaSet and its pods. `observed` replicas lag behind until its controller has run."""

    name: str
    uid: str
    hash: str
    digest: str
    revision: int
    replicas: int
    created_at: datetime
    desired: int | None = None
    deadline: datetime | None = None
    revision_history: tuple[int, ...] = ()
    git_revision: str = ""
    min_ready_seconds: int = 0
    injected: PodTemplateMetadata = field(default_factory=PodTemplateMetadata)
    carried: PodTemplateMetadata = field(default_factory=PodTemplateMetadata)
    away_from: str = ""
    version: int = 1
    observed: bool = False
    config_copies: tuple[str, ...] = ()
    pods: list[SimulatedPod] = field(default_factory=list)

    def seen(self) -> ReplicaSet:
        return ReplicaSet(
            name=self.name,
            uid=self.uid,
            resource_version=str(self.version),
            created_at=self.created_at,
            pod_template_hash=self.hash,
            template_digest=self.digest,
            revision=self.revision,
            replicas=self.replicas,
            desired_replicas=self.desired,
            current_replicas=len(self.pods),
            ready_replicas=self.available,
            available_replicas=self.available,
            observed=self.observed,
            scale_down_deadline=self.deadline,
            revision_history=self.revision_history,
            git_revision=self.git_revision,
            min_ready_seconds=self.min_ready_seconds,
            injected=self.injected,
            carried=self.carried,
            away_from=self.away_from,
            config_copies=frozenset(self.config_copies),
        )

    @property
    def available(self) -> int:
        return sum(pod.available for pod in self.pods)

    def patch(self, action: PatchReplicaSet, names: Names) -> None:
        assert action.resource_version == str(self.version), "two patches of one set in one plan"
        untouched = PatchReplicaSet(action.name, action.uid, action.resource_version)
        assert action != untouched, "an empty patch"
        self.version += 1
        if replace(action, annotations={}) != untouched:
            self.observed = False
        if action.replicas is not None:
            self.replicas = action.replicas
        if action.min_ready_seconds is not None:
            self.min_ready_seconds = action.min_ready_seconds
        if action.away_from is not None:
            self.away_from = action.away_from
        self.carried = PodTemplateMetadata(
            merged(self.carried.labels, action.pod_labels),
            merged(self.carried.annotations, action.pod_annotations),
        )
        for key, value in action.annotations.items():
            self._annotate(key, value, names)

    def _annotate(self, key: str, value: str | None, names: Names) -> None:
        if key == names.revision_annotation:
            self.revision = int(value or 0)
        elif key == names.revision_history_annotation:
            self.revision_history = tuple(int(past) for past in (value or "").split(",") if past)
        elif key == names.desired_replicas_annotation:
            self.desired = int(value) if value else None
        elif key == names.git_revision_annotation:
            self.git_revision = value or ""
        elif key == names.ephemeral_metadata_annotation:
            self.injected = injected.read(value)
        elif key == SCALE_DOWN_DEADLINE_ANNOTATION:
            self.deadline = timestamp(value, key) if value else None
        else:
            raise AssertionError(f"unknown annotation {key}")


def merged(before: Mapping[str, str], changed: Mapping[str, str | None]) -> Mapping[str, str]:
    """Labels or annotations after a patch of them."""
    return {key: value for key, value in {**before, **changed}.items() if value is not None}
