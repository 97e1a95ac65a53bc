"""`spec.bake`: the time after an update has reached everybody and before it is stable.

Decides when it begins and whether it is over. Until then the revision before stays stable: a failed analysis,
a deadline or a person goes back to it as at any step, and a commit is not good yet. Called by `plan`, which
promotes afterwards, and by `status` for the words.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from rollouts.api.analysis import AnalysisPhase
from rollouts.api.meta import Reason
from rollouts.api.parse import format_duration, format_timestamp
from rollouts.api.rollout import Bake
from rollouts.api.rollout_status import BakeStatus, RolloutStatus
from rollouts.delivery import events, runs, templates, view
from rollouts.delivery.view import Draft, View


@dataclass(frozen=True, slots=True)
class Baking:
    """What is not over yet; `slot` is its analysis."""

    slot: runs.Slot | None


def left(seen: View, draft: Draft) -> tuple[Draft, Baking | None]:
    """The bake of an update that serves everybody; None when there is none or it is over."""
    spec, status = seen.spec.bake, draft.status
    if spec is None or not view.is_analysed(seen, status):
        return draft, None
    if status.bake is None:
        draft = _begun(seen, draft, spec)
    since = draft.status.bake.started_at if draft.status.bake else seen.now
    ends = since + (spec.duration or timedelta())
    slot = next((slot for slot in runs.slots(seen) if slot.type is runs.RunType.BAKE), None)
    if ends > seen.snapshot.now:
        return draft.wake_at(ends), Baking(slot)
    if slot is None or _is_satisfied(seen, draft.status, slot):
        return draft, None
    return draft, Baking(slot)


def text(seen: View, status: RolloutStatus) -> str:
    """What a bake that goes on waits for."""
    assert status.bake is not None
    ends = status.bake.started_at + ((seen.spec.bake and seen.spec.bake.duration) or timedelta())
    run = status.bake.analysis_run_status
    if ends > seen.snapshot.now or run is None:
        return f"baking until {format_timestamp(ends)}"
    return f"baking: waiting for AnalysisRun {run.name}"


def is_endless(seen: View, slot: runs.Slot) -> bool:
    """The analysis has no end of its own: it ends with the duration of the bake."""
    spec = templates.compose(seen.snapshot, slot.analysis, slot.path, templates.ANY_HASHES)
    return any(metric.effective_count is None for metric in templates.measurable(spec))


def _begun(seen: View, draft: Draft, spec: Bake) -> Draft:
    # Not until when: told again after a crash it is the same event.
    how_long = f" for {format_duration(spec.duration)}" if spec.duration else ""
    told = f"Revision {seen.revision} ({seen.hash}) serves everything and bakes{how_long}"
    status = replace(draft.status, bake=BakeStatus(seen.now))
    return draft.to(status, events.normal(Reason.BAKING, told))


def _is_satisfied(seen: View, status: RolloutStatus, slot: runs.Slot) -> bool:
    stands = runs.standing(seen, status, slot)
    if stands is None:
        return False
    return stands.status is AnalysisPhase.SUCCESSFUL or (
        not stands.status.completed and is_endless(seen, slot)
    )
