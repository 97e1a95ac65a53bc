"""Canary beside control: p-values against scipy and published examples, verdicts, scores and words."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from analysis import compare, sequential
from analysis.compare import Bounds, Test
from analysis.sequential import Counts, Direction, Evidence

INCREASE, DECREASE, EITHER = Direction.INCREASE, Direction.DECREASE, Direction.EITHER


def looked(*looks: tuple[Counts, Counts], direction: Direction = INCREASE) -> Evidence:
    evidence = Evidence(direction=direction)
    for canary, control in looks:
        evidence = sequential.look(evidence, canary, control)
    return evidence


def test_the_two_proportion_test_is_pearsons_chi_square() -> None:
    canary, control = Counts(30, 400), Counts(40, 1000)
    table = [[30, 370], [40, 960]]
    expected = stats.chi2_contingency(table, correction=False).pvalue
    assert compare.two_proportions(canary, control, EITHER) == pytest.approx(expected)
    assert compare.two_proportions(canary, control, INCREASE) == pytest.approx(expected / 2)
    assert compare.two_proportions(canary, control, DECREASE) == pytest.approx(1 - expected / 2)


def test_few_events_are_counted_exactly() -> None:
    """Fisher's tea: three of four cups right by chance has probability 17/70."""
    assert compare.two_proportions(Counts(3, 4), Counts(1, 4), INCREASE) == pytest.approx(17 / 70)


@pytest.mark.parametrize(("direction", "expected"), [(INCREASE, 0.5**5), (DECREASE, 1.0), (EITHER, 0.5**4)])
def test_rates_are_compared_given_the_events_of_both_sides(direction: Direction, expected: float) -> None:
    assert compare.two_rates(Counts(5, 60), Counts(0, 60), direction) == pytest.approx(expected)


def test_no_event_at_all_is_no_difference() -> None:
    assert compare.two_rates(Counts(0, 60), Counts(0, 60), INCREASE) == 1
    assert compare.of_counts(Bounds(), Counts(0, 60), Counts(0, 60)).score == 100


@pytest.mark.parametrize(
    ("bounds", "canary", "control", "harmful", "reason"),
    [
        (
            Bounds(),
            Counts(50, 1000),
            Counts(40, 4000),
            True,
            (
                "canary is worse by +4 points, 95 % sure (p 8.7e-18): "
                "canary 50 of 1000 (5 %), control 40 of 4000 (1 %)"
            ),
        ),
        (
            Bounds(minimum_effect=0.05),
            Counts(50, 1000),
            Counts(40, 4000),
            False,
            (
                "canary differs by +4 points, less than the minimum of 5 points (p 8.7e-18): "
                "canary 50 of 1000 (5 %), control 40 of 4000 (1 %)"
            ),
        ),
        (
            Bounds(),
            Counts(11, 1000),
            Counts(40, 4000),
            False,
            (
                "canary differs by +0.1 points, not 95 % sure (p 0.39): "
                "canary 11 of 1000 (1.1 %), control 40 of 4000 (1 %)"
            ),
        ),
        (
            Bounds(test=Test.RATE, confidence=0.99),
            Counts(30, 600),
            Counts(10, 600),
            True,
            (
                "canary is worse by +200 %, 99 % sure (p 0.0011): "
                "canary 30 in 600 (0.05 each), control 10 in 600 (0.0167 each)"
            ),
        ),
    ],
)
def test_one_look_at_counts(
    bounds: Bounds, canary: Counts, control: Counts, harmful: bool, reason: str
) -> None:
    found = compare.of_counts(bounds, canary, control)
    assert (found.harmful, found.reason) == (harmful, reason)
    assert (found.score == 0) == harmful


def test_a_change_in_the_harmless_direction_is_never_harmful() -> None:
    canary, control = Counts(50, 1000), Counts(40, 4000)
    assert not compare.of_counts(Bounds(direction=DECREASE), canary, control).harmful
    assert compare.of_counts(Bounds(direction=DECREASE), control, canary).harmful
    assert compare.of_counts(Bounds(direction=EITHER), control, canary).harmful


def test_mann_whitney_agrees_with_counting_the_pairs() -> None:
    rng = np.random.default_rng(3)
    canary, control = rng.normal(1.1, 0.2, 25).round(2), rng.normal(1, 0.2, 40).round(2)
    more = sum(a > b for a, b in itertools.product(canary, control))
    less = sum(a < b for a, b in itertools.product(canary, control))
    found = compare.of_samples(Bounds(test=Test.DISTRIBUTION), canary.tolist(), control.tolist())
    assert found.size == pytest.approx((more - less) / (25 * 40))
    assert found.p_value == pytest.approx(stats.mannwhitneyu(canary, control, alternative="greater").pvalue)


