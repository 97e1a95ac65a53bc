"""`spec.workloadRef`: the pod template is that of another object, which may give up its own pods.

Decides what the Rollout says of that object (its generation), and how many pods a referenced Deployment keeps.
Once a revision of the Rollout is stable the Deployment only ever goes to zero, so that nothing that happens
to a later update brings its pods back beside ours. Called by `plan`, and by the shell to fill in a spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rollouts.api.parse import parse
from rollouts.api.rollout import LabelSelector, ObjectRef, RolloutSpec, ScaleDown
from rollouts.api.rollout_status import RolloutStatus
from rollouts.delivery.actions import ScaleWorkload
from rollouts.delivery.sets import available
from rollouts.delivery.snapshot import Workload
from rollouts.delivery.view import View
from rollouts.errors import SpecError

KINDS = {"Deployment": "apps/v1", "ReplicaSet": "apps/v1", "PodTemplate": "v1"}
"""What may be referred to, with its apiVersion."""


def of(body: Mapping[str, Any]) -> Workload:
    """A Deployment, ReplicaSet or PodTemplate as the API server or a file has it."""
    metadata, spec = body["metadata"], body.get("spec") or {}
    holder = body if body["kind"] == "PodTemplate" else spec
    return Workload(
        kind=body["kind"],
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        resource_version=metadata.get("resourceVersion", ""),
        generation=metadata.get("generation", 0),
        template=holder.get("template") or {},
        selector=_selector(spec.get("selector")),
        replicas=spec.get("replicas", 1) if body["kind"] == "Deployment" else None,
    )


def check(spec: RolloutSpec) -> None:
    """Exactly one source of the template, of a kind that has one. Raises `SpecError`."""
    ref = spec.workload_ref
    if ref is None:
        if not spec.template:
            raise SpecError("spec.template", None, "is required", "or name an object in spec.workloadRef")
        return
    if spec.template:
        raise SpecError(
            "spec.workloadRef",
            ref.name,
            "spec.template is set too",
            "set exactly one of template and workloadRef",
        )
    if ref.kind not in KINDS:
        raise SpecError("spec.workloadRef.kind", ref.kind, f"must be one of {', '.join(KINDS)}")
    if ref.api_version != KINDS[ref.kind]:
        raise SpecError("spec.workloadRef.apiVersion", ref.api_version, f"must be {KINDS[ref.kind]}")
    if not ref.name:
        raise SpecError("spec.workloadRef.name", None, "is required")


def resolved(spec: RolloutSpec, workload: Workload | None) -> RolloutSpec:
    """The spec with the template, and if it has none the selector, of the object. Raises `SpecError`."""
    check(spec)
    ref = spec.workload_ref
    if ref is None:
        return spec
    if workload is None:
        remedy = f"create the {ref.kind} or correct the name"
        raise SpecError("spec.workloadRef.name", ref.name, f"{ref.kind} not found", remedy)
    given = spec.selector.match_labels or spec.selector.match_expressions
    return replace(spec, template=workload.template, selector=spec.selector if given else workload.selector)


def marks(seen: View) -> Mapping[str, str | None]:
    """What the Rollout's annotations have to say and do not say yet."""
    key, workload = seen.names.workload_generation_annotation, seen.snapshot.workload
    known = seen.snapshot.rollout.metadata.annotations.get(key)
    wanted = str(workload.generation) if workload else None
    return {} if known == wanted else {key: wanted}


def observed(seen: View, status: RolloutStatus) -> RolloutStatus:
    """The status about this generation of the object; its size is remembered before it is first touched."""
    workload = seen.snapshot.workload
    if workload is None and not status.workload_observed_generation and status.workload_replicas is None:
        return status
    if workload is None:
        return replace(status, workload_observed_generation="", workload_replicas=None)
    before = status.workload_replicas
    if _mode(seen) is ScaleDown.NEVER or workload.replicas is None:
        before = None
    elif before is None:
        before = workload.replicas
    return replace(status, workload_observed_generation=str(workload.generation), workload_replicas=before)


def scaled(seen: View, status: RolloutStatus) -> tuple[ScaleWorkload, ...]:
    """The new size of the Deployment, once the status that remembers the old one is written."""
    workload = seen.snapshot.workload
    if workload is None or workload.replicas is None or seen.old.workload_replicas is None:
        return ()
    wanted = _wanted(seen, status, workload.replicas, seen.old.workload_replicas)
    if wanted == workload.replicas:
        return ()
    return (ScaleWorkload(workload.name, workload.uid, workload.resource_version, wanted),)


def _wanted(seen: View, status: RolloutStatus, now: int, before: int) -> int:
    mode = _mode(seen)
    if mode is ScaleDown.NEVER:
        return now
    if status.stable_rs:
        stable = seen.sets.current if status.stable_rs == seen.hash else seen.sets.stable
        is_whole = stable is not None and available(stable) >= seen.replicas
        return 0 if is_whole else now
    if mode is ScaleDown.ON_SUCCESS:
        return now
    if status.abort:
        return before
    return max(0, before - seen.sets.available)


def _mode(seen: View) -> ScaleDown:
    ref: ObjectRef | None = seen.spec.workload_ref
    return ref.scale_down if ref else ScaleDown.NEVER


def _selector(raw: object) -> LabelSelector:
    try:
        return parse(LabelSelector, raw or {}, "spec.selector", strict=False)
    except SpecError:
        return LabelSelector()
