"""What an error means for the queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from rollouts.controller.cache import Key, Store
from rollouts.controller.loop import NOTHING_MORE, Controller, Next, work
from rollouts.controller.metrics import Metrics
from rollouts.controller.queue import Queue
from rollouts.errors import Conflict, LostLease, NotFound, Rejected, RolloutsError, SpecError, Transient
from rollouts.kube import resources

WEB = Key("shop", "web")


def new_store() -> Store[None]:
    store: Store[None] = Store(resources.rollout("rollouts.dev"), lambda _body, _old: None)
    store.put({"metadata": {"namespace": "shop", "name": "web", "uid": "1", "resourceVersion": "1"}})
    return store


async def handled(*outcomes: Exception | Next, rung: Callable[[Queue], None]) -> tuple[Queue, int]:
    """A worker that meets these outcomes one after the other; the queue, and how often it was called."""
    queue, calls, answers = Queue(), 0, list(outcomes)

    async def reconcile(key: Key) -> Next:
        nonlocal calls
        assert key == WEB
        calls += 1
        answer = answers.pop(0)
        if not answers:
            queue.close()
        if isinstance(answer, Exception):
            raise answer
        return answer

    rung(queue)
    async with asyncio.timeout(5):
        await work(Controller("rollout", queue, reconcile, workers=1, store=new_store()), Metrics())
    return queue, calls


def ring(queue: Queue) -> None:
    queue.add(WEB)


@pytest.mark.parametrize("error", [Conflict("changed"), NotFound("gone")])
async def test_whoever_was_too_slow_looks_again_at_once(error: Exception) -> None:
    _, calls = await handled(error, NOTHING_MORE, rung=ring)

    assert calls == 2


async def test_a_written_plan_is_looked_at_again_at_once() -> None:
    _, calls = await handled(Next(again=True), NOTHING_MORE, rung=ring)

    assert calls == 2


async def test_a_time_is_kept() -> None:
    soon = datetime.now(UTC) + timedelta(milliseconds=5)

    _, calls = await handled(Next(at=soon), NOTHING_MORE, rung=ring)

    assert calls == 2


@pytest.mark.parametrize(
    "error", [Transient("unreachable"), Rejected("denied"), RuntimeError("a bug"), ValueError("another")]
)
async def test_what_may_pass_is_tried_again_later(error: Exception) -> None:
    queue, _ = await handled(error, rung=ring)

    assert queue.failures(WEB) == 1


@pytest.mark.parametrize("error", [SpecError("spec.replicas", -1, "must not be negative")])
async def test_a_wrong_spec_waits_for_a_new_one(error: RolloutsError) -> None:
    queue, _ = await handled(error, rung=ring)

    assert queue.failures(WEB) == 0


async def test_a_lost_lease_ends_the_worker() -> None:
    with pytest.raises(LostLease):
        await handled(LostLease("somebody else leads"), rung=ring)


async def test_series_of_an_object_go_with_the_last_look_at_it() -> None:
    store, queue, metrics, looks = new_store(), Queue(), Metrics(), 0

    async def reconcile(_: Key) -> Next:
        nonlocal looks
        looks += 1
        if looks == 1:
            # While it is looked at it goes, and rings: there is one more look.
            store.drop(WEB, 2)
            queue.add(WEB)
        else:
            queue.close()
        return NOTHING_MORE

    ring(queue)
    async with asyncio.timeout(5):
        await work(Controller("rollout", queue, reconcile, workers=1, store=store), metrics)

    assert looks == 2
    assert b'name="web"' not in metrics.exposition()
