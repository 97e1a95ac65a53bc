"""The last good revision as a ref in Git: written after each promotion, read where nothing is known yet.

Decides when it is written and read, and what an Application without a good revision waits for: a cluster that was
built anew first gets what was good before, and only then, step by step, what nobody has proven. Pure.
"""

from __future__ import annotations

from enum import StrEnum

from rollouts.api.application import Application
from rollouts.api.application_status import ApplicationReason
from rollouts.gitops import naming
from rollouts.gitops.gates import Gate

__all__ = ["Work", "awaited", "bootstrap", "due", "gate", "good_commit", "ref"]


class Work(StrEnum):
    READ = "read"
    BRING = "bring"
    """Fetch the commit that the record names."""
    WRITE = "write"


def ref(application: Application) -> str:
    """Where the record is."""
    metadata, record = application.metadata, application.spec.rollback.record
    return (record.ref if record else "") or f"refs/rollouts/last-good/{metadata.namespace}/{metadata.name}"


def due(application: Application) -> Work | None:
    status = application.status
    if application.spec.rollback.record is None:
        return None
    known = status.last_good_record
    if not status.last_good_digest:
        if known is None or known.message:
            return Work.READ
        return Work.BRING if known.revision else None
    is_written = known and not known.message and naming.commit_of(known.revision) == good_commit(application)
    return None if is_written else Work.WRITE


def good_commit(application: Application) -> str:
    return naming.commit_of(application.status.last_good_revision)


def bootstrap(application: Application) -> str:
    """The recorded commit, where no revision is known to be good here yet."""
    known = application.status.last_good_record
    if application.spec.rollback.record is None or application.status.last_good_digest or known is None:
        return ""
    return naming.commit_of(known.revision)


def awaited(application: Application) -> Gate | None:
    """Nothing is synced for the first time before the record was read."""
    if due(application) is not Work.READ:
        return None
    known = application.status.last_good_record
    return gate(f"it {known.message}" if known and known.message else "it is being read")


def gate(problem: str) -> Gate:
    message = f"waits for the record of the last good revision: {problem}"
    return Gate(ApplicationReason.LAST_GOOD_RECORD_UNKNOWN, message)