def test_repeated_looks_at_samples_cost_confidence() -> None:
    canary, control = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5], [0.5, 0.9, 1.0, 1.05, 1.1, 1.2]
    bounds = Bounds(test=Test.DISTRIBUTION)
    once = compare.of_samples(bounds, canary, control)
    often = compare.of_samples(bounds, canary, control, looks=10)
    assert once.harmful
    assert not often.harmful
    assert often.p_value == pytest.approx(10 * once.p_value)


def test_the_shift_of_samples_is_relative_to_the_control() -> None:
    control = [float(n) for n in range(90, 111)]
    found = compare.of_samples(
        Bounds(test=Test.DISTRIBUTION, minimum_effect=0.3), [v + 20 for v in control], control
    )
    assert found.effect == pytest.approx(0.2)
    assert not found.harmful
    assert "canary median 120 of 21 values, control median 100 of 21, Cliff's delta +1.00" in found.reason


@pytest.mark.parametrize("values", [[0.0] * 8, [7.0] * 8])
def test_equal_samples_are_no_difference(values: list[float]) -> None:
    found = compare.of_samples(Bounds(test=Test.DISTRIBUTION), values, values)
    assert (found.harmful, found.p_value, found.effect, found.score) == (False, 1, 0, 100)


def test_a_control_of_zero_has_no_relative_size() -> None:
    found = compare.of_samples(Bounds(test=Test.DISTRIBUTION), [1.0] * 9, [0.0] * 9)
    assert found.effect == math.inf
    assert found.harmful


def test_evidence_is_the_mixture_of_likelihood_ratios() -> None:
    """One look by hand: half of the weight starts now, a tenth of it on each odds ratio."""
    share, events = 0.25, 3
    ratios = sequential.ratios(INCREASE)
    by_hand = 0.5 + 0.5 * sum(r**events / (1 - share + share * r) ** (events + 1) for r in ratios) / 10
    assert looked((Counts(3, 100), Counts(1, 300))).best == pytest.approx(math.log(by_hand))


def test_a_bad_canary_is_found_and_a_good_one_is_not() -> None:
    bad = [(Counts(10, 200), Counts(8, 800))] * 3
    good = [(Counts(2, 200), Counts(8, 800))] * 100
    assert compare.of_evidence(Bounds(), looked(*bad)).harmful
    found = compare.of_evidence(Bounds(), looked(*good))
    assert (found.harmful, found.effect) == (False, 0)


def test_trouble_that_begins_late_is_found_although_the_total_looks_well() -> None:
    good = [(Counts(2, 200), Counts(8, 800))] * 100
    bad = [(Counts(10, 200), Counts(8, 800))] * 5
    found = compare.of_evidence(Bounds(minimum_effect=0.02), looked(*good, *bad))
    assert found.harmful
    assert found.effect == pytest.approx(0.04 * (1 - 0.8**5), rel=0.01)


def test_a_change_on_both_sides_is_no_evidence_whatever_the_weight() -> None:
    """Over the whole run the canary has 1.82 % errors and the control 0.36 %; look by look they are alike."""
    before, after = (Counts(1, 500), Counts(20, 10_000)), (Counts(200, 10_000), Counts(10, 500))
    evidence = looked(*[before] * 5, *[after] * 5)
    assert compare.of_counts(Bounds(), evidence.canary, evidence.control).harmful
    assert not compare.of_evidence(Bounds(), evidence).harmful
    assert evidence.p_value > 0.5


def test_the_p_value_never_rises_again() -> None:
    bad, good = (Counts(10, 200), Counts(8, 800)), (Counts(0, 200), Counts(20, 800))
    values = [looked(*[bad] * 3, *[good] * n).p_value for n in range(5)]
    assert len(set(values)) == 1


def test_a_look_without_traffic_on_one_side_adds_nothing() -> None:
    before = looked((Counts(10, 200), Counts(8, 800)))
    after = sequential.look(before, Counts(5, 50), Counts())
    assert (after.best, after.difference) == (before.best, before.difference)


def test_fewer_events_are_evidence_when_that_is_the_harm() -> None:
    fewer = [(Counts(2, 200), Counts(80, 800))] * 4
    assert compare.of_evidence(Bounds(direction=DECREASE), looked(*fewer, direction=DECREASE)).harmful
    assert compare.of_evidence(Bounds(direction=EITHER), looked(*fewer, direction=EITHER)).harmful
    assert not compare.of_evidence(Bounds(), looked(*fewer)).harmful


def test_the_score_falls_with_the_evidence() -> None:
    scores = [
        compare.of_evidence(Bounds(), looked(*[(Counts(4, 200), Counts(8, 800))] * n)).score
        for n in range(1, 12)
    ]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 90
    assert scores[-1] == 0


def test_the_sequential_test_loads_neither_numpy_nor_scipy() -> None:
    """An idle controller must not pay for tests that nobody asked for."""
    code = (
        "import sys; from analysis import compare, sequential as s;"
        "e = s.look(s.Evidence(), s.Counts(1, 10), s.Counts(1, 10));"
        "compare.of_evidence(compare.Bounds(), e);"
        "sys.exit('scipy' in sys.modules or 'numpy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
