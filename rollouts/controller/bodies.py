"""The objects that a Rollout makes, as the API server takes them; an Experiment's AnalysisRuns too. Pure.

Decides names, labels, annotations and owners as Argo Rollouts puts them (docs/drop-in.md); not when one is
made. Called by `apply`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rollouts.api import injected
from rollouts.api.experiment import Experiment
from rollouts.api.meta import POD_TEMPLATE_HASH_LABEL, Names, ObjectMeta
from rollouts.api.parse import dump
from rollouts.api.rollout import Rollout
from rollouts.delivery.actions import (
    CopyConfig,
    CreateAnalysisRun,
    CreateReplicaSet,
    PatchPod,
    PatchReplicaSet,
    ScaleWorkload,
    SwitchService,
    TerminateAnalysisRun,
    TerminateExperiment,
)

__all__ = [
    "analysis_run",
    "config_copy",
    "owner_reference",
    "pod_patch",
    "release_service",
    "replica_set",
    "replica_set_patch",
    "rollout_patch",
    "scale_patch",
    "service_patch",
    "termination",
]

Object = dict[str, Any]


def replica_set(action: CreateReplicaSet, rollout: Rollout, names: Names) -> Object:
    own = (rollout.spec.template.get("metadata") or {}).get("labels") or {}
    hashed = {POD_TEMPLATE_HASH_LABEL: action.pod_template_hash}
    annotations = {
        names.revision_annotation: str(action.revision),
        names.desired_replicas_annotation: str(action.desired_replicas),
    }
    if action.pod_metadata != injected.NONE:
        annotations[names.ephemeral_metadata_annotation] = injected.written(action.pod_metadata)
    if action.git_revision:
        annotations[names.git_revision_annotation] = action.git_revision
    if action.config_copies:
        annotations[names.config_copies_annotation] = " ".join(action.config_copies)
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": action.name,
            "namespace": rollout.metadata.namespace,
            "labels": {**own, **hashed},
            "annotations": annotations,
            "ownerReferences": [owner_reference(rollout, names)],
        },
        "spec": {
            "replicas": action.replicas,
            "minReadySeconds": rollout.spec.min_ready_seconds,
            "selector": _selector(rollout, action.pod_template_hash),
            "template": _template(action, rollout, hashed),
        },
    }


def _template(action: CreateReplicaSet, rollout: Rollout, hashed: Mapping[str, str]) -> Mapping[str, Any]:
    """The Rollout's, with our label and what the role asks for."""
    metadata = action.pod_metadata
    added = replace(metadata, labels={**metadata.labels, **hashed})
    template = injected.with_metadata(rollout.spec.template, added)
    if not action.away_from:
        return template
    return {**template, "spec": {**template["spec"], "affinity": _affinity(rollout, action.away_from)}}


def _affinity(rollout: Rollout, away_from: str) -> Mapping[str, Any]:
    strategy = rollout.spec.strategy.canary or rollout.spec.strategy.blue_green
    assert strategy is not None and strategy.anti_affinity is not None  # noqa: PT018 - or nobody asks for it
    return injected.affinity(
        rollout.spec.template,
        strategy.anti_affinity,
        away_from=away_from,
        namespace=rollout.metadata.namespace,
    )


def config_copy(action: CopyConfig, source: Mapping[str, Any], rollout: Rollout, names: Names) -> Object:
    """What pods read of the source, and nothing of its metadata: no tool that owns it must find it twice."""
    read = {part: source[part] for part in ("type", "data", "binaryData") if source.get(part)}
    return {
        "apiVersion": "v1",
        "kind": action.kind,
        "metadata": {
            "name": action.name,
            "namespace": rollout.metadata.namespace,
            "labels": {names.config_copy_label: "true"},
            "annotations": {names.config_source_annotation: action.source},
            "ownerReferences": [owner_reference(rollout, names)],
        },
        "immutable": True,
        **read,
    }


def analysis_run(
    action: CreateAnalysisRun, owner: Rollout | Experiment, names: Names, instance_id: str
) -> Object:
    instance = {names.instance_id_label: instance_id} if instance_id else {}
    return {
        "apiVersion": names.api_version,
        "kind": "AnalysisRun",
        "metadata": {
            "name": action.name,
            "namespace": owner.metadata.namespace,
            "labels": {**action.labels, **instance},
            "annotations": dict(action.annotations),
            "ownerReferences": [owner_reference(owner, names)],
        },
        "spec": dump(action.spec),
    }


def replica_set_patch(action: PatchReplicaSet, rollout: Rollout | None = None) -> Object:
    """`rollout` is the owner, where it is a Rollout: only its sets keep away from others."""
    patch: Object = {"metadata": {"uid": action.uid, "resourceVersion": action.resource_version}}
    if action.annotations:
        patch["metadata"]["annotations"] = dict(action.annotations)
    values: Object = {
        "replicas": action.replicas,
        "minReadySeconds": action.min_ready_seconds,
        "template": _template_patch(action, rollout) or None,
    }
    spec = {key: value for key, value in values.items() if value is not None}
    return {**patch, "spec": spec} if spec else patch


def _template_patch(action: PatchReplicaSet, rollout: Rollout | None) -> Object:
    marks = {"labels": dict(action.pod_labels), "annotations": dict(action.pod_annotations)}
    metadata = {kind: changed for kind, changed in marks.items() if changed}
    patch: Object = {"metadata": metadata} if metadata else {}
    if rollout is not None and action.away_from is not None:
        patch["spec"] = {"affinity": _affinity(rollout, action.away_from)}
    return patch


def pod_patch(action: PatchPod) -> Object:
    marks = {"labels": dict(action.labels), "annotations": dict(action.annotations)}
    return {"metadata": {"uid": action.uid, **{kind: changed for kind, changed in marks.items() if changed}}}


def rollout_patch(annotations: Mapping[str, str | None], rollout: ObjectMeta) -> Object:
    return {
        "metadata": {
            "uid": rollout.uid,
            "resourceVersion": rollout.resource_version,
            "annotations": dict(annotations),
        }
    }


def termination(action: TerminateAnalysisRun | TerminateExperiment) -> Object:
    """It ends the measurements, or the pods, of this very object."""
    return {"metadata": {"uid": action.uid}, "spec": {"terminate": True}}


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


def owner_reference(owner: Rollout | Experiment, names: Names) -> Mapping[str, Any]:
    return {
        "apiVersion": names.api_version,
        "kind": "Rollout" if isinstance(owner, Rollout) else "Experiment",
        "name": owner.metadata.name,
        "uid": owner.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _selector(rollout: Rollout, pod_template_hash: str) -> Object:
    selector = dump(rollout.spec.selector)
    matched = {**selector.get("matchLabels", {}), POD_TEMPLATE_HASH_LABEL: pod_template_hash}
    return {**selector, "matchLabels": matched}
