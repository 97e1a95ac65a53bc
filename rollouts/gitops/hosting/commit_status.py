"""What a Git host should know about a commit, from the status of the Application that follows it.

Decides the state and the words: pending while it waits or is rolled out, success only when every Rollout is
promoted and every object healthy, failure with the reason when it is quarantined. Pure; `controller.applications`
tells it, once for each change of state.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rollouts.api.application import Application, ApplicationSource
from rollouts.api.application_status import (
    ApplicationReason,
    ApplicationStatus,
    CommitState,
    FailureReason,
    OperationPhase,
    QuarantineEntry,
)
from rollouts.gitops import naming
from rollouts.gitops.validation import is_git

__all__ = ["Telling", "brief", "context", "due", "git_source", "holding"]

_KNOWN_BY_ITSELF = re.compile(
    r"Update to revision \d+(?: \(\S+\))? | of \w+ AnalysisRun \S+|; going back to revision .*$"
)
"""Of the sentence of an abort (`delivery.abort`)."""


@dataclass(frozen=True, slots=True)
class Telling:
    """What is to be told: about which commit of which source, and in which words."""

    source: ApplicationSource
    revision: str
    commit: str
    state: CommitState
    description: str


def due(application: Application) -> Telling | None:
    """What the host does not know yet; None where it knows everything."""
    spec, status = application.spec, application.status
    found = _state(status)
    if spec.commit_status is None or found is None:
        return None
    posted = status.commit_status
    if posted and (posted.revision, posted.state) == (status.desired_revision, found[0]):
        return None
    index, source = git_source(application)
    commit = naming.commit_of(naming.each(status.desired_revision)[index])
    return Telling(source, status.desired_revision, commit, *found)


def brief(description: str, limit: int) -> str:
    """What a host has room for: without what the commit says itself, then without the middle.

    Which object, and which step, stand in front; value and threshold at the end.
    """
    text = _KNOWN_BY_ITSELF.sub("", description) if len(description) > limit else description
    if len(text) <= limit:
        return text
    front = limit // 3
    return f"{text[:front]}…{text[len(text) - (limit - front - 1) :]}"


def context(application: Application) -> str:
    """What the status is called."""
    metadata, spec = application.metadata, application.spec.commit_status
    return (spec.context if spec else "") or f"rollouts/{metadata.namespace}/{metadata.name}"


def git_source(application: Application) -> tuple[int, ApplicationSource]:
    """The one source that is a Git repository; the spec is checked for there being one."""
    return next((i, s) for i, s in enumerate(application.spec.every_source) if is_git(s))


def _state(status: ApplicationStatus) -> tuple[CommitState, str] | None:
    if not status.desired_revision:
        return None
    if entry := holding(status):
        return CommitState.FAILURE, _told(entry)
    operation = status.operation_state
    if operation is None or operation.sync_result.revision != status.desired_revision:
        return CommitState.PENDING, "waits to be synced"
    if operation.phase is OperationPhase.SUCCEEDED:
        return CommitState.SUCCESS, "promoted and healthy"
    return CommitState.PENDING, "is being rolled out"


def holding(status: ApplicationStatus) -> QuarantineEntry | None:
    """Why the desired revision is not tried."""
    desired, operation = status.desired_revision, status.operation_state
    unrenderable = next((q for q in status.quarantine if not q.digest and q.revision == desired), None)
    if unrenderable or operation is None or operation.phase is not OperationPhase.FAILED:
        return unrenderable
    # A commit with the same objects as a refused one is held by that one's entry.
    is_it = operation.sync_result.revision == desired
    if not (is_it or status.sync.reason in (ApplicationReason.QUARANTINED, FailureReason.APPLY_REJECTED)):
        return None
    return next((q for q in status.quarantine if q.digest and q.digest == operation.sync_result.digest), None)


def _told(entry: QuarantineEntry) -> str:
    if entry.reason is FailureReason.ROLLED_BACK:
        return entry.message
    return f"{entry.reason}: {entry.message}"
