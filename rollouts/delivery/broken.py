"""A stable revision that serves nobody: a newer one has nothing to protect, and replaces it without steps.

Decides only whether stable is broken, which takes as long as the progress deadline: pods that are away for a
moment do not leave out anybody's analysis. Called by `phase` when an update starts,
and by `steps`, which do not wait for what stable cannot take over.
"""

from __future__ import annotations

from datetime import timedelta

from rollouts.api.meta import ConditionType, Reason
from rollouts.delivery.sets import available
from rollouts.delivery.snapshot import ReplicaSet
from rollouts.delivery.view import View


def is_replaced(seen: View) -> bool:
    """Stable has no available pod, and there were too few for as long as the deadline, or it has passed it."""
    stable = seen.sets.stable
    if stable is None or not serves_nobody(stable):
        return False
    return _is_timed_out(seen) or _is_unavailable(seen)


def serves_nobody(rs: ReplicaSet) -> bool:
    """Pods are asked for, and none is available."""
    return rs.observed and rs.replicas > 0 and not available(rs)


def _is_timed_out(seen: View) -> bool:
    """The clock was about stable itself."""
    old = seen.old
    reasons = {c.reason for c in old.conditions if c.type == ConditionType.PROGRESSING}
    return old.current_pod_hash == old.stable_rs and Reason.PROGRESS_DEADLINE_EXCEEDED in reasons


def _is_unavailable(seen: View) -> bool:
    known = next((c for c in seen.old.conditions if c.type == ConditionType.AVAILABLE), None)
    if known is None or known.status != "False" or known.last_transition_time is None:
        return False
    patience = timedelta(seconds=seen.spec.progress_deadline_seconds)
    return known.last_transition_time + patience <= seen.snapshot.now
