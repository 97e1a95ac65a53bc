"""What the stores keep of each kind: API objects in, small frozen values out.

Parsing happens here, once per resourceVersion, and what only depends on the spec once per generation.
Nothing raises: an object that does not parse becomes `Malformed` and is answered on itself.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rollouts.api import injected, podtemplate
from rollouts.api.analysis import AnalysisTemplateSpec
from rollouts.api.meta import POD_TEMPLATE_HASH_LABEL, SCALE_DOWN_DEADLINE_ANNOTATION, Names, ObjectMeta
from rollouts.api.parse import model_fields, parse, timestamp
from rollouts.api.rollout import Rollout, RolloutSpec
from rollouts.api.rollout_status import RolloutStatus
from rollouts.api.strategy import PodTemplateMetadata
from rollouts.controller.cache import Body, Record, Store, Trim
from rollouts.delivery import snapshot, workload
from rollouts.delivery.snapshot import PodTemplate
from rollouts.errors import SpecError
from rollouts.kube import resources

__all__ = [
    "KnownRollout",
    "Malformed",
    "pod_template",
    "replica_sets",
    "rollouts",
    "served_by",
    "services",
    "template",
]


@dataclass(frozen=True, slots=True)
class KnownRollout:
    """A Rollout, with its pod template as ReplicaSets are compared with it.

    One whose template is that of another object has none here: `observe.resolved` fills it in.
    """

    rollout: Rollout
    template: PodTemplate

    @property
    def metadata(self) -> ObjectMeta:
        return self.rollout.metadata

    @property
    def status(self) -> RolloutStatus:
        return self.rollout.status


@dataclass(frozen=True, slots=True)
class Malformed:
    """An object whose spec says something impossible; what could be read of the rest."""

    metadata: ObjectMeta
    error: SpecError
    status: RolloutStatus = field(default_factory=RolloutStatus)


def served_by(names: Names, instance_id: str) -> str:
    """Label selector of the objects that a controller with this instance id serves."""
    return f"{names.instance_id_label}={instance_id}" if instance_id else f"!{names.instance_id_label}"


def rollouts(names: Names, instance_id: str) -> Store[KnownRollout | Malformed]:
    return Store(resources.rollout(names.group), _rollout, label_selector=served_by(names, instance_id))


def replica_sets(names: Names) -> Store[snapshot.ReplicaSet]:
    """Those with a pod template hash of ours; the API server filters."""
    trim: Trim[snapshot.ReplicaSet] = functools.partial(_replica_set, names=names)
    return Store(resources.REPLICA_SET, trim, label_selector=POD_TEMPLATE_HASH_LABEL)


def services(names: Names) -> Store[snapshot.Service]:
    return Store(resources.SERVICE, functools.partial(_service, names=names))


def template(
    body: Body, old: Record[AnalysisTemplateSpec | SpecError] | None
) -> AnalysisTemplateSpec | SpecError:
    """The spec of an AnalysisTemplate or ClusterAnalysisTemplate."""
    if old and old.generation == body["metadata"].get("generation"):
        return old.value
    try:
        return parse(AnalysisTemplateSpec, body.get("spec"), "spec")
    except SpecError as e:
        return e.with_traceback(None)


def _rollout(body: Body, old: Record[KnownRollout | Malformed] | None) -> KnownRollout | Malformed:
    metadata = parse(ObjectMeta, body["metadata"], "metadata", strict=False)
    status = _status(body.get("status") or {})
    before = old.value if old and old.generation == metadata.generation else None
    try:
        known = before if isinstance(before, KnownRollout) else None
        spec = known.rollout.spec if known else _spec(body)
        same = known is not None and known.rollout.status.collision_count == status.collision_count
        compared = known.template if known and same else pod_template(spec, status.collision_count)
        return KnownRollout(Rollout(metadata, spec, status), compared)
    except SpecError as e:
        return Malformed(metadata, e.with_traceback(None), status)


def _spec(body: Body) -> RolloutSpec:
    spec = parse(RolloutSpec, body.get("spec"), "spec")
    workload.check(spec)
    return spec


def pod_template(spec: RolloutSpec, collision_count: int | None) -> PodTemplate:
    """How ReplicaSets are compared with this template. Raises `SpecError`."""
    if not spec.template:
        return PodTemplate(digest="", hash="")
    return PodTemplate(
        digest=podtemplate.digest(spec.template),
        hash=podtemplate.pod_template_hash(spec.template, collision_count),
    )


def _status(raw: Mapping[str, Any]) -> RolloutStatus:
    """The status field by field: one that another program wrote in a way unknown to us counts as not set."""
    try:
        return parse(RolloutStatus, raw, "status", strict=False)
    except SpecError:
        readable = {f.json: raw[f.json] for f in model_fields(RolloutStatus) if _is_readable(f.json, raw)}
        return parse(RolloutStatus, readable, "status", strict=False)


def _is_readable(name: str, raw: Mapping[str, Any]) -> bool:
    if name not in raw:
        return False
    try:
        parse(RolloutStatus, {name: raw[name]}, "status", strict=False)
    except SpecError:
        return False
    return True


def _replica_set(body: Body, old: Record[snapshot.ReplicaSet] | None, *, names: Names) -> snapshot.ReplicaSet:
    metadata, spec, status = body["metadata"], body["spec"], body.get("status") or {}
    annotations = metadata.get("annotations") or {}
    unchanged = old is not None and old.generation == metadata["generation"]
    role = injected.read(annotations.get(names.ephemeral_metadata_annotation))
    template = spec.get("template") or {}
    return snapshot.ReplicaSet(
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        created_at=old.value.created_at if old else timestamp(metadata["creationTimestamp"], "metadata"),
        pod_template_hash=(metadata.get("labels") or {}).get(POD_TEMPLATE_HASH_LABEL, ""),
        template_digest=old.value.template_digest if old and unchanged else _digest(template, role),
        revision=_number(annotations.get(names.revision_annotation)) or 0,
        replicas=spec.get("replicas", 1),
        desired_replicas=_number(annotations.get(names.desired_replicas_annotation)),
        current_replicas=status.get("replicas", 0),
        ready_replicas=status.get("readyReplicas", 0),
        available_replicas=status.get("availableReplicas", 0),
        observed=status.get("observedGeneration", 0) >= metadata["generation"],
        revision_history=_numbers(annotations.get(names.revision_history_annotation, "")),
        scale_down_deadline=_instant(annotations.get(SCALE_DOWN_DEADLINE_ANNOTATION)),
        git_revision=annotations.get(names.git_revision_annotation, ""),
        config_copies=frozenset(annotations.get(names.config_copies_annotation, "").split()),
        failure=_failure(status),
        min_ready_seconds=spec.get("minReadySeconds", 0),
        injected=role,
        carried=injected.carried(template, role),
        away_from=injected.away_from(template),
    )


def _digest(template: Mapping[str, Any], role: PodTemplateMetadata) -> str:
    try:
        return podtemplate.digest(injected.without_metadata(template, role))
    except SpecError:
        # No spec of a Rollout that parses can be equal to it.
        return "unreadable"


def _failure(status: Mapping[str, Any]) -> str:
    failures = (
        c.get("message") or c.get("reason", "")
        for c in status.get("conditions") or ()
        if c.get("type") == "ReplicaFailure" and c.get("status") == "True"
    )
    return next(failures, "")


def _service(body: Body, old: Record[snapshot.Service] | None, *, names: Names) -> snapshot.Service:
    del old
    metadata = body["metadata"]
    selector = body["spec"].get("selector") or {}
    return snapshot.Service(
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        selected_hash=selector.get(POD_TEMPLATE_HASH_LABEL, ""),
        selector=selector,
        managed_by=(metadata.get("annotations") or {}).get(names.managed_by_annotation, ""),
    )


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"\d{1,9}", text) else None


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(number for part in text.split(",") if (number := _number(part)) is not None)


def _instant(text: str | None) -> datetime | None:
    try:
        return timestamp(text, "metadata.annotations") if text else None
    except SpecError:
        return None
