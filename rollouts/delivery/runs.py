"""Which AnalysisRun belongs where: its name, whether it is to be created, stopped or deleted.

The name says which update, step and attempt a run is for, so that a crash between its creation and the
status never leads to a second one. Decides nothing about verdicts; `analysis.judge` does. Called by `phase`
(verdicts), `steps` and `plan`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from rollouts.api.analysis import AnalysisPhase
from rollouts.api.meta import (
    CANARY_STEP_INDEX_LABEL,
    POD_TEMPLATE_HASH_LABEL,
    ROLLOUT_TYPE_LABEL,
    Reason,
)
from rollouts.api.rollout_status import RolloutAnalysisRunStatus, RolloutStatus
from rollouts.api.strategy import RolloutAnalysis
from rollouts.delivery import events, rolling, templates
from rollouts.delivery.actions import CreateAnalysisRun, DeleteAnalysisRun, Event, TerminateAnalysisRun
from rollouts.delivery.snapshot import AnalysisRun
from rollouts.delivery.view import View


class RunType(StrEnum):
    """The rollout-type label."""

    STEP = "Step"
    BACKGROUND = "Background"
    PRE_PROMOTION = "PrePromotion"
    POST_PROMOTION = "PostPromotion"
    BAKE = "Bake"


_SUFFIX = {
    RunType.BACKGROUND: (),
    RunType.PRE_PROMOTION: ("pre",),
    RunType.POST_PROMOTION: ("post",),
    RunType.BAKE: ("bake",),
}
_REASON = {
    AnalysisPhase.RUNNING: Reason.ANALYSIS_RUN_RUNNING,
    AnalysisPhase.SUCCESSFUL: Reason.ANALYSIS_RUN_SUCCESSFUL,
    AnalysisPhase.FAILED: Reason.ANALYSIS_RUN_FAILED,
    AnalysisPhase.ERROR: Reason.ANALYSIS_RUN_ERROR,
    AnalysisPhase.INCONCLUSIVE: Reason.ANALYSIS_RUN_INCONCLUSIVE,
}


@dataclass(frozen=True, slots=True)
class Slot:
    """A place of the spec where an analysis runs."""

    type: RunType
    analysis: RolloutAnalysis
    path: str
    step_index: int | None = None


def slots(view: View) -> Iterator[Slot]:
    """Every place of the spec, in the order of the spec.

    An analysis without templates is none, as in argo-rollouts: who takes them away by server-side apply leaves the
    rest of it behind. For a step it is a fault, because a step that consists of nothing would never be over.
    """
    if view.canary:
        at = rolling.path(view.spec.strategy)
        if view.canary.analysis and view.canary.analysis.templates:
            yield Slot(RunType.BACKGROUND, view.canary.analysis, f"{at}.analysis")
        for index, step in enumerate(view.steps):
            if step.analysis:
                yield Slot(RunType.STEP, step.analysis, f"{at}.steps[{index}].analysis", index)
    if view.blue_green:
        at = "spec.strategy.blueGreen"
        before, after = view.blue_green.pre_promotion_analysis, view.blue_green.post_promotion_analysis
        if before and before.templates:
            yield Slot(RunType.PRE_PROMOTION, before, f"{at}.prePromotionAnalysis")
        if after and after.templates:
            yield Slot(RunType.POST_PROMOTION, after, f"{at}.postPromotionAnalysis")
    if view.spec.bake and view.spec.bake.analysis:
        yield Slot(RunType.BAKE, view.spec.bake.analysis, "spec.bake.analysis")


def name(view: View, status: RolloutStatus, slot: Slot) -> str:
    """The run in this slot: the one that the status names, or the one of the current attempt."""
    suffix = (str(slot.step_index),) if slot.type is RunType.STEP else _SUFFIX[slot.type]
    base = "-".join((view.name, view.hash, str(view.revision), *suffix))
    known = recorded(status, slot.type)
    if known and (known.name == base or known.name.startswith(f"{base}.")):
        return known.name
    return f"{base}.{status.attempt}" if status.attempt else base


def observed(view: View, status: RolloutStatus, slot: Slot) -> AnalysisRun | None:
    wanted = name(view, status, slot)
    return next((run for run in view.snapshot.analysis_runs if run.name == wanted), None)


def standing(view: View, status: RolloutStatus, slot: Slot) -> RolloutAnalysisRunStatus | None:
    """How the analysis of this slot stands; None when its run is still to be created.

    A verdict that is in the status outlives its run: somebody may have cleaned up.
    """
    run = observed(view, status, slot)
    if run is not None:
        return RolloutAnalysisRunStatus(run.name, run.phase, run.message)
    known = recorded(status, slot.type)
    if known and known.status.completed and known.name == name(view, status, slot):
        return known
    return None


def recorded(status: RolloutStatus, kind: RunType) -> RolloutAnalysisRunStatus | None:
    match kind:
        case RunType.STEP:
            return status.canary.current_step_analysis_run_status
        case RunType.BACKGROUND:
            return status.canary.current_background_analysis_run_status
        case RunType.PRE_PROMOTION:
            return status.blue_green.pre_promotion_analysis_run_status
        case RunType.POST_PROMOTION:
            return status.blue_green.post_promotion_analysis_run_status
        case RunType.BAKE:
            return status.bake.analysis_run_status if status.bake else None


def record(status: RolloutStatus, kind: RunType, run: RolloutAnalysisRunStatus | None) -> RolloutStatus:
    if recorded(status, kind) == run:
        return status
    canary, blue_green, bake = status.canary, status.blue_green, status.bake
    match kind:
        case RunType.STEP:
            canary = replace(canary, current_step_analysis_run_status=run)
        case RunType.BACKGROUND:
            canary = replace(canary, current_background_analysis_run_status=run)
        case RunType.PRE_PROMOTION:
            blue_green = replace(blue_green, pre_promotion_analysis_run_status=run)
        case RunType.POST_PROMOTION:
            blue_green = replace(blue_green, post_promotion_analysis_run_status=run)
        case RunType.BAKE:
            assert bake is not None  # judged only while it goes on
            bake = replace(bake, analysis_run_status=run)
    return replace(status, canary=canary, blue_green=blue_green, bake=bake)


def create(view: View, status: RolloutStatus, slot: Slot) -> CreateAnalysisRun:
    hashes = templates.Hashes(stable=status.stable_rs, latest=view.hash)
    metadata = slot.analysis.analysis_run_metadata
    instance_id = view.snapshot.rollout.metadata.labels.get(view.names.instance_id_label)
    labels = {
        **(metadata.labels if metadata else {}),
        **view.spec.selector.match_labels,
        ROLLOUT_TYPE_LABEL: slot.type.value,
        POD_TEMPLATE_HASH_LABEL: view.hash,
        **({CANARY_STEP_INDEX_LABEL: str(slot.step_index)} if slot.step_index is not None else {}),
        **({view.names.instance_id_label: instance_id} if instance_id else {}),
    }
    return CreateAnalysisRun(
        name=name(view, status, slot),
        spec=templates.compose(view.snapshot, slot.analysis, slot.path, hashes),
        labels=labels,
        annotations={
            **(metadata.annotations if metadata else {}),
            view.names.revision_annotation: str(view.revision),
        },
    )


def told(before: RolloutStatus, after: RolloutStatus) -> tuple[Event, ...]:
    """An event for every run of the status whose phase changed."""
    facts: list[Event] = []
    for kind in RunType:
        old, new = recorded(before, kind), recorded(after, kind)
        if new is None or new.status not in _REASON:
            continue
        if old is None or (old.name, old.status) != (new.name, new.status):
            facts.append(verdict(kind, new))
    return tuple(facts)


def terminated(view: View, live: Iterable[str]) -> tuple[TerminateAnalysisRun, ...]:
    """Runs that nobody waits for any more."""
    kept = frozenset(live)
    return tuple(
        TerminateAnalysisRun(run.name, run.uid)
        for run in view.snapshot.analysis_runs
        if run.name not in kept and not run.phase.completed and not run.terminating
    )


def outlived(view: View, status: RolloutStatus) -> tuple[DeleteAnalysisRun, ...]:
    """Completed runs beyond the history limits, or whose ReplicaSet is gone. Newest are kept."""
    named = {known.name for kind in RunType if (known := recorded(status, kind))}
    hashes = {rs.pod_template_hash for rs in view.sets}
    limits = view.spec.analysis
    left = {True: limits.successful_run_history_limit, False: limits.unsuccessful_run_history_limit}
    deleted: list[DeleteAnalysisRun] = []
    newest_first = sorted(view.snapshot.analysis_runs, key=lambda r: (r.created_at, r.name), reverse=True)
    for run in newest_first:
        if run.name in named or not run.phase.completed:
            continue
        successful = run.phase is AnalysisPhase.SUCCESSFUL
        if run.pod_template_hash in hashes and left[successful] > 0:
            left[successful] -= 1
        else:
            deleted.append(DeleteAnalysisRun(run.name, run.uid))
    return tuple(deleted)


def verdict(kind: RunType, run: RolloutAnalysisRunStatus) -> Event:
    because = f": {run.message}" if run.message else ""
    message = f"{kind} AnalysisRun {run.name} is {run.status}{because}"
    bad = run.status in (AnalysisPhase.FAILED, AnalysisPhase.ERROR)
    return (events.warning if bad else events.normal)(_REASON[run.status], message)
