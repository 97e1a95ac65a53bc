"""Which key is worked on next: folding, delays, backoff and two priorities. One queue per controller type.

Decides order and time only; knows nothing of what a key stands for. `Schedule` is the pure part; `Queue`
lets asyncio tasks wait on it. A key is queued, busy or both rung and busy (queued again when done), so
that one object is never handled twice at once and bursts fold into one reconcile.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from rollouts.controller.cache import Key

__all__ = ["Priority", "Queue", "QueueClosed", "Schedule"]

_FIRST_BACKOFF = timedelta(seconds=0.5)
_LAST_BACKOFF = timedelta(seconds=60)
_DOUBLINGS = 7
_FEWEST_TIMES = 64


class Priority(IntEnum):
    """A change that somebody waits for goes before a resync."""

    CHANGE = 0
    RESYNC = 1


class QueueClosed(Exception):
    """No more keys will come: the worker may leave."""


class Schedule:
    """Ready keys in order, keys with a time, busy keys. Pure: the time is an argument."""

    def __init__(self, jitter: Callable[[], float] = random.random) -> None:
        self._jitter = jitter
        self._ready: tuple[dict[Key, None], dict[Key, None]] = ({}, {})
        self._busy: dict[Key, datetime | None] = {}
        self._dirty: dict[Key, Priority] = {}
        self._due: dict[Key, datetime] = {}
        # Also times that are void: as many again as those of `_due`, before they are taken out.
        self._heap: list[tuple[datetime, Key]] = []
        self._failures: dict[Key, int] = {}

    def __len__(self) -> int:
        return len(self._ready[Priority.CHANGE]) + len(self._ready[Priority.RESYNC])

    @property
    def busy(self) -> int:
        return len(self._busy)

    @property
    def waiting(self) -> int:
        """Keys that have a time to come."""
        return len(self._due)

    def add(self, key: Key, priority: Priority = Priority.CHANGE) -> None:
        """Ring a key now. A key that is rung already keeps its place; a change overtakes a resync."""
        if key in self._busy:
            self._dirty[key] = min(priority, self._dirty.get(key, priority))
        elif key not in self._ready[Priority.CHANGE]:
            self._ready[priority][key] = None
            if priority is Priority.CHANGE:
                self._ready[Priority.RESYNC].pop(key, None)

    def add_at(self, key: Key, when: datetime) -> None:
        """Ring a key at `when`; of several times the earliest wins."""
        known = self._due.get(key)
        if known is None or when < known:
            self._due[key] = when
            heapq.heappush(self._heap, (when, key))
            if len(self._heap) > _FEWEST_TIMES + 2 * len(self._due):
                self._heap = [(at, each) for each, at in self._due.items()]
                heapq.heapify(self._heap)

    def next_due(self) -> datetime | None:
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, now: datetime) -> Key | None:
        """The next key; it is busy until `done`. Its own time is void: the reconcile finds the next one."""
        while (due := self.next_due()) is not None and due <= now:
            _, key = heapq.heappop(self._heap)
            del self._due[key]
            self.add(key)
        for ready in self._ready:
            for key in ready:
                del ready[key]
                self._busy[key] = self._due.pop(key, None)
                return key
        return None

    def done(self, key: Key, *, again_at: datetime | None = None) -> None:
        """Handled: forget failures, look again at `again_at` or when somebody rings."""
        self._failures.pop(key, None)
        self._release(key, again_at)

    def failed(self, key: Key, now: datetime, *, retry_after: timedelta | None = None) -> None:
        """Not handled: back off, 0.5 s doubling up to 60 s, with jitter."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        backoff = min(_FIRST_BACKOFF * 2 ** min(failures, _DOUBLINGS), _LAST_BACKOFF)
        backoff = max(backoff * (0.75 + self._jitter() / 2), retry_after or timedelta())
        retry_at = now + backoff
        before = self._busy.get(key)
        self._release(key, min(before, retry_at) if before and before > now else retry_at)

    def failures(self, key: Key) -> int:
        return self._failures.get(key, 0)

    def _release(self, key: Key, again_at: datetime | None) -> None:
        del self._busy[key]
        if again_at is not None:
            self.add_at(key, again_at)
        if key in self._dirty:
            self.add(key, self._dirty.pop(key))


class Queue:
    """A `Schedule` that tasks of one event loop can wait on."""

    def __init__(self, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._schedule = Schedule()
        self._now = now
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._armed: datetime | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._schedule)

    @property
    def busy(self) -> int:
        return self._schedule.busy

    def add(self, key: Key, priority: Priority = Priority.CHANGE) -> None:
        self._schedule.add(key, priority)
        self._wake()

    def add_at(self, key: Key, when: datetime) -> None:
        self._schedule.add_at(key, when)
        self._arm()

    async def get(self) -> Key:
        """The next key, busy until `done` or `failed`. Raises `QueueClosed`."""
        while not self._closed:
            key = self._schedule.take(self._now())
            if key is not None:
                self._wake()
                return key
            await self._sleep()
        raise QueueClosed

    def done(self, key: Key, *, again_at: datetime | None = None) -> None:
        self._schedule.done(key, again_at=again_at)
        self._wake()

    def failed(self, key: Key, *, retry_after: timedelta | None = None) -> None:
        self._schedule.failed(key, self._now(), retry_after=retry_after)
        self._wake()

    def failures(self, key: Key) -> int:
        return self._schedule.failures(key)

    def close(self) -> None:
        """Hand out no more keys; those that are busy may finish."""
        self._closed = True
        if self._timer:
            self._timer.cancel()
        while self._waiters:
            self._wake_one(self._waiters.popleft())

    async def _sleep(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._arm()
        try:
            await waiter
        except asyncio.CancelledError:
            # The wake-up that this task will not use belongs to another one.
            if waiter.done() and not waiter.cancelled():
                self._wake()
            raise

    def _wake(self) -> None:
        self._arm()
        while len(self._schedule) and self._waiters:
            if self._wake_one(self._waiters.popleft()):
                return

    @staticmethod
    def _wake_one(waiter: asyncio.Future[None]) -> bool:
        if waiter.done():
            return False
        waiter.set_result(None)
        return True

    def _arm(self) -> None:
        """One timer, at the earliest time of all."""
        due = self._schedule.next_due()
        if due is None or due == self._armed or self._closed or not self._waiters:
            return
        if self._timer:
            self._timer.cancel()
        self._armed = due
        delay = max(0.0, (due - self._now()).total_seconds())
        # A wall clock that is set back or forth must not put a wake-up off for long.
        self._timer = asyncio.get_running_loop().call_later(min(delay, 30.0), self._tick)

    def _tick(self) -> None:
        self._timer = self._armed = None
        while self._waiters:
            if self._wake_one(self._waiters.popleft()):
                return
