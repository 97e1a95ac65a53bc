"""A person says: back to an earlier good revision. The rollback that sync respects.

Decides which revision that is and what becomes of the one that is left: it is quarantined like one that
failed, so neither drift, nor a restart, nor an interval brings it back. A newer commit with other objects
does, and so does a retry. Needs no Git: what is in the history was good before. Pure.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

from rollouts.api import parse
from rollouts.api.application_status import FailureReason, OperationPhase, QuarantineEntry, RevisionHistory
from rollouts.gitops import revision
from rollouts.gitops.revision import Candidate, Good, Revisions

__all__ = ["chosen", "roll_back"]

_TOKEN = re.compile(r"(?P<id>\d+)(?:@.*)?")
"""`3`, or `3@anything` to ask for the same one again; any other token means the one before."""


def chosen(state: Revisions, token: str) -> RevisionHistory | None:
    """The good revision that a token means; None if the history does not hold it."""
    named = _TOKEN.fullmatch(token)
    if named:
        return next((h for h in reversed(state.history) if h.id == int(named["id"])), None)
    left = _left(state, None)
    return next((h for h in reversed(state.history) if h.digest != left), None)


def roll_back(state: Revisions, candidate: Candidate | None, token: str, now: datetime) -> Revisions:
    """The state with the chosen revision as the last good one; unchanged where there is none."""
    entry = chosen(state, token)
    if entry is None or state.attempt is None:
        return state
    left = _left(state, candidate)
    kept = tuple(q for q in state.quarantine if q.digest not in (entry.digest, left))
    good = Good(entry.revision, entry.digest)
    if left == entry.digest:
        return replace(state, quarantine=kept, good=good)
    name = candidate.revision if candidate else state.attempt.revision
    message = f"rolled back by hand to {entry.revision}"
    refused = QuarantineEntry(name, FailureReason.ROLLED_BACK, message, parse.stamp(now), left, attempts=1)
    attempt = replace(
        state.attempt,
        revision=name,
        digest=left,
        phase=OperationPhase.FAILED,
        finished_at=parse.stamp(now),
        unhealthy_since=None,
        message=message,
    )
    quarantine = (refused, *kept)[: revision.QUARANTINE_LIMIT]
    return replace(state, attempt=attempt, good=good, quarantine=quarantine)


def _left(state: Revisions, candidate: Candidate | None) -> str:
    """The digest that is rolled back: what Git says, else what was last tried."""
    if candidate:
        return candidate.digest
    return state.attempt.digest if state.attempt else ""
