"""Sets that nobody needs any more, and that are kept up for a while all the same.

Decides what a delay means for one set; which sets are delayed, and for how long, the strategies say.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from rollouts.delivery.snapshot import ReplicaSet
from rollouts.delivery.view import View


def ending(seen: View, rs: ReplicaSet, delay: timedelta) -> ReplicaSet:
    """The set with its deadline, or without pods once that has passed."""
    deadline = rs.scale_down_deadline or seen.now + delay
    if not delay or deadline <= seen.snapshot.now:
        return replace(rs, replicas=0, scale_down_deadline=None)
    return replace(rs, scale_down_deadline=deadline)


def without_deadline(rs: ReplicaSet) -> ReplicaSet:
    return replace(rs, scale_down_deadline=None) if rs.scale_down_deadline else rs
