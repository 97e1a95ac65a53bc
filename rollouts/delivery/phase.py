"""What has been asked for since the last status.

Decides, in this order: a new template, other steps, the verbs of people (retry, promote, skip); and whether an
analysis leaves doubt. Touches no size and no Service. Called by `plan`, before anything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rollouts.api.analysis import AnalysisPhase
from rollouts.api.meta import Reason
from rollouts.api.rollout_status import CanaryStatus, PauseCondition, PauseReason, RolloutStatus
from rollouts.delivery import (
    broken,
    duration,
    events,
    experiment_step,
    progress,
    queueing,
    runs,
    view,
    webhooks,
)
from rollouts.delivery.view import Draft, Mode, View

DOUBTS = (PauseReason.INCONCLUSIVE_ANALYSIS, PauseReason.INCONCLUSIVE_EXPERIMENT)
"""Pauses that hold the update wherever it stands."""
_STEPS_COUNT = (Mode.STEPPING, Mode.PROVING, Mode.ABORTED)


def begin(seen: View) -> Draft:
    """The old status brought up to what Git and people have asked for since."""
    old = seen.old
    if old.current_pod_hash != seen.hash:
        return _updated(seen)
    if old.current_step_hash != seen.step_hash and not _is_adopted(seen):
        return Draft(_with_other_steps(seen, old))
    if old.aborted_at is not None and not old.abort:
        return _retried(seen, old)
    if old.aborted_at is not None and old.promote_full:
        return _retried(seen, replace(old, abort=False))
    return Draft(adjusted(seen, old))


def doubt(seen: View, draft: Draft) -> Draft:
    """An inconclusive analysis or Experiment waits for a person; when the person says go on, it is run again."""
    status = draft.status
    unclear = [
        slot for slot in judged(seen, status) if _phase(seen, status, slot) is AnalysisPhase.INCONCLUSIVE
    ]
    experiment = experiment_step.verdict(seen, status) is AnalysisPhase.INCONCLUSIVE
    reason = PauseReason.INCONCLUSIVE_ANALYSIS if unclear else PauseReason.INCONCLUSIVE_EXPERIMENT
    if any(p.reason in DOUBTS for p in status.pause_conditions):
        return _outlasted(seen, draft)
    if not (unclear or experiment):
        return draft
    if status.controller_pause and not status.pause_conditions:
        for slot in unclear:
            status = runs.record(status, slot.type, None)
        status = experiment_step.left(status) if experiment else status
        return draft.to(replace(status, attempt=status.attempt + 1))
    pause = PauseCondition(reason, seen.now)
    status = replace(status, pause_conditions=(*status.pause_conditions, pause), controller_pause=True)
    told = f"Revision {seen.revision} paused until somebody promotes or aborts ({pause.reason})"
    return _outlasted(seen, draft.to(status, events.normal(Reason.PAUSED, told)))


def _outlasted(seen: View, draft: Draft) -> Draft:
    """Of a timed pause and a doubt only the doubt is left when the time is over."""
    status = draft.status
    timed = view.pause(status, PauseReason.CANARY_PAUSE_STEP)
    index = status.current_step_index
    pause = seen.steps[index].pause if index is not None and index < len(seen.steps) else None
    if timed is None or pause is None or pause.duration is None:
        return draft
    end = timed.start_time + pause.duration
    if end > seen.snapshot.now:
        return draft.wake_at(end)
    left = tuple(p for p in status.pause_conditions if p is not timed)
    return draft.to(replace(status, pause_conditions=left))


def judged(seen: View, status: RolloutStatus) -> Iterator[runs.Slot]:
    """The slots whose verdict counts now."""
    if not view.is_analysed(seen, status):
        return
    index = status.current_step_index
    for slot in runs.slots(seen):
        match slot.type:
            case runs.RunType.STEP if slot.step_index != index:
                continue
            case runs.RunType.BACKGROUND if not is_background_due(seen, status):
                continue
            case runs.RunType.PRE_PROMOTION if status.blue_green.active_selector == seen.hash:
                continue
            case runs.RunType.POST_PROMOTION if status.blue_green.active_selector != seen.hash:
                continue
            case runs.RunType.BAKE if status.bake is None:
                continue
            case _:
                yield slot


def is_background_due(seen: View, status: RolloutStatus) -> bool:
    if seen.canary is None or seen.canary.analysis is None:
        return False
    start, index = seen.canary.analysis.starting_step, status.current_step_index
    return start is None or index is None or index >= start


def _updated(seen: View) -> Draft:
    old = seen.old
    status = replace(
        _from_the_start(seen, old),
        current_pod_hash=seen.hash,
        attempt=0,
        restarted_at=seen.spec.restart_at,
    )
    status = replace(status, duration=duration.updated(seen, status))
    told = [events.normal(Reason.ROLLOUT_UPDATED, f"Updated to revision {seen.revision}{git(seen)}")]
    if not old.current_pod_hash:
        told.append(events.normal(Reason.ROLLOUT_ADDED, "Seen for the first time"))
    was_under_way = old.current_pod_hash not in ("", old.stable_rs)
    if not was_under_way and not (seen.blue_green and view.mode(seen, status) is Mode.INITIAL):
        started = f"Update to revision {seen.revision} ({seen.hash}) started"
        told.append(events.normal(Reason.NOT_COMPLETED, started))
    if broken.is_replaced(seen) and view.mode(seen, status) is Mode.FAST:
        told.append(events.normal(Reason.SKIP_STEPS, "Stable serves nobody: it is replaced without steps"))
    elif view.mode(seen, status) in (Mode.FAST, Mode.PROMOTED) and seen.steps:
        told.append(events.normal(Reason.SKIP_STEPS, f"Going back to {seen.hash} without steps"))
    return Draft(status).to(status, *told, *queueing.told(status))


def _from_the_start(seen: View, old: RolloutStatus) -> RolloutStatus:
    """All steps again, with nothing of the last try but its number."""
    status = replace(
        cleared(old),
        current_step_hash=seen.step_hash,
        current_step_started_at=seen.now,
        canary=CanaryStatus(weights=old.canary.weights),
        blue_green=replace(
            old.blue_green,
            scale_up_preview_check_point=False,
            pre_promotion_analysis_run_status=None,
            post_promotion_analysis_run_status=None,
        ),
        promote_full=_is_still_up(seen) or (old.current_pod_hash != seen.hash and broken.is_replaced(seen)),
        attempt=old.attempt + 1,
        last_progress_at=None,
        best_available=0,
        bake=None,
    )
    status = replace(status, current_step_index=first_step(seen, status))
    return queueing.begun(seen, webhooks.begun(seen, status))


def _with_other_steps(seen: View, old: RolloutStatus) -> RolloutStatus:
    status = _from_the_start(seen, old)
    ended = old.duration is None or old.duration.finished_at is not None
    begins = ended and view.mode(seen, status) is not Mode.PROMOTED
    return replace(status, duration=duration.started(seen)) if begins else status


def cleared(status: RolloutStatus) -> RolloutStatus:
    return replace(
        status,
        abort=False,
        aborted_at=None,
        abort_reason=None,
        pause_conditions=(),
        controller_pause=False,
        promote_full=False,
    )


def _retried(seen: View, old: RolloutStatus) -> Draft:
    status = _from_the_start(seen, old)
    status = replace(status, promote_full=old.promote_full, duration=duration.started(seen))
    status = webhooks.begun(seen, replace(status, current_step_index=first_step(seen, status)))
    status = queueing.begun(seen, status)
    again = events.normal(Reason.RETRIED, f"Trying revision {seen.revision} again")
    return Draft(status).to(status, again, *queueing.told(status))


def adjusted(seen: View, old: RolloutStatus) -> RolloutStatus:
    """The old status with a step index that exists, and as a promotion by a person leaves it."""
    status = old
    waits = status.pause_conditions or status.controller_pause
    if waits and view.mode(seen, status) in (Mode.FAST, Mode.INITIAL, Mode.PROMOTED):
        status = replace(status, pause_conditions=(), controller_pause=False)
    if old.abort and old.aborted_at is None:
        status = replace(status, promote_full=False)
    status = _switched(seen, status)
    index = _index(seen, status)
    if progress.step_text(seen, index) == old.step and index == old.current_step_index:
        return status
    return skipped_to(seen, status, index)


def _index(seen: View, status: RolloutStatus) -> int | None:
    """The step index of the status, where the mode leaves a choice and as far as there are steps."""
    is_over = status.aborted_at is not None or view.mode(seen, status) not in _STEPS_COUNT
    if is_over or status.current_step_index is None or not seen.steps:
        return first_step(seen, status)
    return max(0, min(status.current_step_index, len(seen.steps)))


def _switched(seen: View, status: RolloutStatus) -> RolloutStatus:
    """What follows from an active Service that selects the current set already."""
    service = seen.service(seen.blue_green.active_service) if seen.blue_green else None
    is_switched = service is not None and service.selected_hash == seen.hash
    if not is_switched or view.mode(seen, status) is not Mode.STEPPING:
        return status
    pauses = tuple(p for p in status.pause_conditions if p.reason is not PauseReason.BLUE_GREEN_PAUSE)
    blue_green = replace(status.blue_green, scale_up_preview_check_point=True)
    return replace(status, pause_conditions=pauses, blue_green=blue_green)


def skipped_to(seen: View, status: RolloutStatus, index: int | None) -> RolloutStatus:
    """A person has moved the index (or a new version of the controller reads an old status)."""
    if status.step:
        status = replace(status, pause_conditions=(), controller_pause=False)
        status = experiment_step.left(runs.record(status, runs.RunType.STEP, None))
    status = replace(
        status, current_step_index=index, current_step_started_at=seen.now, best_available=0, bake=None
    )
    return webhooks.entering(seen, status)


def first_step(seen: View, status: RolloutStatus) -> int | None:
    if not seen.steps:
        return None
    skips = view.mode(seen, status) in (Mode.FAST, Mode.INITIAL, Mode.PROMOTED)
    return len(seen.steps) if skips else 0


def _is_still_up(seen: View) -> bool:
    """Blue-green goes back to a version whose pods are still in their scale-down delay.

    Kept in the status as a full promotion: the deadline that says so is taken off the set on the way.
    """
    deadline = seen.sets.current.scale_down_deadline
    back = seen.sets.stable is not None and seen.sets.current.age < seen.sets.stable.age
    return seen.blue_green is not None and back and deadline is not None and deadline > seen.snapshot.now


def _is_adopted(seen: View) -> bool:
    """A status that another controller wrote: its step hash is made in another way."""
    return bool(seen.old.current_step_hash) and not seen.old.step


def _phase(seen: View, status: RolloutStatus, slot: runs.Slot) -> AnalysisPhase | None:
    stands = runs.standing(seen, status, slot)
    return stands.status if stands else None


def git(seen: View) -> str:
    return f" ({seen.git_revision})" if seen.git_revision else ""
