"""What an Application says about itself: health, sync, resources, conditions and events.

Decides words, never deeds. Ready answers "does what Git says run here, promoted and healthy?": it is False
while a revision is quarantined, though users are served, because whoever waits for a commit must not take
the old one for it. That users are served is `status.health`, which looks at what runs. Pure.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from rollouts.api import parse
from rollouts.api.application_status import (
    ApplicationCondition,
    ApplicationReason,
    ApplicationStatus,
    FailureReason,
    HealthState,
    HealthStatus,
    HookPhase,
    OperationPhase,
    QuarantineEntry,
    SyncState,
    SyncStatus,
)
from rollouts.api.meta import Condition
from rollouts.errors import SpecError
from rollouts.gitops import naming, revision
from rollouts.gitops.events import listed
from rollouts.gitops.picture import Picture
from rollouts.gitops.resources import inventory
from rollouts.gitops.revision import Revisions
from rollouts.gitops.snapshot import Snapshot

_TELLING = frozenset({HealthStatus.SUSPENDED, HealthStatus.DEGRADED, HealthStatus.UNKNOWN})
_SHOWN = 5


def status(s: Snapshot, state: Revisions, seen: Picture, *, trouble: str = "") -> ApplicationStatus:
    """The whole status; `trouble` is what went wrong with the last action."""
    old = s.application.status
    written = revision.into_status(old, state, message=_operation_message(state, seen))
    if s.target is not None and not s.declared.problem:
        written = replace(
            written,
            resources=seen.resources,
            health=_health_state(old.health, seen, s.now),
            inventory=inventory.dump(s.inventory),
        )
    sync = _sync(s, state, seen)
    conditions = _conditions(s, state, seen, sync, trouble)
    generation = s.application.metadata.generation
    is_final = any(c.type == ApplicationCondition.READY and c.status != "Unknown" for c in conditions)
    return replace(
        written,
        sync=sync,
        conditions=conditions,
        observed_generation=generation if is_final else old.observed_generation,
        last_handled_reconcile_at=s.tokens.refresh or old.last_handled_reconcile_at,
        last_handled_sync_at=s.tokens.sync or old.last_handled_sync_at,
        last_handled_retry_at=s.tokens.retry or old.last_handled_retry_at,
        last_handled_rollback_at=s.tokens.rollback or old.last_handled_rollback_at,
    )


def invalid(old: ApplicationStatus, error: SpecError, *, generation: int, now: datetime) -> ApplicationStatus:
    """The spec cannot be served; what runs, runs on."""
    wanted = (
        _condition(ApplicationCondition.READY, "False", ApplicationReason.INVALID_SPEC, str(error)),
        _condition(ApplicationCondition.STALLED, "True", ApplicationReason.INVALID_SPEC, str(error)),
    )
    conditions = _carried(old.conditions, wanted, generation, now)
    return replace(old, conditions=conditions, observed_generation=generation)


def _operation_message(state: Revisions, seen: Picture) -> str:
    attempt = state.attempt
    if attempt is None or attempt.phase is not OperationPhase.RUNNING:
        return ""
    if running := next((h for h in attempt.hooks if h.hook_phase is HookPhase.RUNNING), None):
        place = f"{running.namespace}/{running.name}" if running.namespace else running.name
        return f"runs {running.hook_type} hook {running.kind} {place}"
    if seen.differing:
        return f"applying {len(seen.differing)} objects"
    return f"waits for {seen.worst}" if seen.worst else "applied"


def _sync(s: Snapshot, state: Revisions, seen: Picture) -> SyncState:
    return replace(_compared(s, state, seen), revisions=naming.parts(state.desired))


def _compared(s: Snapshot, state: Revisions, seen: Picture) -> SyncState:
    entry = revision.holding(state, s.source.candidate)
    if s.source.failure:
        return SyncState(SyncStatus.UNKNOWN, state.desired, s.source.failure.reason)
    if entry:
        return SyncState(SyncStatus.OUT_OF_SYNC, state.desired, _holding_reason(entry))
    if s.source.candidate is None or s.declared.problem:
        return SyncState(SyncStatus.UNKNOWN, state.desired)
    is_target = s.target is not None and s.target.digest == s.source.candidate.digest
    if is_target and not seen.differing and not seen.left_over:
        return SyncState(SyncStatus.SYNCED, state.desired)
    return SyncState(SyncStatus.OUT_OF_SYNC, state.desired, ApplicationReason.OUT_OF_SYNC)


def _holding_reason(entry: QuarantineEntry) -> str:
    soft = entry.reason in (FailureReason.APPLY_REJECTED, FailureReason.RENDER_FAILED)
    return entry.reason if soft else ApplicationReason.QUARANTINED


def _conditions(
    s: Snapshot, state: Revisions, seen: Picture, sync: SyncState, trouble: str
) -> tuple[Condition, ...]:
    ready = _ready(s, state, seen, sync, trouble)
    wanted = [ready]
    entry = revision.holding(state, s.source.candidate)
    if entry and not entry.retry_at:
        wanted.append(_condition(ApplicationCondition.STALLED, "True", ready.reason, ready.message))
    elif ready.status == "Unknown" or trouble or entry or not _is_at_rest(state, seen):
        retried = ready.status == "False"
        reason = ApplicationReason.PROGRESSING_WITH_RETRY if retried else ApplicationReason.PROGRESSING
        wanted.append(_condition(ApplicationCondition.RECONCILING, "True", reason, ready.message))
    if failure := s.source.failure:
        wanted.append(_condition(ApplicationCondition.FETCH_FAILED, "True", failure.reason, failure.message))
    generation = s.application.metadata.generation
    return _carried(s.application.status.conditions, tuple(wanted), generation, s.now)


def _is_at_rest(state: Revisions, seen: Picture) -> bool:
    return not (state.attempt and state.attempt.phase is OperationPhase.RUNNING) and not seen.differing


def _ready(s: Snapshot, state: Revisions, seen: Picture, sync: SyncState, trouble: str) -> Condition:
    """The first thing that keeps Git's word from being true here."""
    if entry := revision.holding(state, s.source.candidate):
        return _held(entry, state)
    if s.source.failure:
        message = f"{s.source.failure.message}; {state.running or 'nothing'} runs"
        return _not_ready(s.source.failure.reason, message)
    if s.declared.problem or trouble:
        return _not_ready(ApplicationReason.RECONCILIATION_FAILED, s.declared.problem or trouble)
    if s.source.candidate is None or (state.attempt and state.attempt.phase is OperationPhase.RUNNING):
        return _in_progress(state, seen)
    if s.gate and (state.attempt is None or state.attempt.digest != s.source.candidate.digest):
        message = f"{state.desired} {s.gate.message}; {state.running or 'nothing'} runs"
        return _not_ready(s.gate.reason, message)
    return _at_rest(state, seen, sync)


