"""`--max-concurrent-rollouts`: which updates may begin while others go on.

Decides who has a slot, from the statuses in the store alone; a slot that is given is remembered only until the
status shows it, so nothing is lost with the process. First come, first served within a priority. What waits for a
person holds no slot, and neither does what has failed: nobody waits for those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from prometheus_client.core import GaugeMetricFamily

from rollouts.api.meta import Names, ObjectMeta
from rollouts.api.rollout_status import RolloutStatus
from rollouts.controller.cache import Change, Key
from rollouts.controller.records import KnownRollout, Malformed
from rollouts.delivery import queueing

__all__ = ["Admissions"]

_NEVER = datetime.max.replace(tzinfo=UTC)


class _Place(NamedTuple):
    """Smaller goes first."""

    urgency: int
    since: datetime
    key: Key


class Admissions:
    """The updates that go on and those that wait. `limit` 0: none waits."""

    def __init__(self, limit: int, names: Names, ring: Callable[[Key], None]) -> None:
        self._limit = limit
        self._names = names
        self._ring = ring
        self._going_on: set[Key] = set()
        self._given: set[Key] = set()
        self._waiting: dict[Key, _Place] = {}

    def changed(self, change: Change[KnownRollout | Malformed]) -> None:
        """What the store has just seen of a Rollout."""
        known = change.new.value if change.new else None
        status = known.status if known else RolloutStatus()
        before = (change.key in self._going_on, self._waiting.get(change.key))
        self._going_on.discard(change.key)
        self._waiting.pop(change.key, None)
        if known is not None and queueing.is_going_on(status):
            self._going_on.add(change.key)
            self._given.discard(change.key)
        if known is not None and status.queued_at is not None:
            self._waiting[change.key] = self._place(known.metadata, status.queued_at)
        if self._limit and before != (change.key in self._going_on, self._waiting.get(change.key)):
            self._ring_first()

    def admits(self, known: KnownRollout, key: Key) -> bool:
        """Whether an update of this Rollout may go on, or begin now."""
        self._given.discard(key)
        if not self._limit or key in self._going_on:
            return True
        place = self._waiting.get(key) or self._place(known.metadata, _NEVER)
        ahead = sum(other < place for waiting, other in self._waiting.items() if waiting != key)
        return ahead < self._free

    def decided(self, key: Key, status: RolloutStatus) -> None:
        """What was decided just now and is only to be written: a slot that it takes is taken from here on."""
        if self._limit and queueing.is_going_on(status) and key not in self._going_on:
            self._given.add(key)

    def forget(self, key: Key) -> None:
        """The Rollout is gone."""
        self._given.discard(key)

    def gauges(self) -> Iterator[GaugeMetricFamily]:
        going_on = GaugeMetricFamily("rollouts_controller_updates_going_on", "Updates that hold a slot.")
        going_on.add_metric((), len(self._going_on | self._given))
        waiting = GaugeMetricFamily("rollouts_controller_updates_queued", "Updates that wait for a slot.")
        waiting.add_metric((), len(self._waiting))
        yield from (going_on, waiting)

    @property
    def _free(self) -> int:
        return self._limit - len(self._going_on | self._given)

    def _place(self, metadata: ObjectMeta, since: datetime) -> _Place:
        key = Key(metadata.namespace, metadata.name)
        return _Place(-queueing.priority(metadata, self._names), since, key)

    def _ring_first(self) -> None:
        """Those for whom there is a slot now."""
        if self._free > 0:
            for place in sorted(self._waiting.values())[: self._free]:
                self._ring(place.key)
