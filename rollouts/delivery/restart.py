"""`spec.restartAt`: which pods are evicted now.

Decides order and number; the eviction API decides whether a PodDisruptionBudget allows it. Called by `plan`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from rollouts.api.rollout_status import RolloutStatus
from rollouts.delivery.actions import EvictPod
from rollouts.delivery.sets import Sets
from rollouts.delivery.snapshot import Pod
from rollouts.delivery.view import View

AGAIN = timedelta(seconds=30)
"""An eviction that a budget refused is tried again after this long."""


@dataclass(frozen=True, slots=True)
class Restart:
    evictions: tuple[EvictPod, ...] = ()
    restarted_at: datetime | None = None
    """The restartAt that is carried out by now."""
    wake_at: datetime | None = None


def due(seen: View, status: RolloutStatus, planned: Sets) -> Restart:
    """Pods older than restartAt: stable first, then current, then others (argo-rollouts: rollout/restart.go)."""
    at, done = seen.spec.restart_at, status.restarted_at
    if at is None or at == done:
        return Restart(restarted_at=done)
    if at > seen.snapshot.now:
        return Restart(restarted_at=done, wake_at=at)
    pods = seen.snapshot.pods
    if not pods and any(rs.current_replicas for rs in seen.sets):
        return Restart(restarted_at=done, wake_at=seen.now + AGAIN)  # not listed yet
    old = [pod for pod in pods if pod.created_at < at]
    if not old:
        return Restart(restarted_at=at)
    if _shrinks(seen, planned):  # the same pods would be counted on twice; an abort must not wait either
        return Restart(restarted_at=done, wake_at=seen.now + AGAIN)
    evicted = [pod for pod in sorted(old, key=lambda p: _rank(seen, p)) if not pod.deleting][: _allowed(seen)]
    return Restart(tuple(EvictPod(p.name, p.uid) for p in evicted), done, seen.now + AGAIN)


def _shrinks(seen: View, planned: Sets) -> bool:
    sizes = {rs.name: rs.replicas for rs in planned}
    return any(sizes[rs.name] < rs.replicas for rs in seen.sets)


def _allowed(seen: View) -> int:
    at_a_time = max(1, seen.limits.unavailable)
    available = sum(pod.available and not pod.deleting for pod in seen.snapshot.pods)
    return max(0, available - (max(seen.replicas, seen.sets.total) - at_a_time))


def _rank(seen: View, pod: Pod) -> tuple[int, datetime, str]:
    stable = seen.old.stable_rs
    order = {seen.hash: 1, stable: 0}
    return order.get(pod.pod_template_hash, 2), pod.created_at, pod.name
