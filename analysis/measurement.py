"""One measurement: ask the provider, and say what its answer means.

Decided here: when an answer is no data, and what follows from that before any condition is looked at. Not
decided here: what a value means (`condition`), what a comparison says (`comparison`), threads and time limits
(`pool`, the only caller).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta

from analysis import comparison, condition
from analysis.answer import Answer, Ask, is_no_data, without_data
from analysis.errors import ProviderError
from analysis.model import Measurement, Metric
from analysis.providers import Provider

_SHORTEST = 0.1  # what a provider gets at least of a deadline that others have used up


def take(
    metric: Metric,
    providers: Mapping[str, Provider],
    deadline: float,
    *,
    elapsed: timedelta,
    last: Measurement | None,
) -> Answer:
    """The outcome of one measurement; ProviderError if there is none.

    `elapsed` is how long the run has been going on, `last` its last measurement of this metric.
    """
    provider, spec = chosen(metric, providers)
    ask = _within(provider, deadline)
    if metric.comparison is not None:
        return comparison.measure(metric, metric.comparison, ask, spec, elapsed=elapsed, last=last)
    return _judged(metric, ask, spec)


def chosen(metric: Metric, providers: Mapping[str, Provider]) -> tuple[Provider, Mapping[str, object]]:
    """The provider that a metric names, and its settings."""
    known = ", ".join(sorted(providers))
    if len(metric.provider) != 1:
        raise ProviderError(
            f"a metric needs exactly one provider, this one has {len(metric.provider)}; known: {known}"
        )
    ((name, spec),) = metric.provider.items()
    if name not in providers:
        raise ProviderError(f"there is no provider {name[:40]}; known: {known}")
    if not isinstance(spec, Mapping):
        raise ProviderError(f"provider.{name} must be an object")
    return providers[name], spec


def _within(provider: Provider, deadline: float) -> Ask:
    """All questions of a measurement share its deadline."""
    ends_at = time.monotonic() + deadline
    return lambda spec: provider.query(spec, max(_SHORTEST, ends_at - time.monotonic()))


def _judged(metric: Metric, ask: Ask, spec: Mapping[str, object]) -> Answer:
    if metric.min_samples:
        samples = comparison.number(ask({**spec, "query": metric.samples_query}), "samplesQuery") or 0
        if samples < metric.min_samples:
            return without_data(metric, f"{samples:.0f} samples, minSamples is {metric.min_samples}")
    found = ask(spec)
    if metric.on_no_data and is_no_data(found.value):
        return without_data(metric, "the provider returned no data", found.rendered, found.metadata)
    outcome = condition.evaluate_result(found.value, metric.success_condition, metric.failure_condition)
    return Answer(outcome.phase, found.rendered, outcome.message, found.metadata)
