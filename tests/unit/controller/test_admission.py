"""Slots for updates: never more than the limit, first come first served, and nobody waits for ever."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rollouts.api.meta import Names
from rollouts.api.parse import dump
from rollouts.api.rollout import Rollout
from rollouts.api.rollout_status import Phase, RolloutStatus
from rollouts.controller import records
from rollouts.controller.admission import Admissions
from rollouts.controller.cache import Key
from rollouts.controller.records import KnownRollout
from rollouts.delivery import queueing
from tests.builders import START, canary, pause, rollout, set_weight
from tests.fakes import FakeCluster

NAMES = Names()
WAITS = RolloutStatus(phase=Phase.PROGRESSING, stable_rs="a", current_pod_hash="b", queued_at=START)
GOES_ON = RolloutStatus(phase=Phase.PROGRESSING, stable_rs="a", current_pod_hash="b")
DONE = RolloutStatus(phase=Phase.HEALTHY, stable_rs="b", current_pod_hash="b")


class Controllers:
    """A store of Rollouts and what admits their updates; `restart` forgets all but the store."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bodies: dict[str, dict[str, Any]] = {}
        self.version = 0
        self.rung: list[str] = []
        self.restart()

    def restart(self) -> None:
        self.store = records.rollouts(NAMES, "")
        self.admissions = Admissions(self.limit, NAMES, lambda key: self.rung.append(key.name))
        self.store.listen(self.admissions.changed)
        for body in self.bodies.values():
            self.store.put(body)

    def put(self, name: str, status: RolloutStatus, annotations: Mapping[str, str] | None = None) -> None:
        self.version += 1
        subject: Rollout = rollout(canary(set_weight(50), pause(10)), name=name)
        metadata = {
            "name": name,
            "namespace": "shop",
            "uid": f"uid-{name}",
            "resourceVersion": str(self.version),
            "generation": 1,
            "annotations": dict(annotations or {}),
        }
        self.bodies[name] = {"metadata": metadata, "spec": dump(subject.spec), "status": dump(status)}
        self.store.put(self.bodies[name])

    def admits(self, name: str) -> bool:
        record = self.store.get(Key("shop", name))
        assert record is not None
        assert isinstance(record.value, KnownRollout)
        return self.admissions.admits(record.value, record.key)


def test_without_a_limit_everybody_goes_on() -> None:
    them = Controllers(0)
    them.put("a", GOES_ON)
    them.put("b", DONE)

    assert them.admits("b")


def test_the_first_in_line_goes_on_when_there_is_a_slot() -> None:
    them = Controllers(1)
    them.put("a", GOES_ON)
    them.put("late", WAITS_LATER)
    them.put("early", WAITS)
    assert not them.admits("early")

    them.put("a", DONE)

    assert them.rung == ["early"]
    assert them.admits("early")
    assert not them.admits("late")


WAITS_LATER = RolloutStatus(
    phase=Phase.PROGRESSING, stable_rs="a", current_pod_hash="b", queued_at=START + timedelta(seconds=5)
)


def test_a_higher_priority_goes_first() -> None:
    them = Controllers(1)
    them.put("early", WAITS)
    them.put("late", WAITS_LATER, {NAMES.update_priority_annotation: "5"})

    assert them.admits("late")
    assert not them.admits("early")


def test_who_comes_new_goes_behind_those_who_wait() -> None:
    them = Controllers(1)
    them.put("waits", WAITS)
    them.put("new", DONE)

    assert not them.admits("new")


def test_a_slot_that_is_given_is_taken_before_it_is_written() -> None:
    them = Controllers(1)
    them.put("a", DONE)
    them.put("b", DONE)

    assert them.admits("a")
    them.admissions.decided(Key("shop", "a"), GOES_ON)
    assert not them.admits("b")

    them.admits("a")  # it was not written after all, and is decided anew
    assert them.admits("b")


def test_who_is_gone_holds_no_slot() -> None:
    them = Controllers(1)
    them.put("a", DONE)
    them.put("b", DONE)
    them.admissions.decided(Key("shop", "a"), GOES_ON)

    them.admissions.forget(Key("shop", "a"))

    assert them.admits("b")


def step(them: Controllers, cluster: FakeCluster) -> None:
    """One decision of one Rollout, as the reconciler makes it, and its write."""
    name = cluster.rollout.metadata.name
    if name not in them.bodies:
        them.put(name, cluster.status)
    cluster.admitted = them.admits(name)
    decided = cluster.decide()
    them.admissions.decided(Key("shop", name), decided.status)
    cluster.apply(decided)
    them.put(name, cluster.status)


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 3))
def test_never_more_than_the_limit_and_all_get_through(rng: random.Random, limit: int) -> None:
    them = Controllers(limit)
    clusters = [FakeCluster(rollout(canary(set_weight(50), pause(10)), name=n)) for n in "abcde"]
    for cluster in clusters:
        cluster.run()
        them.put(cluster.rollout.metadata.name, cluster.status)
    for _ in range(rng.randrange(60)):
        cluster = rng.choice(clusters)
        match rng.randrange(8):
            case 0:
                cluster.deploy(f"v{rng.randrange(2, 6)}")
            case 1:
                them.restart()
            case 2:
                cluster.now += timedelta(seconds=10)
            case 3:
                cluster.replica_set_controller()
                cluster.make_ready()
            case _:
                step(them, cluster)
        assert sum(queueing.is_going_on(each.status) for each in clusters) <= limit

    for _ in range(120):
        if all(cluster.status.phase is Phase.HEALTHY for cluster in clusters):
            break
        for cluster in clusters:
            cluster.now += timedelta(seconds=10)
            cluster.replica_set_controller()
            cluster.make_ready()
            step(them, cluster)
    assert {cluster.status.phase for cluster in clusters} == {Phase.HEALTHY}
