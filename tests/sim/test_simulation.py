"""Whole lives of Rollouts under everything that can go wrong, by seed; a failure names its seed.

One seed again: `python -m tests.sim.story SEED`. More of them: `SIMULATED_SEEDS=5000 pytest tests/sim`.
"""

from __future__ import annotations

import os
import random

import pytest

from tests.sim.driver import Driver

SEEDS = int(os.environ.get("SIMULATED_SEEDS", "100"))
BATCH = 20
EVENTS = 40

batches = pytest.mark.parametrize("first", range(0, SEEDS, BATCH))


def lived(seed: int) -> Driver:
    """A Rollout in whatever state the seed leads to; safety is checked on the way."""
    driver = Driver(random.Random(seed))
    for _ in range(EVENTS):
        driver.happen()
    return driver


def seeds(first: int) -> range:
    return range(first, first + BATCH)


@batches
def test_once_the_faults_stop_it_comes_to_rest_and_writes_nothing_more(first: int) -> None:
    for seed in seeds(first):
        driver = lived(seed)
        driver.rests()
        writes = driver.cluster.writes

        driver.rests()

        assert driver.cluster.writes == writes, f"seed {seed}"


@batches
def test_a_crash_between_any_two_writes_changes_nothing_in_the_end(first: int) -> None:
    for seed in seeds(first):
        driver = lived(seed)
        actions = driver.cluster.decide().actions
        undisturbed = driver.twin()
        undisturbed.step()
        undisturbed.rests()
        for written in range(len(actions) + 1):
            crashed = driver.twin()
            crashed.step(dies_after=written)
            crashed.rests()

            assert crashed.outcome() == undisturbed.outcome(), f"seed {seed}, dead after {written} writes"


@batches
def test_an_abort_from_any_state_ends_at_stable(first: int) -> None:
    for seed in seeds(first):
        driver = lived(seed)
        driver.rests()
        if driver.can_go_back:
            driver.cluster.abort()
            driver.passes(100)

            assert driver.is_back, f"seed {seed}: {driver.cluster.sizes()}"


@batches
def test_a_good_version_gets_through_from_any_state(first: int) -> None:
    for seed in seeds(first):
        driver = lived(seed)
        driver.prevails()

        assert driver.cluster.status.stable_rs == f"hash-{driver.cluster.version}", f"seed {seed}"


@batches
def test_an_update_that_is_left_alone_ends_or_waits_for_a_person(first: int) -> None:
    """No pod of a bad version, however often it starts, keeps an update going for ever."""
    for seed in seeds(first):
        driver = lived(seed)
        driver.crash_loops(rounds=30)

        assert driver.is_over_or_waits, f"seed {seed}: {driver.cluster.status}"
