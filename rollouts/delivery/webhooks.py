"""Which webhook is due, and what its answer leads to.

Gates (confirm-*) hold the update until they say yes, pre-rollout and rollout end it when they fail, rollback ends
it when it says yes, post-rollout is told how it ended. An answer is first written to the status; only what is
there has an effect, so that a crash repeats a call but never forgets a verdict. When calls happen is decided
here, the calls themselves are the shell's. Called by `plan`, `phase`, `steps`, `canary`, `bluegreen` and `abort`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from rollouts.api.meta import Reason
from rollouts.api.rollout_status import PauseCondition, PauseReason, RolloutStatus
from rollouts.api.webhook import Webhook, WebhookPhase, WebhookStatus, WebhookType
from rollouts.delivery import events, view
from rollouts.delivery.actions import WebhookCall
from rollouts.delivery.snapshot import WebhookAnswer
from rollouts.delivery.view import Draft, Mode, View

_FIRST_WAIT = timedelta(seconds=1)
_DOUBLINGS = 16
GATES = frozenset(
    {WebhookType.CONFIRM_ROLLOUT, WebhookType.CONFIRM_TRAFFIC_INCREASE, WebhookType.CONFIRM_PROMOTION}
)
CHECKS = frozenset({WebhookType.PRE_ROLLOUT, WebhookType.ROLLOUT})

Told = Literal["Waiting", "Progressing", "Succeeded", "Failed"]


@dataclass(frozen=True, slots=True)
class Slot:
    """One webhook at one place of the update."""

    webhook: Webhook
    step: int | None
    phase: Told


def of(seen: View) -> tuple[Webhook, ...]:
    strategy = seen.canary or seen.blue_green
    return strategy.webhooks if strategy else ()


def begun(seen: View, status: RolloutStatus) -> RolloutStatus:
    """Nothing of an earlier try. What is told at the end is noted now, so that it is told once."""
    updates = view.mode(seen, status) in (Mode.STEPPING, Mode.FAST)
    pending = tuple(
        WebhookStatus(webhook.name, webhook.type, WebhookPhase.PENDING)
        for webhook in of(seen)
        if webhook.type is WebhookType.POST_ROLLOUT and updates
    )
    return entering(seen, replace(status, webhooks=pending))


def entering(seen: View, status: RolloutStatus) -> RolloutStatus:
    """The status at a step that it has just come to: are there webhooks to ask before it?"""
    types = entry(seen, status.current_step_index)
    gated = view.mode(seen, status) is Mode.STEPPING and any(w.type in types for w in of(seen))
    return status if status.gated == gated else replace(status, gated=gated)


def entry(seen: View, index: int | None) -> tuple[WebhookType, ...]:
    """What is asked before anything is done for a step (the number of steps: for the promotion), in order."""
    first = (WebhookType.CONFIRM_ROLLOUT,) if not index else ()
    if seen.canary is None:
        return first
    at = index or 0
    weight, before = _weight(seen, at), _weight(seen, at - 1)
    reached = not before and (weight > 0 or at >= len(seen.steps))
    pre = (WebhookType.PRE_ROLLOUT,) if reached else ()
    if at >= len(seen.steps):
        return (*first, *pre, WebhookType.CONFIRM_PROMOTION)
    increase = (WebhookType.CONFIRM_TRAFFIC_INCREASE,) if weight > before else ()
    return (*first, *pre, *increase)


def waiting(seen: View, status: RolloutStatus, types: tuple[WebhookType, ...]) -> Slot | None:
    """The first webhook of these types that has not said yes at this step; types go in their order."""
    index = status.current_step_index
    passed = {(known.name, known.step) for known in status.webhooks if known.phase is WebhookPhase.SUCCESSFUL}
    for kind in types:
        for webhook in of(seen):
            if webhook.type is kind and (webhook.name, index) not in passed:
                told: Told = "Waiting" if kind is WebhookType.CONFIRM_ROLLOUT else "Progressing"
                return Slot(webhook, index, told)
    return None


def overruled(seen: View, draft: Draft) -> Draft:
    """A person has promoted past the gate that held, if one did."""
    held = [known for known in draft.status.webhooks if known.phase is WebhookPhase.WAITING]
    if not held:
        return draft
    passed = replace(
        held[-1], phase=WebhookPhase.SUCCESSFUL, message="promoted by a person", finished_at=seen.now
    )
    status = replace(_noted(draft.status, passed), controller_pause=False)
    return draft.to(status, events.normal(Reason.RESUMED, "Resumed"))


def released(draft: Draft) -> Draft:
    """No gate holds the update any more."""
    status = draft.status
    left = tuple(p for p in status.pause_conditions if p.reason is not PauseReason.WEBHOOK_GATE)
    if left == status.pause_conditions:
        return draft
    status = replace(status, pause_conditions=left, controller_pause=bool(left))
    return draft.to(status, events.normal(Reason.RESUMED, "Resumed"))


def verdict(status: RolloutStatus) -> WebhookStatus | None:
    """The webhook that ends the update."""
    for known in status.webhooks:
        failed = known.type in CHECKS and known.phase is WebhookPhase.FAILED
        if failed or (known.type is WebhookType.ROLLBACK and known.phase is WebhookPhase.SUCCESSFUL):
            return known
    return None


def asked(seen: View, draft: Draft, types: tuple[WebhookType, ...]) -> tuple[Draft, tuple[WebhookCall, ...]]:
    """The answers noted, and the calls that are to come. `types`: what the update waits for now."""
    calls: list[WebhookCall] = []
    for slot in _wanted(seen, draft.status, types):
        call_id = _id(seen, draft.status, slot)
        answer = seen.snapshot.webhook_answers.get(call_id)
        at = seen.snapshot.now
        if answer is not None:
            again = _after(slot.webhook, answer)
            draft = _answered(seen, draft, slot, answer)
            if again is None:
                continue
            at = answer.at + again
        calls.append(WebhookCall(call_id, slot.webhook, slot.phase, at))
    return draft, tuple(calls)


def _wanted(seen: View, status: RolloutStatus, types: tuple[WebhookType, ...]) -> Iterator[Slot]:
    mode = view.mode(seen, status)
    if mode is Mode.STEPPING and verdict(status) is None and not view.is_queued(seen, status):
        slot = waiting(seen, status, types)
        if slot is not None:
            yield slot
        for webhook in of(seen):
            if webhook.type is WebhookType.ROLLBACK:
                yield Slot(webhook, None, "Progressing")
    if mode not in (Mode.PROMOTED, Mode.ABORTED):
        return
    pending = {known.name for known in status.webhooks if known.phase is WebhookPhase.PENDING}
    for webhook in of(seen):
        if webhook.name in pending and webhook.type is WebhookType.POST_ROLLOUT:
            yield Slot(webhook, None, "Failed" if mode is Mode.ABORTED else "Succeeded")


def _after(webhook: Webhook, answer: WebhookAnswer) -> timedelta | None:
    """How long after this answer it is asked again; None: not any more."""
    if answer.ok:
        return None
    if webhook.type is WebhookType.ROLLBACK:
        return webhook.interval
    if webhook.type not in GATES and answer.calls > webhook.retries:
        return None
    doubled: timedelta = _FIRST_WAIT * 2 ** min(answer.calls - 1, _DOUBLINGS)
    return min(max(webhook.interval, _FIRST_WAIT), doubled)


def _answered(seen: View, draft: Draft, slot: Slot, answer: WebhookAnswer) -> Draft:
    webhook = slot.webhook
    if answer.ok:
        return released(_decided(seen, draft, slot, WebhookPhase.SUCCESSFUL, answer.message))
    if webhook.type in GATES:
        return _held(seen, draft, slot, answer)
    if webhook.type is WebhookType.ROLLBACK or answer.calls <= webhook.retries:
        return draft
    told = f"Webhook {webhook.name} ({webhook.type}) failed, {_calls(answer)}: {answer.message}"
    draft = _decided(seen, draft, slot, WebhookPhase.FAILED, f"{_calls(answer)}: {answer.message}")
    return draft.to(draft.status, events.warning(Reason.WEBHOOK_FAILED, told))


def _decided(seen: View, draft: Draft, slot: Slot, phase: WebhookPhase, message: str) -> Draft:
    webhook = slot.webhook
    note = WebhookStatus(webhook.name, webhook.type, phase, slot.step, message, seen.now)
    return draft.to(_noted(draft.status, note))


def _held(seen: View, draft: Draft, slot: Slot, answer: WebhookAnswer) -> Draft:
    """The first refusal pauses the update; further ones change nothing but the words."""
    webhook = slot.webhook
    note = WebhookStatus(webhook.name, webhook.type, WebhookPhase.WAITING, slot.step, answer.message)
    status = _noted(draft.status, note)
    if view.pause(status, PauseReason.WEBHOOK_GATE):
        return draft.to(status)
    pause = PauseCondition(PauseReason.WEBHOOK_GATE, seen.now)
    status = replace(status, pause_conditions=(*status.pause_conditions, pause), controller_pause=True)
    told = f"Paused until webhook {webhook.name} ({webhook.type}) says yes: {answer.message}"
    return draft.to(status, events.normal(Reason.PAUSED, told))


def _noted(status: RolloutStatus, note: WebhookStatus) -> RolloutStatus:
    """One note a webhook, the latest."""
    known = next((each for each in status.webhooks if each.name == note.name), None)
    if known == note:
        return status
    others = tuple(each for each in status.webhooks if each.name != note.name)
    return replace(status, webhooks=(*others, note))


def _calls(answer: WebhookAnswer) -> str:
    return "1 call" if answer.calls == 1 else f"{answer.calls} calls"


def _id(seen: View, status: RolloutStatus, slot: Slot) -> str:
    """Names the update, the try and the step, so that an answer never counts for another one."""
    step = "" if slot.step is None else str(slot.step)
    parts = (seen.hash, str(seen.revision), str(status.attempt), step, slot.webhook.type, slot.webhook.name)
    return "/".join(parts)


def _weight(seen: View, index: int) -> int:
    """The setWeight in force at a step; 0 before the first one."""
    weights = [step.set_weight for step in seen.steps[: max(0, index + 1)] if step.set_weight is not None]
    return weights[-1] if weights else 0
