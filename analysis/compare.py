"""A canary beside a control: is it worse, by how much, and how sure is that? Pure.

Decided here: which test answers for which kind of numbers, when a difference is harmful, the score, and the
sentence that says why. Not decided here: where the numbers come from (`comparison`), what a harmful finding
does to a run (`judge`). scipy is imported when a test first needs it: a controller that compares no samples and
uses the sequential test for counts never loads it.

A difference is harmful when it is significant (p <= 1 - confidence), in the harmful direction, and at least as
large as the minimum effect. The score says how far it is from that: 100 no sign, 0 harmful.

Tests:
- Proportion, Rate, sequential: `analysis.sequential`, valid however often one looks.
- Proportion, one look: two-proportion score test (Pearson 1900, pooled variance), Fisher's exact test where fewer
  than five events are expected on one side.
- Rate, one look: conditional exact binomial test of two Poisson rates (Przyborowski and Wilenski 1940).
- Distribution: Mann-Whitney U (Mann and Whitney 1947; tie and continuity corrected), as Kayenta and PipeCD use;
  effect size is Cliff's delta (Cliff 1993), the shift is that of Hodges and Lehmann (1963). When it is looked at
  repeatedly, p is multiplied by the number of looks (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from analysis.sequential import Counts, Direction, Evidence

_EXPECTED_EVENTS = 5
_ALTERNATIVE: dict[Direction, Literal["greater", "less", "two-sided"]] = {
    Direction.INCREASE: "greater",
    Direction.DECREASE: "less",
    Direction.EITHER: "two-sided",
}


class Test(StrEnum):
    """What kind of numbers are compared."""

    __test__ = False  # not a test case, whatever pytest thinks of the name

    PROPORTION = "Proportion"
    RATE = "Rate"
    DISTRIBUTION = "Distribution"


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a difference is harmful. `minimum_effect`: a difference of proportions, else a relative change."""

    test: Test = Test.PROPORTION
    direction: Direction = Direction.INCREASE
    confidence: float = 0.95
    minimum_effect: float = 0.0

    @property
    def alpha(self) -> float:
        """The chance of a false alarm that is accepted."""
        return 1 - self.confidence


@dataclass(frozen=True, slots=True)
class Finding:
    """What a comparison says. `effect` is in the unit of the minimum effect, `size` is Cliff's delta."""

    harmful: bool
    p_value: float
    effect: float
    score: int
    reason: str
    size: float | None = None


def of_evidence(bounds: Bounds, evidence: Evidence) -> Finding:
    """The finding on counts that are looked at repeatedly."""
    effect = evidence.difference if bounds.test is Test.PROPORTION else evidence.ratio - 1
    described = _counts_in_words(bounds.test, evidence.canary, evidence.control)
    return _finding(bounds, evidence.p_value, effect, described)


def of_counts(bounds: Bounds, canary: Counts, control: Counts) -> Finding:
    """The finding on counts that are looked at once."""
    described = _counts_in_words(bounds.test, canary, control)
    if bounds.test is Test.PROPORTION:
        effect = _ratio(canary) - _ratio(control)
        return _finding(bounds, two_proportions(canary, control, bounds.direction), effect, described)
    base = _ratio(control)
    effect = _ratio(canary) / base - 1 if base else (math.inf if canary.events else 0.0)
    return _finding(bounds, two_rates(canary, control, bounds.direction), effect, described)


def of_samples(
    bounds: Bounds, canary: Sequence[float], control: Sequence[float], *, looks: int = 1
) -> Finding:
    """The finding on two lists of values; `looks` is how often they are looked at in all."""
    import numpy as np  # noqa: PLC0415 - see the module docstring
    from scipy import stats  # noqa: PLC0415

    canary_median, control_median = float(np.median(canary)), float(np.median(control))
    if len({*canary, *control}) == 1:
        p_value, size = 1.0, 0.0
    else:
        u, p = stats.mannwhitneyu(canary, control, alternative=_ALTERNATIVE[bounds.direction])
        p_value, size = float(p), 2 * float(u) / (len(canary) * len(control)) - 1
    shift = float(np.median(np.subtract.outer(np.asarray(canary), np.asarray(control))))
    effect = (
        shift / abs(control_median) if control_median else math.copysign(math.inf, shift) if shift else 0.0
    )
    described = (
        f"canary median {_number(canary_median)} of {len(canary)} values, "
        f"control median {_number(control_median)} of {len(control)}, Cliff's delta {size:+.2f}"
    )
    return _finding(bounds, min(1.0, p_value * looks), effect, described, size)


