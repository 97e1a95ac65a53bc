"""Labels and annotations that pods carry for their role: canary or stable, preview or active.

Decides which ones each set's template should have, and which pods do not have them yet. A change of role is
two phases, so that a crash never leaves a pod with the label of a role that it lost: the template changes
first, while the set's annotation still names what its pods may carry; once every pod is right, the
annotation says only what is wanted, and the status remembers that there is nothing to look at. Called by `plan`.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from rollouts.api import injected
from rollouts.api.injected import NONE
from rollouts.api.rollout_status import RolloutStatus
from rollouts.api.strategy import PodTemplateMetadata
from rollouts.delivery import view
from rollouts.delivery.actions import PatchPod
from rollouts.delivery.sets import Sets
from rollouts.delivery.snapshot import ReplicaSet, Snapshot
from rollouts.delivery.view import Mode, View

AT_A_TIME = 100
"""Pods that one plan changes; an abort must not wait for thousands."""


@dataclass(frozen=True, slots=True)
class Roles:
    """The sets with what they should carry, the pods to change, and what the status remembers."""

    planned: Sets
    pods: tuple[PatchPod, ...] = ()
    synced: str = ""


def needs_pods(snapshot: Snapshot) -> bool:
    """Some pods may not carry yet what their role asks for."""
    if _metadata(snapshot) == (NONE, NONE) and all(rs.injected == NONE for rs in snapshot.replica_sets):
        return False
    seen = view.of(snapshot)
    return _digest(seen, seen.old) != seen.old.synced_pod_metadata


def assigned(seen: View, status: RolloutStatus, planned: Sets) -> Roles:
    digest = _digest(seen, status)
    if not digest:
        return Roles(planned)
    pods = tuple(itertools.islice(_pods(seen, status, planned), AT_A_TIME))
    is_settled = digest == seen.old.synced_pod_metadata or _is_settled(seen, status, pods)

    def given(rs: ReplicaSet) -> ReplicaSet:
        metadata = wanted(seen, status, rs)
        return _given(rs, metadata, _target(seen, rs, metadata), is_settled=is_settled)

    return Roles(planned.each(given), pods, digest if is_settled else seen.old.synced_pod_metadata)


def wanted(seen: View, status: RolloutStatus, rs: ReplicaSet) -> PodTemplateMetadata:
    """What pods of a set carry for its role; an aborted or superseded set has none."""
    fresh, stable = _metadata(seen.snapshot)
    if rs.name != seen.sets.current.name:
        return stable if rs.pod_template_hash == status.stable_rs else NONE
    match view.mode(seen, status):
        case Mode.INITIAL | Mode.PROVING | Mode.PROMOTED:
            return stable
        case Mode.ABORTED:
            return NONE
        case Mode.FAST | Mode.STEPPING:
            return fresh


def _metadata(snapshot: Snapshot) -> tuple[PodTemplateMetadata, PodTemplateMetadata]:
    """For the newest version, and for the stable one."""
    strategy = snapshot.rollout.spec.strategy
    if strategy.canary is not None:
        found = strategy.canary.canary_metadata, strategy.canary.stable_metadata
    elif strategy.blue_green is not None:
        found = strategy.blue_green.preview_metadata, strategy.blue_green.active_metadata
    else:
        found = None, None
    fresh, stable = found
    return fresh or NONE, stable or NONE


def _given(
    rs: ReplicaSet, metadata: PodTemplateMetadata, target: PodTemplateMetadata, *, is_settled: bool
) -> ReplicaSet:
    if not rs.uid:
        return replace(rs, injected=metadata, carried=metadata)
    if rs.carried == target and (rs.injected == metadata or not is_settled):
        return rs
    if is_settled or not rs.replicas:
        return replace(rs, injected=metadata, carried=target)
    return replace(rs, injected=_over(rs.injected, metadata), carried=target)


def _target(seen: View, rs: ReplicaSet, metadata: PodTemplateMetadata) -> PodTemplateMetadata:
    """What the template has under the keys that were or are injected, when it is right."""
    is_current = rs.name == seen.sets.current.name
    # Of an earlier version it is not known any more what the template said.
    own = injected.carried(seen.spec.template, rs.injected) if is_current else NONE
    return _over(own, metadata)


def _over(below: PodTemplateMetadata, above: PodTemplateMetadata) -> PodTemplateMetadata:
    return PodTemplateMetadata({**below.labels, **above.labels}, {**below.annotations, **above.annotations})


def _is_settled(seen: View, status: RolloutStatus, pods: tuple[PatchPod, ...]) -> bool:
    """Templates are right, pods made before they were are listed, and all of those are right."""
    if pods or not seen.sets.current.uid:
        return False
    are_listed = bool(seen.snapshot.pods) or not any(rs.replicas or rs.current_replicas for rs in seen.sets)
    return are_listed and all(
        rs.observed and rs.carried == _target(seen, rs, wanted(seen, status, rs)) for rs in seen.sets
    )


def _pods(seen: View, status: RolloutStatus, planned: Sets) -> Iterator[PatchPod]:
    """Pods of a set that is to have none go, whatever they carry."""
    by_hash = {rs.pod_template_hash: rs for rs in planned if rs.uid and rs.replicas}
    for pod in sorted(seen.snapshot.pods, key=lambda pod: pod.name):
        rs = by_hash.get(pod.pod_template_hash)
        if rs is None or pod.deleting:
            continue
        target = _target(seen, rs, wanted(seen, status, rs))
        labels = _changes(pod.labels, target.labels, rs.injected.labels)
        annotations = _changes(pod.annotations, target.annotations, rs.injected.annotations)
        if labels or annotations:
            yield PatchPod(pod.name, pod.uid, labels, annotations)


def _changes(
    has: Mapping[str, str], target: Mapping[str, str], given: Mapping[str, str]
) -> Mapping[str, str | None]:
    wanted: dict[str, str | None] = {**dict.fromkeys(given), **target}
    return {key: value for key, value in wanted.items() if has.get(key) != value}


def _digest(seen: View, status: RolloutStatus) -> str:
    """Identifies what each role carries and who has it; empty where nobody carries anything."""
    if _metadata(seen.snapshot) == (NONE, NONE) and all(rs.injected == NONE for rs in seen.sets):
        return ""
    held = (
        (rs.pod_template_hash, injected.written(wanted(seen, status, rs)))
        for rs in (seen.sets.current, *((seen.sets.stable,) if seen.sets.stable else ()))
    )
    return hashlib.sha256(repr(sorted(held)).encode()).hexdigest()[:16]
