"""Desired, attempted, last good, running, quarantined: the state machine of an Application's revisions.

Decides which set of objects the cluster should hold and whether a revision may be tried; not how to get
there (`plan`). Everything it knows is in the status, so it goes on after a kill at any point.

One attempt is open at a time. It ends as *good* (applied, every Rollout promoted, every object healthy),
*failed* (quarantined, the last good set is the target again) or *superseded* (a newer commit came; not
quarantined). What was refused by the API server before anything changed is tried again by itself, with
backoff, because the cluster may change; nothing else is, until a person says retry.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rollouts.api import parse
from rollouts.api.application_status import (
    ApplicationStatus,
    FailureReason,
    HookResult,
    OperationPhase,
    OperationState,
    QuarantineEntry,
    RevisionHistory,
    SyncResult,
)
from rollouts.gitops import naming

QUARANTINE_LIMIT = 10
MESSAGE_LIMIT = 1024

_RETRY_FIRST_SECONDS = 30
_RETRY_LONGEST_SECONDS = 600
_RECOVERABLE = frozenset(
    {
        FailureReason.HEALTH_TIMEOUT,
        FailureReason.HEALTH_CHECK_FAILED,
        FailureReason.PROGRESS_DEADLINE_EXCEEDED,
    }
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """What Git says now: a revision and the digest of what it renders to."""

    revision: str
    digest: str


@dataclass(frozen=True, slots=True)
class Attempt:
    revision: str
    digest: str
    phase: OperationPhase
    started_at: datetime
    finished_at: datetime | None = None
    unhealthy_since: datetime | None = None
    message: str = ""
    hooks: tuple[HookResult, ...] = ()


@dataclass(frozen=True, slots=True)
class Good:
    revision: str
    digest: str


@dataclass(frozen=True, slots=True)
class Revisions:
    """The state: a projection of ApplicationStatus."""

    desired: str = ""
    attempt: Attempt | None = None
    good: Good | None = None
    running: str = ""
    quarantine: tuple[QuarantineEntry, ...] = ()
    history: tuple[RevisionHistory, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """The set that the cluster should hold. Not `converge`: leave everything as it is, only look."""

    revision: str
    digest: str
    converge: bool = True
    known_good: bool = False
    """It was promoted and healthy before: no steps and no analysis on the way back."""


def desire(state: Revisions, candidate: Candidate, *, automatic: bool, now: datetime) -> Revisions:
    """`candidate` is what Git says. Opens an attempt if it is new, allowed, and asked for."""
    state = replace(
        state, desired=candidate.revision, quarantine=_rendered(state.quarantine, candidate.revision)
    )
    entry = quarantined(state, candidate.digest)
    if entry and not _is_due(entry, now):
        return _held(state, candidate, entry, now)
    if _is_current(state.attempt, candidate):
        return _renamed(state, candidate)
    if automatic or _was_asked_for(state, candidate):
        return _opened(state, candidate, now)
    return state


def begins_with(state: Revisions, recorded: Candidate) -> bool:
    """Nothing is good here yet, and nothing else was begun with."""
    return state.good is None and (state.attempt is None or state.attempt.digest == recorded.digest)


def desire_unrenderable(state: Revisions, revision: str, message: str, now: datetime) -> Revisions:
    """The commit does not render: nothing changes in the cluster, what is going on goes on."""
    entry = QuarantineEntry(revision, FailureReason.RENDER_FAILED, _short(message), now)
    known = next((q for q in state.quarantine if not q.digest and q.revision == revision), None)
    if known and known.message == entry.message:
        return replace(state, desired=revision)
    # One at a time: a row of commits that do not render must not crowd out what was tried and failed.
    tried = tuple(q for q in state.quarantine if q.digest)
    return replace(state, desired=revision, quarantine=_added(tried, entry))


def fail(state: Revisions, reason: FailureReason, message: str, now: datetime) -> Revisions:
    """The open attempt has failed: quarantine it."""
    attempt = state.attempt
    assert attempt is not None
    known = quarantined(state, attempt.digest)
    attempts = (known.attempts if known else 0) + 1
    refused = reason is FailureReason.APPLY_REJECTED
    entry = QuarantineEntry(
        attempt.revision,
        reason,
        _short(message),
        known.at if known and known.reason is reason else parse.stamp(now),
        attempt.digest,
        restored_at=known.restored_at if known and known.reason is reason else None,
        retry_at=parse.stamp(now + _backoff(attempts)) if refused else None,
        attempts=attempts,
    )
    failed = replace(
        attempt,
        phase=OperationPhase.FAILED,
        finished_at=parse.stamp(now),
        unhealthy_since=None,
        message=_short(message),
    )
    return replace(state, attempt=failed, quarantine=_added(state.quarantine, entry))


def succeed(state: Revisions, now: datetime, *, history_limit: int) -> Revisions:
    """The attempt is applied, promoted and healthy: it is the last good revision now."""
    attempt = state.attempt
    assert attempt is not None
    done = replace(
        attempt,
        phase=OperationPhase.SUCCEEDED,
        finished_at=parse.stamp(now),
        unhealthy_since=None,
        message="",
    )
    number = state.history[-1].id + 1 if state.history else 0
    entry = RevisionHistory(
        number,
        attempt.revision,
        attempt.digest,
        parse.stamp(now),
        attempt.started_at,
        naming.parts(attempt.revision),
    )
    kept = (*state.history, entry)[-history_limit:] if history_limit else ()
    return replace(
        state,
        attempt=done,
        good=Good(attempt.revision, attempt.digest),
        running=attempt.revision,
        history=kept,
        quarantine=tuple(q for q in state.quarantine if q.digest != attempt.digest),
    )


def serving(state: Revisions) -> Revisions:
    """The open attempt is applied and every Rollout in it promoted: it is what users get."""
    assert state.attempt is not None
    return replace(state, running=state.attempt.revision)


def restored(state: Revisions, now: datetime) -> Revisions:
    """The last good set is fully back."""
    assert state.good is not None
    failed = state.attempt.digest if state.attempt else ""
    entries = tuple(
        replace(q, restored_at=parse.stamp(now)) if q.digest == failed and not q.restored_at else q
        for q in state.quarantine
    )
    return replace(state, running=state.good.revision, quarantine=entries)


def waiting(state: Revisions, *, healthy: bool, now: datetime) -> Revisions:
    """Since when objects that are under the timeout are not healthy."""
    attempt = state.attempt
    if attempt is None or attempt.phase is not OperationPhase.RUNNING:
        return state
    since = None if healthy else attempt.unhealthy_since or parse.stamp(now)
    return replace(state, attempt=replace(attempt, unhealthy_since=since))


def lift(state: Revisions, candidate: Candidate) -> Revisions:
    """A person said retry: the desired revision may be tried once more."""
    attempt = state.attempt
    if attempt and attempt.digest == candidate.digest and attempt.phase is OperationPhase.FAILED:
        attempt = None
    kept = tuple(q for q in state.quarantine if q.digest != candidate.digest)
    return replace(state, attempt=attempt, quarantine=kept)


def target(state: Revisions) -> Target | None:
    """The set that the cluster should hold; None where nothing was ever tried."""
    attempt = state.attempt
    if attempt is None:
        return _put_back(state)
    if attempt.phase is not OperationPhase.FAILED:
        return Target(attempt.revision, attempt.digest, known_good=is_known_good(state, attempt.digest))
    # No good revision to go back to: the failed one stays as it is, and may still come good.
    return _put_back(state) or Target(attempt.revision, attempt.digest, converge=False)


def is_known_good(state: Revisions, digest: str) -> bool:
    return (state.good is not None and state.good.digest == digest) or any(
        h.digest == digest for h in state.history
    )


def quarantined(state: Revisions, digest: str) -> QuarantineEntry | None:
    return next((q for q in state.quarantine if q.digest and q.digest == digest), None)


def holding(state: Revisions, candidate: Candidate | None) -> QuarantineEntry | None:
    """Why the desired revision is not tried, None if nothing speaks against it."""
    unrenderable = next((q for q in state.quarantine if not q.digest and q.revision == state.desired), None)
    return unrenderable or (quarantined(state, candidate.digest) if candidate else None)


def may_recover(state: Revisions) -> bool:
    """The first revision was only late or unhealthy, and there is none to go back to."""
    attempt = state.attempt
    if state.good or attempt is None or attempt.phase is not OperationPhase.FAILED:
        return False
    entry = quarantined(state, attempt.digest)
    return entry is not None and entry.reason in _RECOVERABLE


def recover(state: Revisions) -> Revisions:
    """It came good after all: open again what was closed as failed."""
    assert state.attempt is not None
    return replace(
        state, attempt=replace(state.attempt, phase=OperationPhase.RUNNING, finished_at=None, message="")
    )


def superseded(old: Revisions, new: Revisions) -> Attempt | None:
    """The open attempt that a newer commit has overtaken."""
    before, after = old.attempt, new.attempt
    if before and after and before.phase is OperationPhase.RUNNING and before.digest != after.digest:
        return before
    return None


def from_status(status: ApplicationStatus) -> Revisions:
    operation = status.operation_state
    attempt = None
    if operation:
        attempt = Attempt(
            operation.sync_result.revision,
            operation.sync_result.digest,
            operation.phase,
            operation.started_at,
            operation.finished_at,
            operation.unhealthy_since,
            operation.message,
            operation.hooks,
        )
    good = Good(status.last_good_revision, status.last_good_digest) if status.last_good_digest else None
    return Revisions(
        status.desired_revision, attempt, good, status.running_revision, status.quarantine, status.history
    )


def into_status(status: ApplicationStatus, state: Revisions, *, message: str = "") -> ApplicationStatus:
    """`status` with the state written into it; `message` says where the open attempt stands."""
    attempt = state.attempt
    operation = None
    if attempt:
        operation = OperationState(
            attempt.phase,
            attempt.started_at,
            message if attempt.phase is OperationPhase.RUNNING else attempt.message,
            attempt.finished_at,
            attempt.unhealthy_since,
            SyncResult(attempt.revision, attempt.digest, naming.parts(attempt.revision)),
            attempt.hooks,
        )
    return replace(
        status,
        desired_revision=state.desired,
        attempted_revision=attempt.revision if attempt else status.attempted_revision,
        last_good_revision=state.good.revision if state.good else "",
        last_good_digest=state.good.digest if state.good else "",
        running_revision=state.running,
        quarantine=state.quarantine,
        history=state.history,
        operation_state=operation,
    )


def _is_current(attempt: Attempt | None, candidate: Candidate) -> bool:
    return (
        attempt is not None
        and attempt.digest == candidate.digest
        and attempt.phase is not OperationPhase.FAILED
    )


def _was_asked_for(state: Revisions, candidate: Candidate) -> bool:
    """Where sync is manual: what is in the cluster already, and what was asked for and refused before."""
    attempt, good = state.attempt, state.good
    return bool(attempt and attempt.digest == candidate.digest) or bool(
        good and good.digest == candidate.digest
    )


def _is_due(entry: QuarantineEntry, now: datetime) -> bool:
    return entry.retry_at is not None and now >= entry.retry_at


def _opened(state: Revisions, candidate: Candidate, now: datetime) -> Revisions:
    attempt = Attempt(candidate.revision, candidate.digest, OperationPhase.RUNNING, parse.stamp(now))
    return replace(state, attempt=attempt)


def _renamed(state: Revisions, candidate: Candidate) -> Revisions:
    """Another commit, the same objects: every revision that means this set takes the new name."""
    assert state.attempt is not None
    old = state.attempt.revision
    good = state.good
    if good and good.digest == candidate.digest:
        good = Good(candidate.revision, good.digest)
    return replace(
        state,
        attempt=replace(state.attempt, revision=candidate.revision),
        good=good,
        running=candidate.revision if state.running == old else state.running,
    )


def _held(state: Revisions, candidate: Candidate, entry: QuarantineEntry, now: datetime) -> Revisions:
    """Git says a quarantined set: whatever was going on ends, and the last good set is the target."""
    attempt = state.attempt
    if attempt and attempt.digest == candidate.digest:
        return state
    held = Attempt(
        candidate.revision,
        candidate.digest,
        OperationPhase.FAILED,
        parse.stamp(now),
        parse.stamp(now),
        message=entry.message,
    )
    # What was going on has changed the cluster; what was good already is in place.
    is_in_place = attempt is not None and attempt.phase is OperationPhase.SUCCEEDED
    told = replace(entry, restored_at=parse.stamp(now) if is_in_place else None)
    entries = tuple(told if q is entry else q for q in state.quarantine)
    return replace(state, attempt=held, quarantine=entries)


def _put_back(state: Revisions) -> Target | None:
    return Target(state.good.revision, state.good.digest, known_good=True) if state.good else None


def _rendered(entries: tuple[QuarantineEntry, ...], revision: str) -> tuple[QuarantineEntry, ...]:
    """A revision that renders was not refused for rendering (the path or the options have changed)."""
    return tuple(q for q in entries if q.digest or q.revision != revision)


def _added(entries: tuple[QuarantineEntry, ...], entry: QuarantineEntry) -> tuple[QuarantineEntry, ...]:
    others = tuple(q for q in entries if _identity(q) != _identity(entry))
    return (entry, *others)[:QUARANTINE_LIMIT]


def _identity(entry: QuarantineEntry) -> tuple[str, str]:
    return entry.digest, entry.digest or entry.revision


def _backoff(attempts: int) -> timedelta:
    return timedelta(seconds=min(_RETRY_FIRST_SECONDS << min(attempts - 1, 10), _RETRY_LONGEST_SECONDS))


def _short(message: str) -> str:
    return message if len(message) <= MESSAGE_LIMIT else message[: MESSAGE_LIMIT - 1] + "…"
