"""`status.duration`: when an update started, how long people were waited for, how and when it ended.

Measures; decides nothing. Called by `phase` (starts), and by `status` (the rest).
"""

from __future__ import annotations

from dataclasses import replace

from rollouts.api.rollout_status import CompletionStatus, PauseReason, RolloutDuration, RolloutStatus
from rollouts.delivery import view
from rollouts.delivery.view import View


def started(seen: View) -> RolloutDuration:
    return RolloutDuration(rollout_started_at=seen.now)


def updated(seen: View, status: RolloutStatus) -> RolloutDuration:
    """A new template. Only going back in mid-update is a rollback; anything else begins anew."""
    before = seen.old.duration
    if before is None or before.finished_at is not None or not _goes_back(seen):
        return started(seen)
    return replace(before, completion_status=_rolled_back(seen, status))


def ended(seen: View, status: RolloutStatus) -> RolloutDuration | None:
    """The duration of the update that this decision ends, be it by overtaking it."""
    before, after = seen.old.duration, status.duration
    if before is None or before.finished_at is not None or after is None:
        return None
    if seen.old.current_pod_hash != seen.hash and not _goes_back(seen):
        return replace(before, finished_at=seen.now, completion_status=CompletionStatus.SUPERSEDED)
    return after if after.finished_at is not None else None


def measured(seen: View, status: RolloutStatus, *, done: bool) -> RolloutDuration | None:
    """The duration as this decision leaves it. `done`: promoted and all pods available."""
    now = status.duration
    if now is None or now.finished_at is not None:
        return now
    now = _paused(seen, status, now, over=done)
    if status.abort:
        return replace(now, finished_at=seen.now, completion_status=CompletionStatus.ABORTED)
    if done:
        how = now.completion_status or CompletionStatus.PROMOTED
        return replace(now, finished_at=seen.now, completion_status=how)
    return now


def promoted(seen: View, status: RolloutStatus) -> RolloutDuration | None:
    """The set becomes stable: how is known by now, but the update ends with its last pod."""
    now = status.duration
    if now is None or now.completion_status is not None or now.finished_at is not None:
        return now
    if seen.snapshot.fast_rollback:
        return replace(now, completion_status=CompletionStatus.FAST_ROLLED_BACK)
    # blue-green also goes back to pods that are still up by a full promotion: nobody has asked for that one
    fast = status.promote_full and not (seen.blue_green and _goes_back(seen))
    how = CompletionStatus.FAST_PROMOTED if fast else CompletionStatus.PROMOTED
    return replace(now, completion_status=how)


def _rolled_back(seen: View, status: RolloutStatus) -> CompletionStatus:
    fast = seen.hash == seen.old.stable_rs or view.is_fast_rollback(seen) or status.promote_full
    return CompletionStatus.FAST_ROLLED_BACK if fast else CompletionStatus.ROLLED_BACK


def _goes_back(seen: View) -> bool:
    """The template is that of stable, of a set older than stable, or one that was good before."""
    current, stable = seen.sets.current, seen.sets.stable
    if seen.hash == seen.old.stable_rs or seen.snapshot.fast_rollback:
        return True
    return stable is not None and bool(current.uid) and current.age < stable.age


def _paused(seen: View, status: RolloutStatus, now: RolloutDuration, *, over: bool) -> RolloutDuration:
    if not over and _waits_for_person(seen, status):
        return now if now.manual_pause_started_at else replace(now, manual_pause_started_at=seen.now)
    if now.manual_pause_started_at is None:
        return now
    seconds = int((seen.now - now.manual_pause_started_at).total_seconds())
    total = (now.total_manual_pause_duration_seconds or 0) + seconds
    return replace(now, manual_pause_started_at=None, total_manual_pause_duration_seconds=total)


def _waits_for_person(seen: View, status: RolloutStatus) -> bool:
    if seen.spec.paused and not status.abort:
        return True
    for pause in status.pause_conditions:
        match pause.reason:
            case PauseReason.INCONCLUSIVE_ANALYSIS | PauseReason.INCONCLUSIVE_EXPERIMENT:
                return True
            case PauseReason.BLUE_GREEN_PAUSE:
                if seen.blue_green and not seen.blue_green.auto_promotion_enabled:
                    return True
            case PauseReason.CANARY_PAUSE_STEP:
                index = status.current_step_index
                step = seen.steps[index] if index is not None and index < len(seen.steps) else None
                if step and step.pause and step.pause.duration is None:
                    return True
    return False