def two_proportions(canary: Counts, control: Counts, direction: Direction) -> float:
    """p-value of alike proportions, looked at once."""
    from scipy import stats  # noqa: PLC0415

    both = Counts(canary.events + control.events, canary.trials + control.trials)
    pooled = _ratio(both)
    if min(canary.trials, control.trials) * min(pooled, 1 - pooled) < _EXPECTED_EVENTS:
        table = [[round(c.events), max(0, round(c.trials - c.events))] for c in (canary, control)]
        return float(stats.fisher_exact(table, alternative=_ALTERNATIVE[direction]).pvalue)
    error = math.sqrt(pooled * (1 - pooled) * (1 / canary.trials + 1 / control.trials))
    return _tail((_ratio(canary) - _ratio(control)) / error, direction)


def two_rates(canary: Counts, control: Counts, direction: Direction) -> float:
    """p-value of alike rates of events, looked at once."""
    from scipy import stats  # noqa: PLC0415

    share = canary.trials / (canary.trials + control.trials)
    events = round(canary.events), round(canary.events + control.events)
    if events[1] == 0:
        return 1.0
    return float(stats.binomtest(*events, p=share, alternative=_ALTERNATIVE[direction]).pvalue)


def _tail(z: float, direction: Direction) -> float:
    match direction:
        case Direction.INCREASE:
            return math.erfc(z / math.sqrt(2)) / 2
        case Direction.DECREASE:
            return math.erfc(-z / math.sqrt(2)) / 2
        case Direction.EITHER:
            return math.erfc(abs(z) / math.sqrt(2))


def _finding(
    bounds: Bounds, p_value: float, effect: float, described: str, size: float | None = None
) -> Finding:
    harm = _harm(bounds.direction, effect)
    surely = p_value <= bounds.alpha
    largely = harm >= bounds.minimum_effect if bounds.minimum_effect else harm > 0
    harmful = surely and largely
    change = f"{effect * 100:+.3g} " + ("points" if bounds.test is Test.PROPORTION else "%")
    verdict = _verdict(bounds, change, surely=surely, largely=largely)
    score = 0 if harmful else max(1, round(100 * (1 - _progress(bounds, p_value, harm))))
    return Finding(harmful, p_value, effect, score, f"{verdict} (p {p_value:.2g}): {described}", size)


def _harm(direction: Direction, effect: float) -> float:
    match direction:
        case Direction.INCREASE:
            return effect
        case Direction.DECREASE:
            return -effect
        case Direction.EITHER:
            return abs(effect)


def _progress(bounds: Bounds, p_value: float, harm: float) -> float:
    """How much of what it takes is there: the lesser of evidence and effect, from 0 to 1."""
    evidence = math.log(max(p_value, 1e-300)) / math.log(bounds.alpha)
    effect = harm / bounds.minimum_effect if bounds.minimum_effect else float(harm > 0)
    return max(0.0, min(1.0, evidence, effect))


def _verdict(bounds: Bounds, change: str, *, surely: bool, largely: bool) -> str:
    sure = f"{bounds.confidence * 100:g} % sure"
    if surely and largely:
        return f"canary is worse by {change}, {sure}"
    if surely:
        unit = "points" if bounds.test is Test.PROPORTION else "%"
        return f"canary differs by {change}, less than the minimum of {bounds.minimum_effect * 100:g} {unit}"
    return f"canary differs by {change}, not {sure}"


def _counts_in_words(test: Test, canary: Counts, control: Counts) -> str:
    return f"canary {_count_in_words(test, canary)}, control {_count_in_words(test, control)}"


def _count_in_words(test: Test, counts: Counts) -> str:
    shown = f"{_number(counts.events)} of {_number(counts.trials)}"
    if not counts.trials:
        return shown
    if test is Test.PROPORTION:
        return f"{shown} ({_number(100 * _ratio(counts))} %)"
    return f"{_number(counts.events)} in {_number(counts.trials)} ({_number(_ratio(counts))} each)"


def _ratio(counts: Counts) -> float:
    return counts.events / counts.trials if counts.trials else 0.0


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
