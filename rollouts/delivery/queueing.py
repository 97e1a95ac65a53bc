"""Updates that wait for others: when one is queued, what holds a slot, and who goes first.

Whether there is a slot is the controller's to say (`Snapshot.admitted`); here is what follows from it. Only an
update that takes its steps is ever queued: an abort, a fast rollback, a full promotion and a first deployment are
not. Called by `plan`, `phase` and the controller.
"""

from __future__ import annotations

import re
from dataclasses import replace

from rollouts.api.meta import Names, ObjectMeta, Reason
from rollouts.api.rollout_status import PauseReason, Phase, RolloutStatus
from rollouts.delivery import events, view
from rollouts.delivery.actions import Event
from rollouts.delivery.view import Draft, Mode, View

MESSAGE = "queued: as many updates as the controller allows at once are going on"
_TIMED = frozenset({PauseReason.CANARY_PAUSE_STEP, PauseReason.BLUE_GREEN_PAUSE})


def begun(seen: View, status: RolloutStatus) -> RolloutStatus:
    """An update from its beginning; one that overtakes a queued one keeps its place."""
    if view.mode(seen, status) is not Mode.STEPPING or seen.snapshot.admitted:
        return replace(status, queued_at=None) if status.queued_at else status
    return replace(status, queued_at=seen.old.queued_at or seen.now)


def admitted(seen: View, draft: Draft) -> Draft:
    """The end of the wait. It is written first; the next decision makes pods."""
    status = draft.status
    waits = view.is_queued(seen, status)
    if status.queued_at is None or (waits and not seen.snapshot.admitted):
        return draft
    status = replace(status, queued_at=None, current_step_started_at=seen.now)
    told = (events.normal(Reason.DEQUEUED, f"Update to revision {seen.revision} begins"),) if waits else ()
    return draft.to(status, *told)


def told(status: RolloutStatus) -> tuple[Event, ...]:
    """Of an update that has to wait from its beginning."""
    return (events.normal(Reason.QUEUED, f"The update is {MESSAGE}"),) if status.queued_at else ()


def is_going_on(status: RolloutStatus) -> bool:
    """It holds a slot: pods are being replaced, or will be by themselves after a pause."""
    under_way = bool(status.stable_rs) and status.current_pod_hash not in ("", status.stable_rs)
    if not under_way or status.abort or status.queued_at is not None:
        return False
    if status.phase is Phase.PAUSED:
        by_person = status.duration is not None and status.duration.manual_pause_started_at is not None
        timed = bool(status.pause_conditions) and all(p.reason in _TIMED for p in status.pause_conditions)
        return timed and not by_person
    return status.phase is Phase.PROGRESSING


def priority(metadata: ObjectMeta, names: Names) -> int:
    """Higher goes first; what is no number counts as none."""
    text = metadata.annotations.get(names.update_priority_annotation, "")
    return int(text) if re.fullmatch(r"-?\d{1,9}", text) else 0
