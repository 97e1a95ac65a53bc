"""Leader election: who may take a Lease, and until when its holder may believe in it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from rollouts.controller import lease
from rollouts.controller.lease import Lease
from rollouts.errors import Conflict, LostLease, NotFound, Transient
from rollouts.kube import Kube, Ref, Resource, resources

REF = resources.LEASE.ref("rollouts-controller", "rollouts")


class Leases(Kube):
    """An API server that knows Leases, with versions and conflicts as the real one has them."""

    def __init__(self) -> None:
        self.stored: dict[str, Any] | None = None
        self.reachable = True

    async def get(self, ref: Ref, subresource: str = "") -> dict[str, Any]:
        self._answer()
        if self.stored is None:
            raise NotFound(f"{ref} not found")
        return copy.deepcopy(self.stored)

    async def create(
        self, resource: Resource, body: Mapping[str, Any], *, field_manager: str, dry_run: bool = False
    ) -> dict[str, Any]:
        self._answer()
        if self.stored is not None:
            raise Conflict("it exists")
        return self._store(body, version=1)

    async def replace(self, ref: Ref, body: Mapping[str, Any], *, field_manager: str) -> dict[str, Any]:
        self._answer()
        assert self.stored is not None
        version = self.stored["metadata"]["resourceVersion"]
        if body["metadata"]["resourceVersion"] != version:
            raise Conflict("it changed")
        return self._store(body, version=int(version) + 1)

    @property
    def holder(self) -> str:
        assert self.stored is not None
        return str(self.stored["spec"]["holderIdentity"])

    def _answer(self) -> None:
        if not self.reachable:
            raise Transient("unreachable")

    def _store(self, body: Mapping[str, Any], *, version: int) -> dict[str, Any]:
        stored = copy.deepcopy(dict(body))
        stored["metadata"] = {**stored["metadata"], "resourceVersion": str(version)}
        self.stored = stored
        return stored


class Time:
    """A monotonic clock that goes on when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    clock = Time()

    async def sleep(seconds: float) -> None:
        clock.now += seconds

    monkeypatch.setattr(lease.asyncio, "sleep", sleep)
    return clock


def candidate(leases: Leases, name: str, time: Time) -> Lease:
    return Lease(leases, REF, name, monotonic=time)


async def test_the_first_candidate_creates_the_lease(time: Time) -> None:
    leases = Leases()
    one = candidate(leases, "one", time)

    await one.acquire()

    assert one.held
    assert leases.holder == "one"


async def test_a_held_lease_is_taken_only_when_it_has_not_changed_for_its_duration(time: Time) -> None:
    leases = Leases()
    one, two = candidate(leases, "one", time), candidate(leases, "two", time)
    await one.acquire()
    taken_at = time.now

    await two.acquire()

    assert leases.holder == "two"
    assert time.now - taken_at >= lease.LEASE_SECONDS


async def test_what_its_record_says_of_the_time_does_not_matter(time: Time) -> None:
    leases = Leases()
    one, two = candidate(leases, "one", time), candidate(leases, "two", time)
    await one.acquire()
    assert leases.stored is not None
    leases.stored["spec"]["renewTime"] = "1999-01-01T00:00:00.000000Z"
    taken_at = time.now

    await two.acquire()

    assert time.now - taken_at >= lease.LEASE_SECONDS


async def test_a_released_lease_is_taken_at_once(time: Time) -> None:
    leases = Leases()
    one, two = candidate(leases, "one", time), candidate(leases, "two", time)
    await one.acquire()

    await one.release()
    before = time.now
    await two.acquire()

    assert not one.held
    assert two.held
    assert time.now == before


async def test_a_holder_that_cannot_renew_stops_before_another_may_take_it(time: Time) -> None:
    leases = Leases()
    one = candidate(leases, "one", time)
    await one.acquire()
    acquired_at = time.now
    leases.reachable = False

    with pytest.raises(LostLease):
        await one.keep()

    assert not one.held
    assert time.now - acquired_at < lease.LEASE_SECONDS


async def test_trust_ends_by_itself_when_nothing_runs(time: Time) -> None:
    leases = Leases()
    one = candidate(leases, "one", time)
    await one.acquire()

    time.now += 11

    assert not one.held


async def test_a_holder_whose_lease_was_taken_is_told(time: Time) -> None:
    leases = Leases()
    one, two = candidate(leases, "one", time), candidate(leases, "two", time)
    await one.acquire()
    await two.acquire()

    with pytest.raises(LostLease):
        await one.keep()

    assert two.held
    assert leases.holder == "two"


async def test_a_lost_lease_is_not_released_for_its_new_holder(time: Time) -> None:
    leases = Leases()
    one, two = candidate(leases, "one", time), candidate(leases, "two", time)
    await one.acquire()
    await two.acquire()

    await one.release()

    assert leases.holder == "two"
