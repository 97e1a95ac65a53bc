"""ReplicaSets and pods as the cluster in memory keeps them. Decides nothing; changed by `cluster`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from rollouts.api.strategy import PodTemplateMetadata
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
