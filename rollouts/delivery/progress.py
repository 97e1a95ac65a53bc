"""How far the update is: the text of its steps, and the clock of the progress deadline.

The clock measures net progress: it is set back only when the update comes nearer to its end than ever
before, so that a pod which is ready for a moment, again and again, does not renew the deadline for ever. It
stands still while somebody or an analysis is waited for. Called by `phase` and `status`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from rollouts.api.rollout_status import RolloutStatus
from rollouts.delivery.sets import available
from rollouts.delivery.view import View


def step_text(seen: View, index: int | None) -> str:
    """2/6: steps that are done, of all."""
    return f"{index}/{len(seen.steps)}" if seen.steps and index is not None else ""


def deadline(seen: View, status: RolloutStatus) -> datetime | None:
    """When the update has failed for want of progress; None while the clock stands still."""
    if status.last_progress_at is None:
        return None
    return status.last_progress_at + timedelta(seconds=seen.spec.progress_deadline_seconds)


def is_exceeded(seen: View, status: RolloutStatus) -> bool:
    """The deadline has passed, by counts that are not old: a set that is only to be created has none."""
    current = seen.sets.current
    return is_past(seen, status) and current.uid != "" and current.observed


def is_past(seen: View, status: RolloutStatus) -> bool:
    end = deadline(seen, status)
    if end is None or end > seen.snapshot.now:
        return False
    # a move restarts the clock, also in the decision that makes it: else a crash would decide how it ends
    return not (_is_better(seen, status) or _has_moved(seen, status))


def clocked(seen: View, status: RolloutStatus, *, counting: bool) -> RolloutStatus:
    """The status with the clock as this decision leaves it."""
    if not counting and status.last_progress_at is None and not status.best_available:
        return status
    if not counting:
        return replace(status, last_progress_at=None, best_available=0)
    if status.last_progress_at is None or _has_moved(seen, status) or seen.rescaled:
        return replace(status, last_progress_at=seen.now, best_available=available(seen.sets.current))
    if _is_better(seen, status):
        return replace(status, last_progress_at=seen.now, best_available=available(seen.sets.current))
    return status


def _has_moved(seen: View, status: RolloutStatus) -> bool:
    old = seen.old
    return (status.stable_rs, status.current_step_index) != (old.stable_rs, old.current_step_index)


def _is_better(seen: View, status: RolloutStatus) -> bool:
    return available(seen.sets.current) > status.best_available
