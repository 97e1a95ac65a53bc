"""How often an analysis raises a false alarm, and how fast it finds a bad canary: simulated, printed as JSON.

    python benchmarks/operating_characteristic.py [--runs 2000] [--seed 7]

The canary gets 20 % of the requests, one in a hundred of which fails, and the analysis looks every 10 seconds.
Beside `analysis.sequential`, at 95 % confidence, stand the two methods that are in use elsewhere:

- threshold: the canary's errors since the last look must not exceed 2 % (twice what is usual);
- repeated: a two-proportion test at the same confidence on everything so far, repeated at each look.

The scenario "alike, both drift" has both sides' error ratio rise from 0.2 to 2 % while the canary's weight rises
from 5 to 50 %: the versions do not differ, but totals over the whole run do.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from analysis import sequential
from analysis.sequential import Counts, Evidence

ALPHA = 0.05
BASE = 0.01
WEIGHT = 0.2
INTERVAL = 10
THRESHOLD = 0.02
LOOKS = (1, 10, 100)
EXTRA = (0.005, 0.01, 0.05, 0.2)
RATES = (10, 100, 1000)
POWER_LOOKS = 180  # half an hour

Look = tuple[Counts, Counts]


class Scenario(NamedTuple):
    """Error ratios of both sides and the canary's weight, by look (0 to 1 through the run)."""

    canary: Callable[[float], float]
    control: Callable[[float], float]
    weight: Callable[[float], float]


ALIKE = Scenario(lambda _: BASE, lambda _: BASE, lambda _: WEIGHT)
DRIFT = Scenario(lambda t: 0.002 + 0.018 * t, lambda t: 0.002 + 0.018 * t, lambda t: 0.05 + 0.45 * t)


def looks(rng: np.random.Generator, scenario: Scenario, rate: int, number: int) -> Iterator[Look]:
    """What each look sees: errors and requests of both sides since the one before."""
    for index in range(number):
        at = index / max(1, number - 1)
        share = scenario.weight(at)
        requests = rng.poisson(rate * INTERVAL * share), rng.poisson(rate * INTERVAL * (1 - share))
        ratios = scenario.canary(at), scenario.control(at)
        canary, control = (
            Counts(float(rng.binomial(n, ratio)), float(n)) for n, ratio in zip(requests, ratios, strict=True)
        )
        yield canary, control


def by_sequential(seen: Sequence[Look]) -> int | None:
    evidence = Evidence()
    for number, (canary, control) in enumerate(seen, 1):
        evidence = sequential.look(evidence, canary, control)
        if evidence.p_value <= ALPHA:
            return number
    return None


def by_threshold(seen: Sequence[Look]) -> int | None:
    for number, (canary, _) in enumerate(seen, 1):
        if canary.trials and canary.events / canary.trials > THRESHOLD:
            return number
    return None


def by_repeated(seen: Sequence[Look]) -> int | None:
    canary, control = np.zeros(2), np.zeros(2)
    for number, (more_canary, more_control) in enumerate(seen, 1):
        canary += np.array((more_canary.events, more_canary.trials))
        control += np.array((more_control.events, more_control.trials))
        pooled = (canary[0] + control[0]) / max(1.0, canary[1] + control[1])
        variance = pooled * (1 - pooled) * (1 / max(1.0, canary[1]) + 1 / max(1.0, control[1]))
        difference = canary[0] / max(1.0, canary[1]) - control[0] / max(1.0, control[1])
        if variance > 0 and difference / variance**0.5 > 1.6449:
            return number
    return None


METHODS = {"sequential": by_sequential, "threshold": by_threshold, "repeated": by_repeated}


def false_alarms(rng: np.random.Generator, runs: int) -> Iterator[dict[str, object]]:
    """The share of runs that fail although the versions are alike."""
    for name, scenario in {"alike": ALIKE, "alike, both drift": DRIFT}.items():
        for rate in RATES:
            for number in LOOKS:
                alarms = dict.fromkeys(METHODS, 0)
                for _ in range(runs):
                    seen = list(looks(rng, scenario, rate, number))
                    for method, decide in METHODS.items():
                        alarms[method] += decide(seen) is not None
                shares = {method: round(found / runs, 4) for method, found in alarms.items()}
                yield {"scenario": name, "rate": rate, "looks": number, **shares}


def detection(rng: np.random.Generator, runs: int) -> Iterator[dict[str, object]]:
    """The share of bad canaries that is found, and the seconds that it takes."""
    for extra in EXTRA:
        bad = ALIKE._replace(canary=lambda _, extra=extra: BASE + extra)
        for rate in RATES:
            found = [by_sequential(list(looks(rng, bad, rate, POWER_LOOKS))) for _ in range(runs)]
            seconds = sorted(INTERVAL * number for number in found if number is not None)
            yield {
                "extra_points": extra * 100,
                "rate": rate,
                "found_5m": round(sum(s <= 300 for s in seconds) / runs, 3),
                "found_30m": round(len(seconds) / runs, 3),
                "median_s": statistics.median_high(seconds) if len(seconds) * 2 > runs else None,
                "p90_s": seconds[int(0.9 * runs)] if len(seconds) > 0.9 * runs else None,
            }


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2000, help="simulated runs a figure")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args(arguments)
    rng = np.random.default_rng(options.seed)
    begun = time.perf_counter()
    figures: dict[str, object] = {
        "benchmark": "operating_characteristic",
        "runs": options.runs,
        "seed": options.seed,
        "alpha": ALPHA,
        "false_alarms": list(false_alarms(rng, options.runs)),
        "detection": list(detection(rng, max(1, options.runs // 4))),
    }
    figures["seconds"] = round(time.perf_counter() - begun, 1)
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1:])
