"""One measurement: ask the provider, and say what its answer means.

Decided here: when an answer is no data, and what follows from that before any condition is looked at. Not
decided here: what a value means (`condition`), what a comparison says (`comparison`), threads and time limits
(`pool`, which calls it for the controller; `backtest` calls it for the past).
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from analysis import comparison, condition
from analysis.answer import Answer, Ask, is_no_data, without_data
from analysis.errors import ProviderError
from analysis.model import EVIDENCE, Measurement, Metric, Phase
from analysis.providers import Provider

MAX_VALUE_LENGTH = 1024
_REDACTED = "*****"
_SHORTEST = 0.1  # what a provider gets at least of a deadline that others have used up

_log = logging.getLogger(__name__)


def attempt(
    metric: Metric,
    providers: Mapping[str, Provider],
    deadline: float,
    *,
    elapsed: timedelta,
    last: Measurement | None,
) -> Answer:
    """As `take`, but raises nothing: trouble is an answer in phase Error."""
    try:
        return take(metric, providers, deadline, elapsed=elapsed, last=last)
    except ProviderError as error:
        return Answer(Phase.ERROR, message=str(error))
    except Exception as error:  # noqa: BLE001 - a bug in a provider is the problem of its metric only
        # The text of an unforeseen exception may hold anything, so only its type and place are logged.
        where = "".join(traceback.format_tb(error.__traceback__))
        _log.error("measurement of metric %s broke with %s:\n%s", metric.name, type(error).__name__, where)
        return Answer(Phase.ERROR, message=f"internal error of the provider: {type(error).__name__}")


def finished(
    answer: Answer,
    started_at: datetime,
    finished_at: datetime,
    *,
    last: Measurement | None,
    secrets: Iterable[str] = (),
) -> Measurement:
    """The answer as it is kept: cut to length, without secrets.

    One that is no look, such as an error, hands on what the looks before it found.
    """
    hidden = tuple(secrets)
    value = without(hidden, answer.value)
    metadata = {key: without(hidden, text) for key, text in answer.metadata.items() if key != EVIDENCE}
    evidence = answer.metadata.get(EVIDENCE) or (last.metadata.get(EVIDENCE) if last else None)
    return Measurement(
        phase=answer.phase,
        value=value if len(value) <= MAX_VALUE_LENGTH else value[: MAX_VALUE_LENGTH - 1] + "…",
        message=without(hidden, answer.message),
        started_at=started_at,
        finished_at=finished_at,
        metadata={**metadata, EVIDENCE: evidence} if evidence else metadata,
    )


def without(secrets: Iterable[str], text: str) -> str:
    """The text with each secret blacked out."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, _REDACTED)
    return text


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
