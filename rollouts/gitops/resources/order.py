"""In which order objects are applied: waves and stages that wait for each other, ranks within. Pure."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import NamedTuple

from rollouts.api.meta import APPLICATION_GROUP
from rollouts.gitops.resources.manifests import Manifest

_WAVES = (f"{APPLICATION_GROUP}/sync-wave", "argocd.argoproj.io/sync-wave", "helm.sh/hook-weight")
_NUMBER = re.compile(r"[-+]?[0-9]{1,9}")


class Stage(IntEnum):
    """A stage is applied when every object of the one before it is applied and healthy."""

    FOUNDATION = 0
    """Namespaces and CustomResourceDefinitions: what comes next lives in them."""
    OBJECTS = 1
    WEBHOOKS = 2
    """Admission webhooks: their own backends are there by now, so they cannot lock out the rest."""


class Place(NamedTuple):
    """Where an object stands in the order: waves first, as in Argo CD."""

    wave: int
    stage: Stage


_FOUNDATION = frozenset({"Namespace", "CustomResourceDefinition"})
_WEBHOOKS = frozenset({"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"})

# What is referred to before what refers to it. Kinds that are not here come after the named ones and
# before workloads: custom resources are read by controllers whenever they come.
_RANKS = (
    "PriorityClass",
    "StorageClass",
    "IngressClass",
    "RuntimeClass",
    "GatewayClass",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "Service",
    "AnalysisTemplate",
    "ClusterAnalysisTemplate",
)
_WORKLOADS = (
    "DaemonSet",
    "Pod",
    "ReplicaSet",
    "Deployment",
    "StatefulSet",
    "Rollout",
    "Job",
    "CronJob",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "Ingress",
    "APIService",
)
_RANK_OF = {kind: i for i, kind in enumerate(_RANKS)} | {kind: 100 + i for i, kind in enumerate(_WORKLOADS)}


def wave(manifest: Manifest) -> int:
    """Its sync-wave; 0 without one, and for one that is no number."""
    named = next((manifest.annotations[name] for name in _WAVES if name in manifest.annotations), "0")
    return int(named) if _NUMBER.fullmatch(named.strip()) else 0


def place(manifest: Manifest) -> Place:
    return Place(wave(manifest), stage(manifest))


def stage(manifest: Manifest) -> Stage:
    if manifest.key.kind in _FOUNDATION:
        return Stage.FOUNDATION
    return Stage.WEBHOOKS if manifest.key.kind in _WEBHOOKS else Stage.OBJECTS


def rank(kind: str) -> int:
    return _RANK_OF.get(kind, len(_RANKS))


def pruning_rank(kind: str) -> int:
    """Deleted in the opposite order; namespaces and definitions last of all."""
    return 1000 if kind in _FOUNDATION else -1 if kind in _WEBHOOKS else 500 - rank(kind)
