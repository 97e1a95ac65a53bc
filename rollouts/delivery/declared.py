"""`spec.promote` and `spec.abort`: what Git says to one pod template, as a person would on the command line.

Decides whether they are about the template of the spec, and whether they have been obeyed before: each is
obeyed once, in the same write that notes it, and never for another template. Called by `plan` and `validate`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from rollouts.api.meta import Reason
from rollouts.api.rollout import DeclaredAbort, DeclaredPromotion
from rollouts.api.rollout_status import PauseReason, RolloutStatus
from rollouts.delivery import events, phase, view
from rollouts.delivery.view import Draft, View
from rollouts.errors import SpecError

_ANSWERED = (PauseReason.CANARY_PAUSE_STEP, PauseReason.BLUE_GREEN_PAUSE)


def obeyed(seen: View, draft: Draft) -> Draft:
    """The status as Git's words about this very template leave it."""
    if seen.spec.abort and _concerns(seen, draft, seen.spec.abort, draft.status.declared.abort, "abort"):
        declared = replace(draft.status.declared, abort=_note(seen, "abort"))
        return draft.to(replace(draft.status, abort=True, declared=declared))
    promotion = seen.spec.promote
    if promotion is None:
        return draft
    words = text(promotion)
    if not _concerns(seen, draft, promotion, draft.status.declared.promote, words):
        return draft
    promoted = _promoted(seen, draft, promotion)
    if promoted is draft:
        return draft
    declared = replace(promoted.status.declared, promote=_note(seen, words))
    return replace(promoted, status=replace(promoted.status, declared=declared))


def is_news(seen: View, status: RolloutStatus) -> bool:
    """The abort was declared, not asked for by a person."""
    return status.declared.abort != seen.old.declared.abort


def text(promotion: DeclaredPromotion) -> str:
    if promotion.full:
        return "full"
    return "past the pause" if promotion.step is None else f"to step {promotion.step}"


def faults(seen: View) -> Iterator[SpecError]:
    for path, declared in (("spec.promote", seen.spec.promote), ("spec.abort", seen.spec.abort)):
        if declared is not None and not (declared.pod_template_hash or declared.image):
            problem = "would be obeyed for every release"
            yield SpecError(path, None, problem, "set podTemplateHash or image")
    promotion = seen.spec.promote
    if promotion is None or promotion.step is None:
        return
    if promotion.full:
        yield SpecError("spec.promote.step", promotion.step, "full is set too", "remove one of them")
    if promotion.step > len(seen.steps):
        steps = f"there are {len(seen.steps)} steps"
        yield SpecError("spec.promote.step", promotion.step, steps, "name one of them, or set full")


def _concerns(seen: View, draft: Draft, declared: DeclaredAbort, note: str, words: str) -> bool:
    """It is about the template that is being rolled out, and not obeyed yet."""
    if not view.is_analysed(seen, draft.status) or note == _note(seen, words):
        return False
    by_hash = declared.pod_template_hash in ("", seen.hash)
    by_image = not declared.image or declared.image in _images(seen.spec.template)
    return by_hash and by_image and bool(declared.pod_template_hash or declared.image)


def _note(seen: View, words: str) -> str:
    return f"{seen.hash} {words}"


def _promoted(seen: View, draft: Draft, promotion: DeclaredPromotion) -> Draft:
    status = draft.status
    if promotion.full:
        told = events.normal(Reason.SKIP_STEPS, f"Revision {seen.revision} promoted in full by spec.promote")
        return draft.to(phase.adjusted(seen, replace(status, promote_full=True)), told)
    if promotion.step is None:
        waits = any(pause.reason in _ANSWERED for pause in status.pause_conditions)
        return draft.to(replace(status, pause_conditions=())) if waits else draft
    if (status.current_step_index or 0) >= promotion.step:
        return draft
    words = f"Revision {seen.revision} goes on to step {promotion.step} by spec.promote"
    return draft.to(phase.skipped_to(seen, status, promotion.step), events.normal(Reason.SKIP_STEPS, words))


def _images(template: Mapping[str, Any]) -> frozenset[str]:
    pod = template.get("spec") or {}
    kinds = (pod.get("containers") or (), pod.get("initContainers") or ())
    return frozenset(str(container.get("image", "")) for kind in kinds for container in kind)