def _at_rest(state: Revisions, seen: Picture, sync: SyncState) -> Condition:
    if sync.status is not SyncStatus.SYNCED:
        return _not_ready(ApplicationReason.OUT_OF_SYNC, _out_of_sync(state, seen))
    if seen.health not in (HealthStatus.HEALTHY, HealthStatus.SUSPENDED):
        return _not_ready(ApplicationReason.HEALTH_CHECK_FAILED, seen.worst)
    message = f"{state.running} is promoted and healthy"
    return _condition(ApplicationCondition.READY, "True", ApplicationReason.SUCCEEDED, message)


def _held(entry: QuarantineEntry, state: Revisions) -> Condition:
    happened = f"{entry.revision} failed ({entry.reason}: {entry.message})"
    if entry.reason is FailureReason.ROLLED_BACK:
        happened = f"{entry.revision} was {entry.message}"
    if state.good is None and entry.digest:
        return _not_ready(ApplicationReason.NO_GOOD_REVISION, f"{happened}; there is no good revision yet")
    return _not_ready(_holding_reason(entry), f"{happened}; {state.running or 'nothing'} runs")


def _in_progress(state: Revisions, seen: Picture) -> Condition:
    revised = state.attempt.revision if state.attempt else state.desired
    told = _operation_message(state, seen) or "reading the repository"
    message = f"{revised}: {told}" if revised else told
    return _condition(ApplicationCondition.READY, "Unknown", ApplicationReason.PROGRESSING, message)


def _out_of_sync(state: Revisions, seen: Picture) -> str:
    if seen.differing:
        return f"{listed(list(seen.differing))} differ from {state.running}"
    if seen.left_over:
        return f"{seen.left_over} objects are no longer in Git; pruning is not enabled"
    return f"{state.desired} waits to be synced; {state.running or 'nothing'} runs"


def _not_ready(reason: str, message: str) -> Condition:
    return _condition(ApplicationCondition.READY, "False", reason, message)


def _condition(type_: ApplicationCondition, value: str, reason: str, message: str) -> Condition:
    limit = revision.MESSAGE_LIMIT
    return Condition(
        type_, value, str(reason), message if len(message) <= limit else message[: limit - 1] + "…"
    )


def _carried(
    old: tuple[Condition, ...], wanted: tuple[Condition, ...], generation: int, now: datetime
) -> tuple[Condition, ...]:
    """Transition times stay where the status stays. Conditions that are not wanted are gone."""
    before = {c.type: c for c in old}
    return tuple(
        replace(
            c,
            last_transition_time=(
                before[c.type].last_transition_time
                if c.type in before and before[c.type].status == c.status
                else parse.stamp(now)
            ),
            observed_generation=generation,
        )
        for c in wanted
    )


def _health_state(old: HealthState, seen: Picture, now: datetime) -> HealthState:
    since = old.last_transition_time if old.status is seen.health else parse.stamp(now)
    return HealthState(seen.health, seen.worst, since)
