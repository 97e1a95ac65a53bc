"""The lives of a pod whose container exits again and again, as the kubelet lets it.

Pure arithmetic on the age of the pod. The wait before a restart doubles from 10 s to 5 min, and begins anew
after a container that was up for 10 min. Called by `world`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from rollouts.simulate.scenario import PodBehaviour

_FIRST_WAIT = timedelta(seconds=10)
_LONGEST_WAIT = timedelta(minutes=5)
_FORGIVEN_AFTER = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Life:
    """Ages of the pod: when its container is ready, exits (None: never) and is started again."""

    ready: timedelta
    ends: timedelta | None = None
    again: timedelta = timedelta()


def current(behaviour: PodBehaviour, age: timedelta) -> Life:
    """The life that a pod of this age is in; between two of them, the one before."""
    if behaviour.crash_after is None:
        return Life(behaviour.ready_after)
    up = behaviour.ready_after + behaviour.crash_after
    started, wait = timedelta(), _FIRST_WAIT
    while started + up + wait <= age:
        started += up + wait
        wait = _FIRST_WAIT if up >= _FORGIVEN_AFTER else min(2 * wait, _LONGEST_WAIT)
    return Life(started + behaviour.ready_after, started + up, started + up + wait)
