"""What has happened to an Application, in words for people: one event for each fact.

Decides from the state before and after; called with every status that is about to be written. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from rollouts.api import parse
from rollouts.api.application_status import (
    ApplicationCondition,
    ApplicationReason,
    ApplicationStatus,
    FailureReason,
    OperationPhase,
    QuarantineEntry,
    SyncStatus,
)
from rollouts.api.meta import Condition
from rollouts.gitops import revision, rollback
from rollouts.gitops.actions import Event, EventType
from rollouts.gitops.resources.diff import Change
from rollouts.gitops.resources.manifests import ObjectKey
from rollouts.gitops.revision import Revisions
from rollouts.gitops.snapshot import Snapshot

_SHOWN = 5


def transitions(s: Snapshot, state: Revisions, new: ApplicationStatus) -> tuple[Event, ...]:
    """One event for each thing that has changed since the status was last written."""
    before = revision.from_status(s.application.status)
    found: list[Event] = []
    if overtaken := revision.superseded(before, state):
        message = f"{overtaken.revision} was overtaken by {state.desired} before it was promoted"
        found.append(Event(ApplicationReason.REVISION_SUPERSEDED, message))
    if _has_opened(before, state):
        assert state.attempt is not None
        found.append(Event(ApplicationReason.NEW_REVISION, f"Syncing {state.attempt.revision}"))
    if s.tokens.retry and s.source.candidate and revision.quarantined(before, s.source.candidate.digest):
        message = f"{state.desired} is tried again, as asked"
        found.append(Event(ApplicationReason.QUARANTINE_LIFTED, message))
    if s.tokens.rollback and rollback.chosen(before, s.tokens.rollback) is None:
        message = "there is no such good revision in status.history to go back to; nothing was done"
        found.append(Event(ApplicationReason.ROLLBACK_REFUSED, message, EventType.WARNING))
    found += [_quarantine_event(s, state, q) for q in _newly_quarantined(before, state)]
    if _newly_restored(before, state):
        message = f"{state.running} is fully back: {len(s.declared.manifests)} objects"
        found.append(Event(ApplicationReason.ROLLED_BACK, message))
    if state.history[-1:] != before.history[-1:] and state.good:
        message = f"{state.good.revision} is promoted and healthy: {len(s.declared.manifests)} objects"
        found.append(Event(ApplicationReason.REVISION_PROMOTED, message))
    found += _condition_events(s.application.status.conditions, new.conditions)
    return tuple(found)


def troubles(old: ApplicationStatus, new: ApplicationStatus) -> tuple[Event, ...]:
    return tuple(_condition_events(old.conditions, new.conditions))


def healed_event(changes: Iterable[Change]) -> Event:
    """What was changed by hand and put right: fields and whose they were."""
    return Event(ApplicationReason.DRIFT_CORRECTED, f"Corrected {listed([c.told for c in changes])}")


def drift_events(s: Snapshot, changes: Iterable[Change]) -> tuple[Event, ...]:
    """What differs since the status was last written and is left as it is: drift is detected only."""
    known = {
        ObjectKey(r.group, r.kind, r.namespace, r.name)
        for r in s.application.status.resources
        if r.status is SyncStatus.OUT_OF_SYNC
    }
    told = [c.told for c in changes if c.manifest.key not in known]
    message = f"{listed(told)}; left as it is: spec.syncPolicy.automated.selfHeal is off"
    return (Event(ApplicationReason.DRIFT_DETECTED, message, EventType.WARNING),) if told else ()


def pruned_event(keys: Iterable[ObjectKey]) -> Event:
    return Event(ApplicationReason.PRUNED, f"Pruned {listed([str(k) for k in keys])}")


def _has_opened(before: Revisions, state: Revisions) -> bool:
    attempt, old = state.attempt, before.attempt
    if attempt is None or (old and old.digest == attempt.digest and old.phase is not OperationPhase.FAILED):
        return False
    was_refused = old is not None and old.digest == attempt.digest and state.quarantine != ()
    is_held = attempt.phase is OperationPhase.FAILED and attempt.started_at == attempt.finished_at
    return not was_refused and not is_held


def _newly_quarantined(before: Revisions, state: Revisions) -> list[QuarantineEntry]:
    known = {(q.digest or q.revision, q.reason, q.message) for q in before.quarantine}
    return [q for q in state.quarantine if (q.digest or q.revision, q.reason, q.message) not in known]


def _quarantine_event(s: Snapshot, state: Revisions, entry: QuarantineEntry) -> Event:
    name = s.application.metadata.name
    happened = f"{entry.revision} failed: {entry.reason}: {entry.message}"
    if entry.reason is FailureReason.ROLLED_BACK:
        happened = f"{entry.revision} was {entry.message}"
    if entry.reason is FailureReason.RENDER_FAILED:
        kept = f"nothing was changed, {state.running or 'nothing'} runs; push a commit that renders"
    elif entry.retry_at:
        kept = f"{state.running or 'nothing'} runs; it is tried again at {parse.format_timestamp(entry.retry_at)}"
    elif state.good:
        kept = (
            f"{state.good.revision} is put back, with all its objects; push a fix, "
            f"or try again with: kubectl rollouts app retry {name}"
        )
    else:
        kept = "there is no good revision to put back, all stays as it is; push a fix"
    return Event(ApplicationReason.QUARANTINED, f"{happened}; {kept}", EventType.WARNING)


def _newly_restored(before: Revisions, state: Revisions) -> bool:
    """Something had been changed, and now it is all back."""
    known = {q.digest for q in before.quarantine if q.restored_at}
    return any(
        q.restored_at and q.digest not in known and q.reason is not FailureReason.APPLY_REJECTED
        for q in state.quarantine
    )


def _condition_events(old: Iterable[Condition], new: Iterable[Condition]) -> list[Event]:
    """Troubles that no revision is to blame for: each once, when it starts."""
    before = {c.type: c for c in old}
    told = {
        ApplicationReason.INVALID_SPEC,
        ApplicationReason.HEALTH_CHECK_FAILED,
        ApplicationReason.RECONCILIATION_FAILED,
    }
    found = []
    for c in new:
        known = before.get(c.type)
        is_new = known is None or (known.reason, known.message) != (c.reason, c.message)
        is_trouble = c.type == ApplicationCondition.FETCH_FAILED or (
            c.type == ApplicationCondition.READY and c.reason in told
        )
        if is_new and is_trouble:
            found.append(Event(ApplicationReason(c.reason), c.message, EventType.WARNING))
    return found


def listed(told: list[str]) -> str:
    shown = ", ".join(told[:_SHOWN])
    return f"{shown} and {len(told) - _SHOWN} more" if len(told) > _SHOWN else shown
