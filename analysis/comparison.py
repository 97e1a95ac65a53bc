"""A metric that is measured for a canary and for a control: the questions, and the answer to all of them.

Decided here: what is asked of the provider for either side, what is missing, and what is carried from one look to
the next. Not decided here: the statistics (`compare`). Called by `measurement`.

Each look asks for everything since the run began (`{{comparison.window}}`), so that a lost look loses nothing; what
is new since the last look is the difference. What the looks amount to travels in the metadata of the newest
measurement, so a controller that restarts goes on where it was.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from analysis import compare, sequential
from analysis.answer import Answer, Ask, is_no_data, without_data
from analysis.compare import Finding, Test
from analysis.errors import ProviderError
from analysis.model import EVIDENCE, Comparison, Measurement, Metric, Phase
from analysis.providers.result import ProviderResult
from analysis.sequential import Counts, Direction, Evidence

_TAG = re.compile(r"\{\{\s*comparison\.([^{}\s]*)\s*\}\}")
_DIGITS = 6


def measure(
    metric: Metric,
    comparison: Comparison,
    ask: Ask,
    spec: Mapping[str, object],
    *,
    elapsed: timedelta,
    last: Measurement | None,
) -> Answer:
    """One look at both sides."""
    window = elapsed + comparison.lookback
    canary = filled(spec, comparison.canary, window, timedelta())
    control = filled(spec, comparison.control, window, comparison.control_offset)
    evidence = _known(last, comparison.bounds.direction)
    if comparison.bounds.test is Test.DISTRIBUTION:
        return _of_samples(metric, comparison, (_values(ask(canary)), _values(ask(control))), evidence)
    totals = (
        filled({"query": comparison.total_query}, comparison.canary, window, timedelta()),
        filled({"query": comparison.total_query}, comparison.control, window, comparison.control_offset),
    )
    sides = _counts(ask, canary, totals[0]), _counts(ask, control, totals[1])
    return _of_counts(metric, comparison, sides, evidence)


def filled(
    spec: Mapping[str, object], variant: str, window: timedelta, offset: timedelta
) -> dict[str, object]:
    """The settings of a provider for one side."""
    values = {
        "variant": variant,
        "window": f"{max(1, round(window.total_seconds()))}s",
        "offset": f"{round(offset.total_seconds())}s",
    }
    return {key: _filled(value, values) for key, value in spec.items()}


def _filled(value: object, values: Mapping[str, str]) -> object:
    match value:
        case str():
            return _TAG.sub(lambda tag: _value(tag[1], values), value)
        case Mapping():
            return {key: _filled(item, values) for key, item in value.items()}
        case Sequence():
            return [_filled(item, values) for item in value]
        case _:
            return value


def _value(name: str, values: Mapping[str, str]) -> str:
    if name in values:
        return values[name]
    known = ", ".join(f"{{{{comparison.{known}}}}}" for known in values)
    raise ProviderError(f"{{{{comparison.{name[:40]}}}}} does not exist; there are {known}")


def _counts(ask: Ask, events: Mapping[str, object], total: Mapping[str, object]) -> Counts:
    """Events and trials of one side. No series of errors means that there was none; no total means no data."""
    trials = number(ask({**events, **total}), "comparison.totalQuery")
    if not trials:
        return Counts()
    return Counts(number(ask(events), "query") or 0.0, trials)


def _of_counts(
    metric: Metric, comparison: Comparison, sides: tuple[Counts, Counts], before: Evidence
) -> Answer:
    enough = max(1, metric.min_samples)
    for name, side in zip(("canary", "control"), sides, strict=True):
        if side.trials < enough:
            return _waiting(metric, f"the {name} has {side.trials:.0f} of at least {enough} samples", before)
    if comparison.bounds.test is Test.PROPORTION:
        sides = _bounded(sides[0]), _bounded(sides[1])
    new = _since(before.canary, sides[0]), _since(before.control, sides[1])
    evidence = sequential.look(before, *new)
    found = (
        compare.of_evidence(comparison.bounds, evidence)
        if comparison.sequential
        else compare.of_counts(comparison.bounds, *sides)
    )
    return _answer(found, evidence)


def _of_samples(
    metric: Metric,
    comparison: Comparison,
    sides: tuple[Sequence[float], Sequence[float]],
    before: Evidence,
) -> Answer:
    enough = max(1, metric.min_samples)
    for name, side in zip(("canary", "control"), sides, strict=True):
        if len(side) < enough:
            return _waiting(metric, f"the {name} has {len(side)} of at least {enough} samples", before)
    number_of_look = before.looks + 1
    # Unknown how often: 1/2 of what may be wrong goes to the first look, 1/6 to the second, 1/12 ... in all 1.
    looks = metric.effective_count or number_of_look * (number_of_look + 1)
    looks = looks if comparison.sequential else 1
    found = compare.of_samples(comparison.bounds, *sides, looks=looks)
    return _answer(found, replace(before, looks=number_of_look))


def _answer(found: Finding, evidence: Evidence) -> Answer:
    metadata = {
        "score": str(found.score),
        "pValue": f"{found.p_value:.3g}",
        "effect": f"{found.effect:.4g}",
        EVIDENCE: _written(evidence),
    }
    phase = Phase.FAILED if found.harmful else Phase.SUCCESSFUL
    return Answer(phase, str(found.score), found.reason, metadata)


def _waiting(metric: Metric, message: str, evidence: Evidence) -> Answer:
    return without_data(metric, message, metadata={EVIDENCE: _written(evidence)} if evidence.looks else {})


def _bounded(counts: Counts) -> Counts:
    """Extrapolated rates may give more errors than requests; a proportion cannot be more than 1."""
    return Counts(min(counts.events, counts.trials), counts.trials)


def _since(before: Counts, now: Counts) -> Counts:
    """What is new. Extrapolation may also make a total smaller than it was a look before."""
    return Counts(max(0.0, now.events - before.events), max(0.0, now.trials - before.trials))


def number(found: ProviderResult, field: str) -> float | None:
    """The one number of an answer; None if there is no data."""
    value = found.value
    if is_no_data(value):
        return None
    if isinstance(value, list | tuple):
        if len(value) != 1:
            raise ProviderError(
                f"{field} returns {len(value)} values; aggregate to one, for example with sum()"
            )
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isinf(value) or value < 0:
        raise ProviderError(f"{field} must return a count of 0 or more, got {found.rendered[:40]}")
    return float(value)


def _values(found: ProviderResult) -> Sequence[float]:
    if is_no_data(found.value):
        return ()
    values = found.value if isinstance(found.value, list | tuple) else (found.value,)
    if any(isinstance(v, bool) or not isinstance(v, int | float) for v in values):
        raise ProviderError(f"a comparison of distributions needs numbers, got {found.rendered[:40]}")
    return [float(v) for v in values if not math.isnan(v)]


def _written(evidence: Evidence) -> str:
    rest = (
        *(evidence.canary.events, evidence.canary.trials, evidence.control.events, evidence.control.trials),
        *(evidence.best, evidence.recent_canary, evidence.recent_control, evidence.recent_trials),
        *evidence.weights,
    )
    return json.dumps(
        [evidence.looks, *(float(f"{value:.{_DIGITS}g}") for value in rest)], separators=(",", ":")
    )


def _known(last: Measurement | None, direction: Direction) -> Evidence:
    """The evidence of the last look; none if there is none, or none that can be read."""
    text = last.metadata.get(EVIDENCE) if last else None
    try:
        looks, *numbers = map(float, json.loads(text or "[]"))
        a, b, c, d, best, canary, control, trials, *weights = numbers
    except (ValueError, TypeError):
        return Evidence(direction=direction)
    if len(weights) not in {0, len(sequential.ratios(direction))}:
        return Evidence(direction=direction)
    return Evidence(
        direction=direction,
        looks=int(looks),
        canary=Counts(a, b),
        control=Counts(c, d),
        weights=tuple(weights),
        best=best,
        recent_canary=canary,
        recent_control=control,
        recent_trials=trials,
    )
