"""Evidence that a canary does worse, gathered look by look, in a form that may be looked at at any time. Pure.

Decided here: how much evidence a look adds, and the always-valid p-value that follows. Not decided here: what
is harmful enough, and the words (`compare`). Called by `compare` once per measurement.

Each look brings the events (errors) and the trials (requests, or pod seconds) of both sides since the look
before. Given that m events happened among both sides, and that both are alike, the canary's share of them is
hypergeometric, or binomial for rates, with p = its share of the trials. For an odds ratio t,

    E(t) = t**o / (1 - p + t*p)**m            o: the canary's events

has expectation at most 1: exactly 1 in the binomial case, less in the hypergeometric one, since sampling without
replacement is dominated by sampling with it (Hoeffding 1963, theorem 4). It is the conditional e-variable for
two streams of Turner, Ly and Grünwald, "Generic E-variables for exact sequential k-sample tests that allow for
optional stopping" (2024). The product over looks is a supermartingale whatever the base rate and the traffic
split were at each look, so a change that hits both sides alike, or a weight that rises, is no evidence.

t is unknown, and so is the look at which the trouble began. Both are mixed over: the mixture of likelihood
ratios is Robbins' and Johari et al.'s (mSPRT, "Always Valid Inference", 2022), the mixture over starting
looks with weights 1/(j(j+1)) is the e-process of Shin, Ramdas and Rinaldo, "E-detectors" (2023). By Ville's
inequality the chance that the mixture ever reaches 1/alpha is at most alpha: no correction for looks is needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

_INCREASES = (1.05, 1.15, 1.35, 1.75, 2.5, 4.0, 7.0, 14.0, 35.0, 100.0)
_DECREASES = tuple(1 / ratio for ratio in _INCREASES)
_FORGETTING = 0.8  # weight of the looks before in the estimate of the effect: about five looks count
_NEVER = -math.inf


class Direction(StrEnum):
    """Which difference of the canary is harmful."""

    INCREASE = "Increase"
    DECREASE = "Decrease"
    EITHER = "Either"


@dataclass(frozen=True, slots=True)
class Counts:
    """Events among trials: errors among requests, or errors in seconds of service."""

    events: float = 0.0
    trials: float = 0.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What all looks so far amount to. `weights` are logarithms, one for each odds ratio of the mixture."""

    direction: Direction = Direction.INCREASE
    looks: int = 0
    canary: Counts = Counts()
    control: Counts = Counts()
    weights: tuple[float, ...] = ()
    best: float = 0.0
    recent_canary: float = 0.0
    recent_control: float = 0.0
    recent_trials: float = 0.0

    @property
    def p_value(self) -> float:
        """The always-valid p-value: the chance, if both sides are alike, of ever seeing this much."""
        return min(1.0, math.exp(-self.best))

    @property
    def difference(self) -> float:
        """Canary's ratio minus control's over the last looks (Mantel and Haenszel 1959, by look)."""
        if not self.recent_trials:
            return 0.0
        return (self.recent_canary - self.recent_control) / self.recent_trials

    @property
    def ratio(self) -> float:
        """Canary's ratio by control's over the last looks; infinite where control had no event."""
        if self.recent_control:
            return self.recent_canary / self.recent_control
        return math.inf if self.recent_canary else 1.0


def ratios(direction: Direction) -> Sequence[float]:
    """The odds ratios that are mixed over."""
    match direction:
        case Direction.INCREASE:
            return _INCREASES
        case Direction.DECREASE:
            return _DECREASES
        case Direction.EITHER:
            return _INCREASES + _DECREASES


def look(before: Evidence, canary: Counts, control: Counts) -> Evidence:
    """The evidence with the events and trials that both sides had *since* the last look."""
    number = before.looks + 1
    weights = _weights(before, canary, control, number)
    mixture = [weight - math.log(len(weights)) for weight in weights]
    unstarted = -math.log(number + 1)  # what is left of 1/(1*2) + 1/(2*3) + ... after this look
    return Evidence(
        direction=before.direction,
        looks=number,
        canary=_sum(before.canary, canary),
        control=_sum(before.control, control),
        weights=weights,
        best=max(before.best, _log_sum([*mixture, unstarted])),
        **_effect(before, canary, control),
    )


def _weights(before: Evidence, canary: Counts, control: Counts, number: int) -> tuple[float, ...]:
    known = before.weights or (_NEVER,) * len(ratios(before.direction))
    starting = -math.log(number * (number + 1))
    gains = _gains(ratios(before.direction), canary, control)
    return tuple(gain + _log_sum((weight, starting)) for gain, weight in zip(gains, known, strict=True))


def _gains(thetas: Sequence[float], canary: Counts, control: Counts) -> list[float]:
    """log E(t) of one look; nothing where one side had no trials, as then nothing is compared."""
    if canary.trials <= 0 or control.trials <= 0:
        return [0.0] * len(thetas)
    share = canary.trials / (canary.trials + control.trials)
    events = canary.events + control.events
    return [canary.events * math.log(theta) - events * math.log1p(share * (theta - 1)) for theta in thetas]


def _effect(before: Evidence, canary: Counts, control: Counts) -> dict[str, float]:
    both = canary.trials + control.trials
    counted = both and canary.trials > 0 and control.trials > 0
    kept = _FORGETTING if counted else 1.0
    return {
        "recent_canary": kept * before.recent_canary
        + (canary.events * control.trials / both if counted else 0),
        "recent_control": kept * before.recent_control
        + (control.events * canary.trials / both if counted else 0),
        "recent_trials": kept * before.recent_trials
        + (canary.trials * control.trials / both if counted else 0),
    }


def _sum(a: Counts, b: Counts) -> Counts:
    return Counts(a.events + b.events, a.trials + b.trials)


def _log_sum(logs: Sequence[float]) -> float:
    most = max(logs)
    return most if most == _NEVER else most + math.log(sum(math.exp(one - most) for one in logs))
