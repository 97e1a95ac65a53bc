"""What ends an update before its end: a person or none in time, an analysis, the deadline; and back to stable from there.

Evaluated right after what has been asked for, before any size or Service is looked at. Decides whether, and
why; how stable comes back follows from the mode. Called by `plan`.
"""

from __future__ import annotations

from dataclasses import replace

from rollouts.api.analysis import AnalysisPhase
from rollouts.api.meta import Reason
from rollouts.api.parse import format_duration
from rollouts.api.rollout_status import AbortReason, RolloutAnalysisRunStatus, RolloutStatus
from rollouts.delivery import (
    canary,
    declared,
    events,
    experiment_step,
    phase,
    progress,
    runs,
    timeout,
    view,
    webhooks,
)
from rollouts.delivery.sets import available
from rollouts.delivery.snapshot import MetricVerdict
from rollouts.delivery.view import Draft, Mode, View

_WORDS = {AnalysisPhase.FAILED: "AnalysisFailed", AnalysisPhase.ERROR: "AnalysisError"}


def decided(seen: View, draft: Draft) -> Draft:
    """Ends the update where a person, an analysis, a pause or the deadline says so."""
    status = draft.status
    if view.mode(seen, status) is Mode.PROMOTED:
        asked = status.abort or status.aborted_at or status.promote_full or status.controller_pause
        return draft.to(phase.cleared(status)) if asked or status.pause_conditions else draft
    if status.abort and status.aborted_at is not None:
        return draft
    reason = (
        _by_person(seen, status)
        or _by_webhook(seen, status)
        or _by_analysis(seen, status)
        or _by_experiment(seen, status)
        or _by_timeout(seen, status)
        or _by_deadline(seen, status)
    )
    return _aborted(seen, draft, reason) if reason else draft


def _by_person(seen: View, status: RolloutStatus) -> AbortReason | None:
    if not status.abort:
        return None
    return _reason(
        seen, status, "Aborted", "by spec.abort" if declared.is_news(seen, status) else "on request"
    )


def _by_webhook(seen: View, status: RolloutStatus) -> AbortReason | None:
    said = webhooks.verdict(status) if view.mode(seen, status) is Mode.STEPPING else None
    if said is None:
        return None
    failed = said.type in webhooks.CHECKS
    word, did = ("WebhookFailed", "failed") if failed else ("WebhookRollback", "asks for a rollback")
    because = f"webhook {said.name} ({said.type}) {did}: {said.message}"
    return replace(_reason(seen, status, word, because), webhook=said.name)


def _by_analysis(seen: View, status: RolloutStatus) -> AbortReason | None:
    for slot in phase.judged(seen, status):
        stands = runs.standing(seen, status, slot)
        if stands is None or stands.status not in _WORDS:
            continue
        run = runs.observed(seen, status, slot)
        verdict = run.decided_by if run else None
        because = _verdict(slot, stands, verdict)
        reason = replace(_reason(seen, status, _WORDS[stands.status], because), analysis_run=stands.name)
        if verdict is None:
            return reason
        return replace(reason, metric=verdict.name, value=verdict.value, threshold=verdict.condition)
    return None


def _by_experiment(seen: View, status: RolloutStatus) -> AbortReason | None:
    verdict = experiment_step.verdict(seen, status)
    experiment = experiment_step.observed(seen, status)
    if experiment is None or verdict not in (AnalysisPhase.FAILED, AnalysisPhase.ERROR):
        return None
    because = f"Experiment {experiment.name} is {verdict}: {experiment.message or 'no message'}"
    return replace(_reason(seen, status, f"Experiment{verdict}", because), experiment=experiment.name)


def _verdict(slot: runs.Slot, run: RolloutAnalysisRunStatus, verdict: MetricVerdict | None) -> str:
    which = f"{slot.type} AnalysisRun {run.name} is {run.status}"
    if verdict is None:
        return f"{which}: {run.message or 'no message'}"
    return f"metric {verdict.name} of {which}: value {verdict.value}, condition {verdict.condition}"


def _by_timeout(seen: View, status: RolloutStatus) -> AbortReason | None:
    waited = timeout.aborts(seen, status)
    if waited is None:
        return None
    because = f"nobody has promoted it within {format_duration(waited)}"
    return _reason(seen, status, "PauseTimeout", because)


def _by_deadline(seen: View, status: RolloutStatus) -> AbortReason | None:
    counts = seen.spec.progress_deadline_abort and not view.is_held(seen, status)
    if not counts or not progress.is_exceeded(seen, status):
        return None
    because = f"no progress for {seen.spec.progress_deadline_seconds}s, {available(seen.sets.current)} updated pods available"
    return _reason(seen, status, "ProgressDeadlineExceeded", because)


def _reason(seen: View, status: RolloutStatus, reason: str, because: str) -> AbortReason:
    index = status.current_step_index
    at_step = index is not None and index < len(seen.steps)
    where = f" at {_step(seen, index)}" if at_step and index is not None else ""
    where = " during its bake" if status.bake else where
    stable = seen.sets.stable
    back = (
        f"going back to revision {stable.revision}" if stable else "there is no stable revision to go back to"
    )
    return AbortReason(
        reason=reason,
        message=f"Update to revision {seen.revision}{phase.git(seen)} aborted{where}: {because}; {back}",
        revision=seen.revision,
        git_revision=seen.git_revision,
        pod_template_hash=seen.hash,
        step=index if at_step else None,
    )


def _step(seen: View, index: int) -> str:
    return f"step {index + 1}/{len(seen.steps)} ({canary.text(seen.steps[index])})"


def _aborted(seen: View, draft: Draft, reason: AbortReason) -> Draft:
    status = replace(
        draft.status,
        abort=True,
        aborted_at=seen.now,
        abort_reason=reason,
        promote_full=False,
        pause_conditions=(),
        controller_pause=False,
        current_step_started_at=seen.now,
        blue_green=replace(draft.status.blue_green, scale_up_preview_check_point=False),
    )
    status = replace(status, current_step_index=phase.first_step(seen, status))
    return draft.to(status, events.warning(Reason.ABORTED, reason.message))
