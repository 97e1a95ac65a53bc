"""canary and blueGreen spec -> one list of Step values, and the fold that takes them.

Decides whether a step is reached and goes on to the next until one is not; how many pods there should be is
decided before, in `canary` and `bluegreen`. Called by `plan`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from rollouts.api.analysis import AnalysisPhase
from rollouts.api.meta import Reason
from rollouts.api.parse import format_timestamp
from rollouts.api.rollout_status import PauseCondition, PauseReason
from rollouts.delivery import events, replicas, runs, view
from rollouts.delivery.sets import Sets, available
from rollouts.delivery.view import Draft, View


@dataclass(frozen=True, slots=True)
class Weigh:
    """A share of the pods is of the current set."""

    percent: int


@dataclass(frozen=True, slots=True)
class Grow:
    """So many pods of the current set are available."""

    replicas: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Until a time has passed, or (without one) until a person says so."""

    reason: PauseReason
    duration: timedelta | None


@dataclass(frozen=True, slots=True)
class Analyse:
    slot: runs.Slot


@dataclass(frozen=True, slots=True)
class Accept:
    """The preview is accepted: from here on it has all replicas."""


@dataclass(frozen=True, slots=True)
class Switch:
    """The active Service selects the current set."""


Step = Weigh | Grow | Wait | Analyse | Accept | Switch


@dataclass(frozen=True, slots=True)
class Taken:
    draft: Draft
    reached: bool


def take(seen: View, draft: Draft, planned: Sets, step: Step) -> Taken:
    """One step: what it changes, and whether the update may go on to the next."""
    match step:
        case Weigh(percent):
            return Taken(draft, _is_weighed(seen, planned, percent))
        case Grow(count):
            return Taken(draft, planned.current.replicas >= count <= available(seen.sets.current))
        case Wait():
            return _wait(seen, draft, step)
        case Analyse(slot):
            return _analyse(seen, draft, slot)
        case Accept():
            blue_green = replace(draft.status.blue_green, scale_up_preview_check_point=True)
            return Taken(draft.to(replace(draft.status, blue_green=blue_green)), reached=True)
        case Switch():
            blue_green = replace(draft.status.blue_green, active_selector=seen.hash)
            return Taken(draft.to(replace(draft.status, blue_green=blue_green)), reached=True)
        case _:
            assert_never(step)


def _is_weighed(seen: View, planned: Sets, percent: int) -> bool:
    target = replicas.for_weight(seen.replicas, percent, surge=seen.limits.surge > 0)
    stable, was = planned.stable, seen.sets.stable
    return (
        planned.current.replicas == target.canary
        and seen.enough(target.canary)
        and stable is not None
        and was is not None
        and stable.replicas == target.stable
        and was.current_replicas >= target.stable
        and not any(rs.replicas for rs in planned.others)
    )


def _wait(seen: View, draft: Draft, step: Wait) -> Taken:
    status = draft.status
    paused = view.pause(status, step.reason)
    if paused is None and status.controller_pause and not status.pause_conditions:
        return Taken(_resumed(draft), reached=True)  # a person has cleared the pause
    since = paused.start_time if paused else seen.now
    over = since + step.duration if step.duration is not None else None
    if over is not None and over <= seen.snapshot.now:
        return Taken(_resumed(draft) if paused else draft, reached=True)
    if paused is None:
        draft = _paused(seen, draft, step.reason, until=over)
    return Taken(draft.wake_at(over) if over else draft, reached=False)


def _paused(seen: View, draft: Draft, reason: PauseReason, *, until: datetime | None) -> Draft:
    conditions = (*draft.status.pause_conditions, PauseCondition(reason, seen.now))
    status = replace(draft.status, pause_conditions=conditions, controller_pause=True)
    index = status.current_step_index
    where = "" if index is None else f" at step {index + 1} of {len(seen.steps)}"
    until_when = f"until {format_timestamp(until)}" if until else "until somebody promotes"
    return draft.to(status, events.normal(Reason.PAUSED, f"Paused{where} {until_when} ({reason})"))


def _resumed(draft: Draft) -> Draft:
    status = replace(draft.status, pause_conditions=(), controller_pause=False)
    return draft.to(status, events.normal(Reason.RESUMED, "Resumed"))


def _analyse(seen: View, draft: Draft, slot: runs.Slot) -> Taken:
    stands = runs.standing(seen, draft.status, slot)
    return Taken(draft, reached=stands is not None and stands.status is AnalysisPhase.SUCCESSFUL)
