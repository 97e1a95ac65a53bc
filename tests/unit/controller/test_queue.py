"""The work queue: folding, order, times, backoff; and tasks that wait on it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rollouts.controller.cache import Key
from rollouts.controller.queue import Priority, Queue, QueueClosed, Schedule

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
A, B, C = Key("shop", "a"), Key("shop", "b"), Key("shop", "c")


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def new_schedule() -> Schedule:
    return Schedule(jitter=lambda: 0.5)


def test_keys_come_in_the_order_in_which_they_were_rung() -> None:
    schedule = new_schedule()
    for key in (B, A, B, C):
        schedule.add(key)

    assert [schedule.take(NOW) for _ in range(4)] == [B, A, C, None]


def test_a_change_goes_before_a_resync() -> None:
    schedule = new_schedule()
    schedule.add(A, Priority.RESYNC)
    schedule.add(B, Priority.RESYNC)
    schedule.add(C)
    schedule.add(B)

    assert [schedule.take(NOW) for _ in range(4)] == [C, B, A, None]


def test_a_key_rung_while_busy_is_handled_again_after_it_is_done() -> None:
    schedule = new_schedule()
    schedule.add(A)
    schedule.take(NOW)
    schedule.add(A)
    schedule.add(A)

    assert schedule.take(NOW) is None
    schedule.done(A)

    assert [schedule.take(NOW), schedule.take(NOW)] == [A, None]


def test_of_several_times_the_earliest_wins() -> None:
    schedule = new_schedule()
    schedule.add_at(A, later(20))
    schedule.add_at(A, later(10))
    schedule.add_at(A, later(30))

    assert schedule.take(later(9)) is None
    assert schedule.take(later(10)) == A
    schedule.done(A)
    assert schedule.take(later(60)) is None


def test_a_reconcile_that_goes_well_replaces_the_time() -> None:
    schedule = new_schedule()
    schedule.add_at(A, later(10))
    schedule.add(A)
    schedule.take(NOW)
    schedule.done(A, again_at=later(40))

    assert schedule.take(later(39)) is None
    assert schedule.take(later(40)) == A


def test_a_reconcile_that_fails_keeps_an_earlier_time() -> None:
    schedule = new_schedule()
    schedule.add_at(A, later(0.2))
    schedule.add(A)
    schedule.take(NOW)
    schedule.failed(A, NOW)

    assert schedule.next_due() == later(0.2)


def test_backoff_doubles_to_a_minute_and_ends_with_success() -> None:
    schedule, now, waits = new_schedule(), NOW, []
    schedule.add(A)
    for _ in range(9):
        assert schedule.take(now) == A
        schedule.failed(A, now)
        due = schedule.next_due()
        assert due is not None
        waits.append((due - now).total_seconds())
        now = due
    schedule.take(now)
    schedule.done(A)

    assert waits == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    assert schedule.failures(A) == 0


def test_the_server_may_ask_for_more_patience() -> None:
    schedule = new_schedule()
    schedule.add(A)
    schedule.take(NOW)
    schedule.failed(A, NOW, retry_after=timedelta(seconds=7))

    assert schedule.next_due() == later(7)


def test_times_that_are_void_do_not_pile_up() -> None:
    schedule = new_schedule()
    for _ in range(1000):
        schedule.add(A)
        schedule.take(NOW)
        schedule.done(A, again_at=later(3600))

    assert schedule.waiting == 1
    assert len(schedule._heap) < 100
    assert schedule.next_due() == later(3600)


def test_an_event_comes_sooner_than_a_backoff() -> None:
    schedule = new_schedule()
    schedule.add(A)
    schedule.take(NOW)
    schedule.failed(A, NOW)
    schedule.add(A)

    assert schedule.take(NOW) == A


class ScheduleMachine(RuleBasedStateMachine):
    """Whatever happens: no key is handled twice at once, and none that was rung is forgotten."""

    keys = st.sampled_from([A, B, C])

    def __init__(self) -> None:
        super().__init__()
        self.schedule = Schedule()
        self.now = NOW
        self.busy: set[Key] = set()
        self.rung: set[Key] = set()

    @rule(key=keys, priority=st.sampled_from(list(Priority)))
    def ring(self, key: Key, priority: Priority) -> None:
        self.schedule.add(key, priority)
        self.rung.add(key)

    @rule(key=keys, seconds=st.integers(0, 90))
    def ring_later(self, key: Key, seconds: int) -> None:
        self.schedule.add_at(key, self.now + timedelta(seconds=seconds))
        self.rung.add(key)

    @rule(seconds=st.integers(1, 60))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def take(self) -> None:
        key = self.schedule.take(self.now)
        if key is not None:
            assert key not in self.busy
            self.busy.add(key)
            self.rung.discard(key)

    @precondition(lambda self: self.busy)
    @rule(data=st.data(), failed=st.booleans())
    def finish(self, data: st.DataObject, failed: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.busy)))
        self.busy.remove(key)
        if failed:
            self.schedule.failed(key, self.now)
            self.rung.add(key)
        else:
            self.schedule.done(key)

    @invariant()
    def what_is_rung_will_come(self) -> None:
        assert self.schedule.busy == len(self.busy)
        if not self.busy:
            taken = set()
            probe = self.now + timedelta(hours=1)
            while (key := self.schedule.take(probe)) is not None:
                taken.add(key)
            assert self.rung <= taken
            for key in taken:
                self.schedule.done(key)
                self.schedule.add(key)
            self.rung = set(taken)


TestSchedule = ScheduleMachine.TestCase


async def test_a_waiting_worker_gets_a_key_that_is_rung() -> None:
    queue = Queue()
    worker = asyncio.create_task(queue.get())
    await asyncio.sleep(0)

    queue.add(A)

    assert await worker == A


async def test_each_waiting_worker_gets_a_key_of_its_own() -> None:
    queue = Queue()
    workers = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)

    for key in (A, B, C):
        queue.add(key)

    assert {await worker for worker in workers} == {A, B, C}


async def test_a_time_wakes_a_waiting_worker() -> None:
    queue = Queue()
    worker = asyncio.create_task(queue.get())
    await asyncio.sleep(0)

    queue.add_at(A, datetime.now(UTC) + timedelta(milliseconds=5))

    assert await worker == A


async def test_an_earlier_time_is_not_held_up_by_a_later_one() -> None:
    queue = Queue()
    queue.add_at(B, datetime.now(UTC) + timedelta(hours=1))
    worker = asyncio.create_task(queue.get())
    await asyncio.sleep(0)

    queue.add_at(A, datetime.now(UTC) + timedelta(milliseconds=5))

    assert await worker == A


async def test_a_worker_that_is_cancelled_while_it_is_woken_passes_the_key_on() -> None:
    queue = Queue()
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)

    queue.add(A)
    first.cancel()

    assert await second == A


async def test_a_closed_queue_sends_workers_home() -> None:
    queue = Queue()
    worker = asyncio.create_task(queue.get())
    await asyncio.sleep(0)

    queue.close()

    with pytest.raises(QueueClosed):
        await worker
