"""The objects that a Rollout makes, as the API server takes them. Pure.

Decides names, labels, annotations and owners as Argo Rollouts puts them (docs/drop-in.md); not when one is
made. Called by `apply`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rollouts.api.meta import POD_TEMPLATE_HASH_LABEL, Names, ObjectMeta
from rollouts.api.parse import dump
from rollouts.api.rollout import Rollout
from rollouts.delivery.actions import (
    CreateAnalysisRun,
    CreateReplicaSet,
    PatchReplicaSet,
    ScaleWorkload,
    SwitchService,
)

__all__ = [
    "analysis_run",
    "release_service",
    "replica_set",
    "replica_set_patch",
    "rollout_patch",
    "scale_patch",
    "service_patch",
]

Object = dict[str, Any]


def replica_set(action: CreateReplicaSet, rollout: Rollout, names: Names) -> Object:
    template = rollout.spec.template
    template_metadata = template.get("metadata") or {}
    labels = {**(template_metadata.get("labels") or {}), POD_TEMPLATE_HASH_LABEL: action.pod_template_hash}
    annotations = {
        names.revision_annotation: str(action.revision),
        names.desired_replicas_annotation: str(action.desired_replicas),
    }
    if action.git_revision:
        annotations[names.git_revision_annotation] = action.git_revision
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": action.name,
            "namespace": rollout.metadata.namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [owner_reference(rollout.metadata, names)],
        },
        "spec": {
            "replicas": action.replicas,
            "minReadySeconds": rollout.spec.min_ready_seconds,
            "selector": _selector(rollout, action.pod_template_hash),
            "template": {**template, "metadata": {**template_metadata, "labels": labels}},
        },
    }


def analysis_run(action: CreateAnalysisRun, rollout: Rollout, names: Names, instance_id: str) -> Object:
    instance = {names.instance_id_label: instance_id} if instance_id else {}
    return {
        "apiVersion": names.api_version,
        "kind": "AnalysisRun",
        "metadata": {
            "name": action.name,
            "namespace": rollout.metadata.namespace,
            "labels": {**action.labels, **instance},
            "annotations": dict(action.annotations),
            "ownerReferences": [owner_reference(rollout.metadata, names)],
        },
        "spec": dump(action.spec),
    }


def replica_set_patch(action: PatchReplicaSet) -> Object:
    patch: Object = {"metadata": {"uid": action.uid, "resourceVersion": action.resource_version}}
    if action.annotations:
        patch["metadata"]["annotations"] = dict(action.annotations)
    if action.replicas is not None:
        patch["spec"] = {"replicas": action.replicas}
    return patch


def rollout_patch(annotations: Mapping[str, str | None], rollout: ObjectMeta) -> Object:
    return {
        "metadata": {
            "uid": rollout.uid,
            "resourceVersion": rollout.resource_version,
            "annotations": dict(annotations),
        }
    }


def scale_patch(action: ScaleWorkload) -> Object:
    return {
        "metadata": {"uid": action.uid, "resourceVersion": action.resource_version},
        "spec": {"replicas": action.replicas},
    }


def service_patch(action: SwitchService, rollout: str, names: Names) -> Object:
    return {
        "metadata": {
            "uid": action.uid,
            "resourceVersion": action.resource_version,
            "annotations": {names.managed_by_annotation: rollout},
        },
        "spec": {"selector": {POD_TEMPLATE_HASH_LABEL: action.pod_template_hash or None}},
    }


def release_service(uid: str, resource_version: str, names: Names) -> Object:
    """What gives a Service back that no Rollout names any more."""
    return {
        "metadata": {
            "uid": uid,
            "resourceVersion": resource_version,
            "annotations": {names.managed_by_annotation: None},
        },
        "spec": {"selector": {POD_TEMPLATE_HASH_LABEL: None}},
    }


def owner_reference(rollout: ObjectMeta, names: Names) -> Mapping[str, Any]:
    return {
        "apiVersion": names.api_version,
        "kind": "Rollout",
        "name": rollout.name,
        "uid": rollout.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _selector(rollout: Rollout, pod_template_hash: str) -> Object:
    selector = dump(rollout.spec.selector)
    matched = {**selector.get("matchLabels", {}), POD_TEMPLATE_HASH_LABEL: pod_template_hash}
    return {**selector, "matchLabels": matched}
