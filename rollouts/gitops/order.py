"""In which order objects are applied: stages that wait for each other, ranks within a stage. Pure."""

from __future__ import annotations

from enum import IntEnum

from rollouts.gitops.manifests import Manifest


class Stage(IntEnum):
    """A stage is applied when every object of the one before it is applied and healthy."""

    FOUNDATION = 0
    """Namespaces and CustomResourceDefinitions: what comes next lives in them."""
    OBJECTS = 1
    WEBHOOKS = 2
    """Admission webhooks: their own backends are there by now, so they cannot lock out the rest."""


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


def stage(manifest: Manifest) -> Stage:
    if manifest.key.kind in _FOUNDATION:
        return Stage.FOUNDATION
    return Stage.WEBHOOKS if manifest.key.kind in _WEBHOOKS else Stage.OBJECTS


def rank(kind: str) -> int:
    return _RANK_OF.get(kind, len(_RANKS))


def pruning_rank(kind: str) -> int:
    """Deleted in the opposite order; namespaces and definitions last of all."""
    return 1000 if kind in _FOUNDATION else -1 if kind in _WEBHOOKS else 500 - rank(kind)
