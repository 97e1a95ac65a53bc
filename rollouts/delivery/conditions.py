"""The conditions of a Rollout: what each of them says, and since when.

Decides nothing about the workload and nothing about the phase, which is read off them. Called by `status`; how a
condition ages is the same for an Experiment.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from rollouts.api.meta import Condition, ConditionType, Reason
from rollouts.api.rollout_status import RolloutStatus
from rollouts.delivery import progress, queueing, view
from rollouts.delivery.view import View

_ORDER = (
    ConditionType.AVAILABLE,
    ConditionType.PROGRESSING,
    ConditionType.PAUSED,
    ConditionType.COMPLETED,
    ConditionType.HEALTHY,
    ConditionType.INVALID_SPEC,
    ConditionType.REPLICA_FAILURE,
)


class Truth(StrEnum):
    """`status` of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


def of(seen: View, status: RolloutStatus, *, complete: bool, healthy: bool) -> tuple[Condition, ...]:
    """Those that follow from what was observed; those of types that are not ours stay.

    `complete`: all that the spec asks for is there. It is healthy as long as nobody holds it.
    """
    old = seen.old.conditions
    made = [aged(old, says, seen.now) for says in _says(seen, status, complete=complete, healthy=healthy)]
    return _ordered([*made, *(c for c in old if c.type not in _ORDER)])


def of_invalid(old: tuple[Condition, ...], message: str, now: datetime) -> tuple[Condition, ...]:
    """Those of a spec that cannot be served; what else was said before stays."""
    says = [
        said(ConditionType.INVALID_SPEC, Truth.TRUE, Reason.INVALID_SPEC, message),
        said(ConditionType.PROGRESSING, Truth.FALSE, Reason.INVALID_SPEC, "The spec is invalid"),
    ]
    if find(old, ConditionType.HEALTHY):
        says.append(said(ConditionType.HEALTHY, Truth.FALSE, Reason.NOT_HEALTHY, "The spec is invalid"))
    kept = [c for c in old if c.type not in {s.type for s in says}]
    return _ordered([*kept, *(aged(old, each, now) for each in says)])


def said(kind: ConditionType, status: Truth, reason: Reason | str, message: str) -> Condition:
    """A condition without its times."""
    return Condition(kind.value, status.value, str(reason), message)


def aged(old: Iterable[Condition], says: Condition, now: datetime) -> Condition:
    """With its times; one that says nothing new is as old as it was."""
    before = find(old, says.type)
    if before is None:
        return replace(says, last_update_time=now, last_transition_time=now)
    if (before.status, before.reason, before.message) == (says.status, says.reason, says.message):
        return before
    since = before.last_transition_time if before.status == says.status else now
    return replace(says, last_update_time=now, last_transition_time=since)


def find(conditions: Iterable[Condition], kind: str) -> Condition | None:
    return next((c for c in conditions if c.type == kind), None)


def is_timed_out(seen: View, status: RolloutStatus) -> bool:
    """The deadline has passed; told again and again until there is progress, also by old counts."""
    past = progress.is_exceeded(seen, status) or (was_timed_out(seen.old) and progress.is_past(seen, status))
    return past and not status.abort


def was_timed_out(old: RolloutStatus) -> bool:
    before = find(old.conditions, ConditionType.PROGRESSING)
    return before is not None and before.reason == Reason.PROGRESS_DEADLINE_EXCEEDED


def _says(seen: View, status: RolloutStatus, *, complete: bool, healthy: bool) -> list[Condition]:
    paused = seen.spec.paused or bool(status.pause_conditions)
    says = [
        _available(seen, status),
        _progressing(seen, status, complete=complete),
        _completed(seen, promoted=status.stable_rs == seen.hash),
    ]
    if paused or find(seen.old.conditions, ConditionType.PAUSED):
        message = "Paused" if paused else "Not paused"
        says.append(said(ConditionType.PAUSED, _truth(paused), Reason.PAUSED, message))
    if healthy or find(seen.old.conditions, ConditionType.HEALTHY):
        message = "Healthy" if healthy else "Not healthy"
        says.append(said(ConditionType.HEALTHY, _truth(healthy), Reason.HEALTHY, message))
    failure = next((rs.failure for rs in seen.sets if rs.failure), "")
    if failure:
        says.append(said(ConditionType.REPLICA_FAILURE, Truth.TRUE, Reason.FAILED_CREATE, failure))
    return says


def _available(seen: View, status: RolloutStatus) -> Condition:
    enough = status.available_replicas >= seen.replicas
    message = "All replicas are available" if enough else "Fewer replicas are available than desired"
    return said(ConditionType.AVAILABLE, _truth(enough), Reason.AVAILABLE, message)


def _completed(seen: View, *, promoted: bool) -> Condition:
    how = "stable" if promoted else "being rolled out"
    message = f"Revision {seen.revision} is {how}"
    return said(ConditionType.COMPLETED, _truth(promoted), Reason.COMPLETED, message)


def _progressing(  # noqa: PLR0911 - one a reason
    seen: View, status: RolloutStatus, *, complete: bool
) -> Condition:
    kind, name = ConditionType.PROGRESSING, seen.sets.current.name
    if status.abort:
        message = (
            status.abort_reason.message
            if status.abort_reason
            else f"Update to revision {seen.revision} aborted"
        )
        return said(kind, Truth.FALSE, Reason.ABORTED, message)
    if is_timed_out(seen, status):
        seconds = seen.spec.progress_deadline_seconds
        message = f"ReplicaSet {name} made no progress for {seconds}s"
        return said(kind, Truth.FALSE, Reason.PROGRESS_DEADLINE_EXCEEDED, message)
    if (seen.spec.paused or status.pause_conditions) and status.stable_rs != seen.hash:
        return said(kind, Truth.UNKNOWN, Reason.PAUSED, "Paused")
    if view.is_queued(seen, status):
        return said(kind, Truth.TRUE, Reason.QUEUED, f"The update is {queueing.MESSAGE}")
    if complete:
        return said(kind, Truth.TRUE, Reason.NEW_REPLICA_SET_AVAILABLE, f"ReplicaSet {name} is complete")
    if not seen.sets.current.current_replicas and status.stable_rs != seen.hash:
        return said(kind, Truth.TRUE, Reason.NEW_REPLICA_SET, f"ReplicaSet {name} is created")
    return said(kind, Truth.TRUE, Reason.REPLICA_SET_UPDATED, f"ReplicaSet {name} is progressing")


def _truth(value: bool) -> Truth:  # noqa: FBT001
    return Truth.TRUE if value else Truth.FALSE


def _ordered(conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    rank = {kind.value: place for place, kind in enumerate(_ORDER)}
    return tuple(sorted(conditions, key=lambda c: rank.get(c.type, len(rank))))
