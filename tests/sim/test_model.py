"""Random stories with a controller that sees the past: safety at every write, rest once the faults stop.

A batch says its seed; `MODEL_TRANSITIONS=1000000 pytest tests/sim/test_model.py` looks further.
"""

from __future__ import annotations

import os
import random

import pytest

from tests.sim.lagging import LaggingDriver

TRANSITIONS = int(os.environ.get("MODEL_TRANSITIONS", "100000"))
BATCHES = 5
LIFE = 250


@pytest.mark.parametrize("batch", range(BATCHES))
def test_a_controller_that_sees_the_past_stays_within_the_bounds_and_comes_to_rest(batch: int) -> None:
    transitions = conflicts = stale = plans = 0
    seed = batch * 1_000_000
    while transitions < TRANSITIONS / BATCHES:
        driver = LaggingDriver(random.Random(seed))
        try:
            _live(driver)
        except AssertionError as e:
            raise AssertionError(f"seed {seed}: {e}") from e
        transitions += driver.transitions
        conflicts += driver.conflicts
        stale += driver.stale
        plans += driver.plans
        seed += 1

    # The faults are there.
    assert transitions >= TRANSITIONS / BATCHES
    assert stale > plans / 10
    assert conflicts > plans / 100


def _live(driver: LaggingDriver) -> None:
    for _ in range(LIFE):
        driver.happen()
    driver.rests()
    writes = driver.cluster.writes
    driver.rests()
    assert driver.cluster.writes == writes, "it goes on writing"
