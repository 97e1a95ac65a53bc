"""Routes are read and set in bounded time, with preconditions; what fails is remembered and told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from rollouts.api.meta import Names
from rollouts.api.rollout import Rollout
from rollouts.api.rollout_status import WeightDestination
from rollouts.api.traffic import Shares, TrafficRouting
from rollouts.controller import records, routes
from rollouts.controller.cache import Key
from rollouts.controller.routes import Routes
from rollouts.delivery.actions import SetWeights
from rollouts.errors import Conflict, LostLease, NotFound, RolloutsError
from rollouts.kube.resources import Ref
from rollouts.routing.recording import Recording
from tests import builders

KEY = Key("shop", "web")
NAME = "plugins.recording"
SHARES = Shares(WeightDestination(20, "canary", "bbb"), WeightDestination(80, "stable", "aaa"))


class ConfigMaps:
    """An API server with ConfigMaps: resourceVersions count, and it can refuse or say nothing."""

    def __init__(self, *names: str) -> None:
        self.objects = {name: self.body(name, "1", {}) for name in names}
        self.refusal: RolloutsError | None = None
        self.silent = False
        self.requests = 0

    async def get(self, ref: Ref, subresource: str = "") -> Mapping[str, Any]:
        await self._answers(ref)
        return self.objects[ref.name]

    async def merge_patch(self, ref: Ref, body: Mapping[str, Any], **_: str) -> Mapping[str, Any]:
        await self._answers(ref)
        before = self.objects[ref.name]
        if body["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]:
            raise Conflict("too old")
        version = str(int(before["metadata"]["resourceVersion"]) + 1)
        self.objects[ref.name] = self.body(ref.name, version, {**before["data"], **body["data"]})
        return self.objects[ref.name]

    async def _answers(self, ref: Ref) -> None:
        self.requests += 1
        if self.silent:
            await asyncio.Event().wait()
        if self.refusal:
            raise self.refusal
        if ref.name not in self.objects:
            raise NotFound(f"{ref} not found")

    @staticmethod
    def body(name: str, version: str, data: Mapping[str, str]) -> dict[str, Any]:
        return {"metadata": {"name": name, "uid": "u", "resourceVersion": version}, "data": dict(data)}


class Clock:
    now = builders.START

    def __call__(self) -> datetime:
        return self.now


def subject(**routers: Any) -> Rollout:
    routing = TrafficRouting(plugins=routers or {"recording": {"configMap": "web"}})
    return builders.rollout(builders.routed(builders.set_weight(20), traffic_routing=routing))


def known(kube: ConfigMaps, clock: Clock | None = None) -> Routes:
    names = Names()
    return Routes(
        kube,  # type: ignore[arg-type]
        {NAME: Recording()},
        records.services(names),
        names,
        clock or Clock(),
        field_manager="tests",
    )


async def test_routes_are_unknown_until_they_are_read() -> None:
    kept = known(ConfigMaps("web"))

    (before,) = kept.seen(KEY, subject())
    news = await kept.refresh(KEY, subject())
    (after,) = kept.seen(KEY, subject())

    assert (before.read, before.available, news) == (False, True, True)
    assert after.read
    assert not await kept.refresh(KEY, subject())


async def test_what_is_set_is_known_without_reading_it_again() -> None:
    kube = ConfigMaps("web")
    kept = known(kube)
    await kept.refresh(KEY, subject())

    assert await kept.set(subject(), SetWeights(NAME, SHARES))
    (route,) = kept.seen(KEY, subject())

    assert route.shares == SHARES
    assert kube.requests == 2
    assert not await kept.set(subject(), SetWeights(NAME, SHARES))
    assert kube.requests == 2


async def test_a_change_by_somebody_else_is_read_before_anything_is_written() -> None:
    kube = ConfigMaps("web")
    kept = known(kube)
    await kept.refresh(KEY, subject())
    kube.objects["web"] = kube.body("web", "7", {})

    assert await kept.set(subject(), SetWeights(NAME, SHARES))
    (route,) = kept.seen(KEY, subject())

    assert not route.read
    assert await kept.refresh(KEY, subject())


async def test_a_router_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "SECONDS", 0.01)
    kube, clock = ConfigMaps("web"), Clock()
    kept = known(kube, clock)
    await kept.refresh(KEY, subject())
    kube.silent = True

    assert await kept.set(subject(), SetWeights(NAME, SHARES))
    (route,) = kept.seen(KEY, subject())

    assert route.read
    assert route.error == "no answer within 0.01 s"
    assert route.retry_at == clock.now + timedelta(seconds=10)
    asked = kube.requests
    assert not await kept.refresh(KEY, subject())
    assert kube.requests == asked  # it is left alone for a while

    clock.now += timedelta(seconds=10)
    kube.silent = False
    assert await kept.refresh(KEY, subject())
    (route,) = kept.seen(KEY, subject())
    assert route.error == ""


async def test_an_object_that_is_missing_is_told() -> None:
    kept = known(ConfigMaps())

    assert await kept.refresh(KEY, subject())
    (route,) = kept.seen(KEY, subject())

    assert not route.read
    assert "web" in route.error


async def test_a_lost_lease_is_no_fault_of_a_router() -> None:
    kube = ConfigMaps("web")
    kept = known(kube)
    await kept.refresh(KEY, subject())
    kube.refusal = LostLease("another replica leads")

    with pytest.raises(LostLease):
        await kept.set(subject(), SetWeights(NAME, SHARES))


async def test_a_router_that_is_broken_says_no_more_than_its_name() -> None:
    kube = ConfigMaps("web")
    kept = known(kube)
    kube.objects["web"]["data"] = {"shares": "not JSON, perhaps a password"}
    await kept.refresh(KEY, subject())

    (route,) = kept.seen(KEY, subject())

    assert route.error == "failed with JSONDecodeError"


async def test_a_router_that_there_is_not_is_not_available() -> None:
    (route,) = known(ConfigMaps()).seen(KEY, subject(other={}))

    assert not route.available
    assert not await known(ConfigMaps()).refresh(KEY, subject(other={}))


async def test_a_rollout_that_is_gone_is_forgotten() -> None:
    kept = known(ConfigMaps("web"))
    await kept.refresh(KEY, subject())

    kept.forget(KEY)

    (route,) = kept.seen(KEY, subject())
    assert not route.read
