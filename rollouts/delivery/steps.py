"""canary and blueGreen spec -> one list of Step values, and the fold that takes them.

Decides whether a step is reached and goes on to the next until one is not; how many pods there should be is
decided before, in `canary` and `bluegreen`. Called by `plan`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from rollouts.api.analysis import AnalysisPhase
from rollouts.api.meta import Reason
from rollouts.api.parse import format_timestamp
from rollouts.api.rollout_status import PauseCondition, PauseReason
from rollouts.api.strategy import OnTimeout
from rollouts.api.webhook import WebhookType
from rollouts.delivery import broken, events, experiment_step, replicas, routed, runs, view, webhooks
from rollouts.delivery.sets import Sets, available
from rollouts.delivery.view import Draft, Mode, View


@dataclass(frozen=True, slots=True)
class Weigh:
    """A share of the pods is of the current set."""

    percent: int


@dataclass(frozen=True, slots=True)
class Steer:
    """Pods, weights and routes are as the step of a canary with routers asks."""

    weighs: bool


@dataclass(frozen=True, slots=True)
class Grow:
    """So many pods of the current set are available."""

    replicas: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Until a time has passed, or (without one) until a person says so, or has not said so in time."""

    reason: PauseReason
    duration: timedelta | None
    timeout: timedelta | None = None
    on_timeout: OnTimeout = OnTimeout.ABORT

    @property
    def goes_on_after(self) -> timedelta | None:
        """How long it takes at most to go on. None: a person goes on, or `abort` ends it."""
        return self.timeout if self.on_timeout is OnTimeout.PROMOTE and self.timeout else self.duration


@dataclass(frozen=True, slots=True)
class Analyse:
    slot: runs.Slot


@dataclass(frozen=True, slots=True)
class Conduct:
    """The Experiment of the step with this index is Successful."""

    index: int


@dataclass(frozen=True, slots=True)
class Ask:
    """The webhooks of these types have said yes."""

    types: tuple[WebhookType, ...]


@dataclass(frozen=True, slots=True)
class Accept:
    """The preview is accepted: from here on it has all replicas."""


@dataclass(frozen=True, slots=True)
class Switch:
    """The active Service selects the current set."""


Step = Weigh | Steer | Grow | Wait | Analyse | Conduct | Ask | Accept | Switch


@dataclass(frozen=True, slots=True)
class Taken:
    draft: Draft
    reached: bool


def follow(seen: View, draft: Draft, planned: Sets, steps: Iterable[Step]) -> tuple[Draft, Step | None]:
    """One after the other, as far as the pods that there are allow; and the step that is not reached."""
    for step in steps:
        taken = take(seen, draft, planned, step)
        draft = taken.draft
        if not taken.reached:
            return draft, step
    return draft, None


def take(  # noqa: PLR0911 - one arm a step
    seen: View, draft: Draft, planned: Sets, step: Step
) -> Taken:
    """One step: what it changes, and whether the update may go on to the next."""
    match step:
        case Weigh(percent):
            return Taken(draft, _is_weighed(seen, planned, percent))
        case Steer():
            return Taken(draft, routed.is_reached(seen, draft.status, planned))
        case Grow(count):
            return Taken(draft, planned.current.replicas >= count <= available(seen.sets.current))
        case Wait():
            return _wait(seen, draft, step)
        case Analyse(slot):
            return _analyse(seen, draft, slot)
        case Conduct():
            return Taken(
                draft, reached=experiment_step.verdict(seen, draft.status) is AnalysisPhase.SUCCESSFUL
            )
        case Ask(types):
            return _ask(seen, draft, types)
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
    if was is not None and planned.current.replicas > target.canary and broken.serves_nobody(was):
        return available(seen.sets.current) >= target.canary  # it cannot take over what would be given up
    return (
        # Not in the plan that asks for this size: until that is observed a step would be told a second time
        # after a crash.
        seen.sets.current.replicas == planned.current.replicas == target.canary
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
    goes_on = since + step.goes_on_after if step.goes_on_after is not None else None
    if goes_on is not None and goes_on <= seen.snapshot.now:
        return Taken(_resumed(draft, late=step.timeout is not None) if paused else draft, reached=True)
    if paused is None:
        draft = _paused(seen, draft, step)
    ends = since + step.timeout if step.timeout is not None else goes_on
    return Taken(draft.wake_at(ends) if ends else draft, reached=False)


def _paused(seen: View, draft: Draft, step: Wait) -> Draft:
    conditions = (*draft.status.pause_conditions, PauseCondition(step.reason, seen.now))
    status = replace(draft.status, pause_conditions=conditions, controller_pause=True)
    index = status.current_step_index
    where = "" if index is None else f" at step {index + 1} of {len(seen.steps)}"
    message = f"Revision {seen.revision} paused{where} {_until(step, seen.now)} ({step.reason})"
    return draft.to(status, events.normal(Reason.PAUSED, message))


def _until(step: Wait, since: datetime) -> str:
    if step.timeout is not None:
        end = "aborted" if step.on_timeout is OnTimeout.ABORT else "promoted"
        return f"until somebody promotes, {end} at {format_timestamp(since + step.timeout)}"
    if step.duration is not None:
        return f"until {format_timestamp(since + step.duration)}"
    return "until somebody promotes"


def _resumed(draft: Draft, *, late: bool = False) -> Draft:
    status = replace(draft.status, pause_conditions=(), controller_pause=False)
    message = "Resumed: nobody has answered within the timeout" if late else "Resumed"
    return draft.to(status, events.normal(Reason.RESUMED, message))


def _analyse(seen: View, draft: Draft, slot: runs.Slot) -> Taken:
    stands = runs.standing(seen, draft.status, slot)
    return Taken(draft, reached=stands is not None and stands.status is AnalysisPhase.SUCCESSFUL)


def _ask(seen: View, draft: Draft, types: tuple[WebhookType, ...]) -> Taken:
    status = draft.status
    if view.mode(seen, status) is Mode.STEPPING:
        promoted = status.controller_pause and not status.pause_conditions
        if promoted and webhooks.waiting(seen, status, types):
            draft = webhooks.overruled(seen, draft)
        if webhooks.waiting(seen, draft.status, types):
            return Taken(draft, reached=False)
    draft = webhooks.released(draft)
    return Taken(draft.to(replace(draft.status, gated=False)) if status.gated else draft, reached=True)
