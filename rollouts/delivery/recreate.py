"""The recreate strategy: all pods of one version are gone before one of another starts.

Decides sizes; everything else is that of a canary without steps. Called by `plan`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from rollouts.api.rollout_status import RolloutStatus
from rollouts.delivery import view
from rollouts.delivery.sets import Sets, sized
from rollouts.delivery.snapshot import ReplicaSet
from rollouts.delivery.view import Draft, Mode, View

AGAIN = timedelta(seconds=2)
"""Pods that are terminating are not counted by their ReplicaSet, so nothing tells when the last is gone."""


def sizes(seen: View, status: RolloutStatus) -> Sets:
    """One set has pods; it gets them when nobody else has any."""
    if view.is_held(seen, status):
        return _held(seen)
    serving = _serving(seen, status)
    count = seen.replicas if _is_alone(seen, serving) else min(serving.replicas, seen.replicas)
    return _only(seen.sets, serving, count)


def waiting(seen: View, draft: Draft) -> Draft:
    """Looks again soon while pods of other versions are terminating."""
    serving = _serving(seen, draft.status)
    ending = all(rs.replicas == 0 for rs in seen.sets if rs.name != serving.name)
    if view.is_held(seen, draft.status) or not ending or _is_alone(seen, serving):
        return draft
    return draft.wake_at(seen.now + AGAIN)


def _serving(seen: View, status: RolloutStatus) -> ReplicaSet:
    back = view.mode(seen, status) is Mode.ABORTED
    return seen.sets.stable if back and seen.sets.stable else seen.sets.current


def _is_alone(seen: View, serving: ReplicaSet) -> bool:
    others = [rs for rs in seen.sets if rs.name != serving.name]
    hashes = {rs.pod_template_hash for rs in others}
    left = any(pod.pod_template_hash in hashes for pod in seen.snapshot.pods)
    return not left and all(rs.observed and not rs.replicas and not rs.current_replicas for rs in others)


def _only(sets: Sets, serving: ReplicaSet, count: int) -> Sets:
    def size(rs: ReplicaSet) -> ReplicaSet:
        return sized(rs, count if rs.name == serving.name else 0)

    stable = size(sets.stable) if sets.stable else None
    return Sets(size(sets.current), stable, tuple(size(rs) for rs in sets.others))


def _held(seen: View) -> Sets:
    """While a person holds the update, whoever has the pods is scaled."""
    sets = seen.sets
    if not seen.rescaled:
        return sets
    if sets.stable is not None and sets.stable.replicas:
        return replace(sets, stable=sized(sets.stable, seen.replicas))
    return replace(sets, current=sized(sets.current, seen.replicas)) if sets.current.replicas else sets
