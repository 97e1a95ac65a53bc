"""The promise of the sequential test: few false alarms, however often, long and unevenly one looks."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import sequential
from analysis.sequential import Counts, Direction, Evidence

TRIALS = st.integers(1, 10_000)


def binomial(events: int, chance: float) -> list[float]:
    return [math.comb(events, k) * chance**k * (1 - chance) ** (events - k) for k in range(events + 1)]


@given(direction=st.sampled_from(Direction), canary=TRIALS, control=TRIALS, events=st.integers(0, 30))
def test_a_look_at_alike_rates_multiplies_the_evidence_by_one_on_average(
    direction: Direction, canary: int, control: int, events: int
) -> None:
    """Exact, by enumeration: the e-variable has expectation 1 given the events of both sides."""
    chances = binomial(events, canary / (canary + control))
    before = sequential.look(Evidence(direction=direction), Counts(3, 100), Counts(2, 100))
    mean = 0.0
    for mine, chance in enumerate(chances):
        looked = sequential.look(before, Counts(mine, canary), Counts(events - mine, control))
        mean += chance * _value(looked)
    assert mean == pytest.approx(_value(before), rel=1e-6)


@settings(max_examples=60)
@given(canary=st.integers(1, 40), control=st.integers(1, 40), data=st.data())
def test_for_proportions_it_is_at_most_one(canary: int, control: int, data: st.DataObject) -> None:
    """Hypergeometric: given the margins, as with two alike proportions, however high they are."""
    events = data.draw(st.integers(0, canary + control))
    ways = math.comb(canary + control, events)
    mean = sum(
        math.comb(canary, mine)
        * math.comb(control, events - mine)
        / ways
        * _value(sequential.look(Evidence(), Counts(mine, canary), Counts(events - mine, control)))
        for mine in range(max(0, events - control), min(canary, events) + 1)
    )
    assert mean <= 1 + 1e-9


def _value(evidence: Evidence) -> float:
    started = sum(math.exp(weight) for weight in evidence.weights) / len(evidence.weights)
    return started + 1 / (evidence.looks + 1)


@pytest.mark.parametrize(("ratio", "requests"), list(itertools.product([0.002, 0.05, 0.5], [5, 60, 3000])))
def test_few_false_alarms_in_a_hundred_looks(ratio: float, requests: int) -> None:
    """300 runs at 95 % confidence: more than 27 alarms would happen less than once in 1000 times."""
    rng = np.random.default_rng([requests, int(ratio * 1000)])
    alarms = 0
    for _ in range(300):
        evidence = Evidence()
        for share in np.linspace(0.05, 0.5, 100):
            canary, control = (round(requests * part) for part in (share, 1 - share))
            evidence = sequential.look(
                evidence,
                Counts(float(rng.binomial(canary, ratio)), canary),
                Counts(float(rng.binomial(control, ratio)), control),
            )
        alarms += evidence.p_value <= 0.05
    assert alarms <= 27
