"""Properties of decisions over random specs, events, failures and interleavings; hypothesis shrinks a failure.

Safety (surge, availability, no step skipped, no run twice, a status without contradictions) is checked by
the driver at every single write.
"""

from __future__ import annotations

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sim.driver import Driver

SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
chances = st.randoms(use_true_random=False)
lengths = st.integers(0, 25)


def lived(rng: random.Random, events: int) -> Driver:
    driver = Driver(rng)
    for _ in range(events):
        driver.happen()
    return driver


@SETTINGS
@given(chances, lengths)
def test_a_plan_applied_to_its_own_result_is_empty(rng: random.Random, events: int) -> None:
    driver = lived(rng, events)

    for _ in range(10):
        if not driver.step():
            break

    decided = driver.cluster.decide()
    assert decided.actions == ()
    assert decided.events == ()
    assert decided.status == driver.cluster.status


@SETTINGS
@given(chances, lengths, st.integers(0, 6))
def test_a_crash_after_any_write_ends_in_the_same_place(rng: random.Random, events: int, writes: int) -> None:
    undisturbed = lived(rng, events)
    given_up = undisturbed.cluster.decide().status.abort_reason
    if given_up and given_up.reason == "ProgressDeadlineExceeded":
        return  # pods that come up while nobody decides are progress: the next start rightly goes on
    crashed = undisturbed.twin()

    crashed.step(dies_after=writes)
    crashed.rests()
    undisturbed.step()
    undisturbed.rests()

    assert crashed.outcome() == undisturbed.outcome()


@SETTINGS
@given(chances, lengths)
def test_an_abort_converges_to_stable_from_any_state(rng: random.Random, events: int) -> None:
    driver = lived(rng, events)
    driver.rests()
    if not driver.can_go_back:
        return

    driver.cluster.abort()
    driver.passes(100)

    assert driver.is_back


@SETTINGS
@given(chances, lengths)
def test_a_good_version_gets_through_from_any_state(rng: random.Random, events: int) -> None:
    driver = lived(rng, events)

    driver.prevails()

    assert driver.cluster.status.stable_rs == f"hash-{driver.cluster.version}"
