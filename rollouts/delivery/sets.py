"""The ReplicaSets of a Rollout, sorted into the buckets that every question of a decision is asked about.

Decides which set is current and which is stable, nothing more. The same value holds the observed sets and,
with other sizes, the planned ones; `changes` is the difference. Called by `plan`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from rollouts.api.rollout_status import RolloutStatus
from rollouts.delivery.snapshot import ReplicaSet, Snapshot


@dataclass(frozen=True, slots=True)
class Sets:
    """`current`: the set of the spec's template; one without uid is still to be created.

    `stable`: the set that is promoted, where it is another one and exists. `others`: the rest, newest
    revision first.
    """

    current: ReplicaSet
    stable: ReplicaSet | None
    others: tuple[ReplicaSet, ...]

    def __iter__(self) -> Iterator[ReplicaSet]:
        yield self.current
        if self.stable is not None:
            yield self.stable
        yield from self.others

    def each(self, change: Callable[[ReplicaSet], ReplicaSet]) -> Sets:
        stable = change(self.stable) if self.stable else None
        return Sets(change(self.current), stable, tuple(change(rs) for rs in self.others))

    @property
    def total(self) -> int:
        """Pods asked for, over all sets."""
        return sum(rs.replicas for rs in self)

    @property
    def available(self) -> int:
        return sum(available(rs) for rs in self)

    def named(self, pod_template_hash: str) -> ReplicaSet | None:
        return next((rs for rs in self if rs.pod_template_hash == pod_template_hash and rs.uid), None)


def sort(snapshot: Snapshot) -> Sets:
    """The observed sets of a snapshot; a missing current set stands in it with no pods and no uid."""
    current = _current(snapshot) or _missing(snapshot)
    stable_hash = snapshot.rollout.status.stable_rs
    rest = sorted(
        (rs for rs in snapshot.replica_sets if rs.name != current.name),
        key=lambda rs: (rs.revision, rs.created_at, rs.name),
        reverse=True,
    )
    stable = next((rs for rs in rest if rs.pod_template_hash == stable_hash), None)
    if stable_hash == current.pod_template_hash:
        stable = None
    return Sets(current, stable, tuple(rs for rs in rest if rs is not stable))


def available(rs: ReplicaSet) -> int:
    """Pods of a set that can be counted on: not those that are about to go, none while counts are old."""
    return min(rs.available_replicas, rs.replicas) if rs.observed else 0


def sized(rs: ReplicaSet, replicas: int) -> ReplicaSet:
    """The set with another size. Pods that it does not ask for now are not counted on when it grows."""
    if rs.replicas == replicas:
        return rs
    return replace(rs, replicas=replicas, available_replicas=min(rs.available_replicas, rs.replicas))


def revision(sets: Sets, status: RolloutStatus) -> int:
    """The current set's revision number: always the highest, also when an old set is used again.

    The status remembers it too: numbers never come back when a set is deleted, because the names of
    AnalysisRuns are made of them.
    """
    is_known = status.current_pod_hash == sets.current.pod_template_hash
    others = max((rs.revision for rs in sets if rs is not sets.current), default=0)
    own = max(sets.current.revision, status.current_revision if is_known else 0)
    highest = others if is_known else max(others, status.current_revision)
    return own if own > highest else highest + 1


def _current(snapshot: Snapshot) -> ReplicaSet | None:
    """By meaning first, so that an unknown field order never restarts a pod; then by hash.

    The hash alone also matches a set whose template was changed on its way in (an admission webhook):
    taking that for a collision would create one more set at every decision.
    """
    template, sets = snapshot.template, snapshot.replica_sets
    same = [rs for rs in sets if rs.template_digest == template.digest]
    same = same or [rs for rs in sets if rs.pod_template_hash == template.hash]
    known = snapshot.rollout.status.current_pod_hash
    return min(same, key=lambda rs: (rs.pod_template_hash != known, rs.created_at, rs.name), default=None)


def _missing(snapshot: Snapshot) -> ReplicaSet:
    template = snapshot.template
    return ReplicaSet(
        name=f"{snapshot.rollout.metadata.name}-{template.hash}",
        uid="",
        resource_version="",
        created_at=snapshot.now,
        pod_template_hash=template.hash,
        template_digest=template.digest,
        revision=0,
        replicas=0,
    )
