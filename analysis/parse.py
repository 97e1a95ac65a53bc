"""The spec of metrics, arguments filled in -> `model.Metric`. Pure.

Decided here: types and defaults of the fields, which limits contradict each other (the rules are those of Argo
Rollouts), which metrics are dry runs. Conditions are parsed, so that a typo shows before the first query. Called
before a run starts and by the linter. Fields that are unknown here are left to the API's own check.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from analysis import condition, durations, parse_comparison, patterns
from analysis.errors import ConditionError, SpecError
from analysis.model import (
    DEFAULT_CONSECUTIVE_ERROR_LIMIT,
    DEFAULT_MEASUREMENT_RETENTION,
    DEFAULT_NO_DATA_LIMIT,
    FAILURE_LIMIT_DISABLED,
    Metric,
)

_ALL = "*"
_SECONDS = re.compile(r"[0-9]{1,9}")  # as in every other duration of the API
_WHOLE = re.compile(r"[+-]?[0-9]{1,9}")


def metrics(
    specs: Sequence[Mapping[str, object]],
    *,
    dry_run: Iterable[str] = (),
    retention: Iterable[tuple[str, int]] = (),
) -> tuple[Metric, ...]:
    """The metrics of a run.

    `dry_run` holds metric names, regular expressions or `*`; `retention` pairs of such a pattern and a number
    of measurements. A pattern that matches no metric is an error.
    """
    found = tuple(metric(spec, f"metrics[{index}]") for index, spec in enumerate(specs))
    if not found:
        raise SpecError("metrics", "there is none", "give at least one metric")
    _check_names(found)
    for index, pattern in enumerate(dry_run):
        chosen = _matching(pattern, found, f"dryRun[{index}].metricName")
        found = tuple(replace(m, dry_run=m.dry_run or m.name in chosen) for m in found)
    for index, (pattern, limit) in enumerate(retention):
        chosen = _matching(pattern, found, f"measurementRetention[{index}].metricName")
        kept = limit if limit > 0 else DEFAULT_MEASUREMENT_RETENTION
        found = tuple(replace(m, measurement_retention=kept) if m.name in chosen else m for m in found)
    return found


def metric(spec: Mapping[str, object], path: str) -> Metric:
    """One metric; SpecError with the path of the field that is wrong."""
    found = Metric(
        name=_name(spec, path),
        provider=_provider(spec, path),
        interval=_duration(spec, "interval", path),
        initial_delay=_duration(spec, "initialDelay", path),
        count=_whole(spec, "count", path, None),
        success_condition=_condition(spec, "successCondition", path),
        failure_condition=_condition(spec, "failureCondition", path),
        failure_limit=_whole(spec, "failureLimit", path, 0) or 0,
        inconclusive_limit=_whole(spec, "inconclusiveLimit", path, 0) or 0,
        consecutive_error_limit=_limit(spec, "consecutiveErrorLimit", path, DEFAULT_CONSECUTIVE_ERROR_LIMIT),
        consecutive_success_limit=_limit(spec, "consecutiveSuccessLimit", path, 0),
        no_data_limit=_limit(spec, "noDataLimit", path, DEFAULT_NO_DATA_LIMIT),
        min_samples=_limit(spec, "minSamples", path, 0),
    )
    _check_limits(found, path)
    _check_count(found, path)
    return parse_comparison.of_metric(found, spec, path)


def _check_names(found: Sequence[Metric]) -> None:
    names = [m.name for m in found]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise SpecError(
                f"metrics[{index}].name", f'"{name}" occurs twice', "give each metric a name of its own"
            )


def _matching(pattern: str, found: Sequence[Metric], path: str) -> set[str]:
    try:
        names = {m.name for m in found if pattern == _ALL or patterns.found(pattern, m.name)}
    except ValueError as error:
        raise SpecError(path, str(error), "write a metric name, or * for all") from None
    if not names:
        known = ", ".join(m.name for m in found)
        raise SpecError(path, f'"{pattern}" matches no metric', f"choose from {known}, or write *")
    return names


def _name(spec: Mapping[str, object], path: str) -> str:
    found = spec.get("name")
    if isinstance(found, str) and found:
        return found
    raise SpecError(f"{path}.name", "is missing", "give the metric a name")


def _provider(spec: Mapping[str, object], path: str) -> Mapping[str, object]:
    found = spec.get("provider")
    chosen = {k: v for k, v in found.items() if v is not None} if isinstance(found, Mapping) else {}
    if len(chosen) == 1:
        return chosen
    problem = f"names {len(chosen)} providers" if chosen else "names no provider"
    raise SpecError(f"{path}.provider", problem, "name exactly one, such as prometheus")


def _duration(spec: Mapping[str, object], field: str, path: str) -> timedelta | None:
    found = spec.get(field)
    if found is None or found == "":
        return None
    text = str(found)
    try:
        length = durations.parse(f"{text}s" if _SECONDS.fullmatch(text) else text)
    except ValueError as error:
        raise SpecError(f"{path}.{field}", str(error), "write a duration such as 30s") from None
    if length < timedelta():
        raise SpecError(f"{path}.{field}", f'"{found}" is negative', "write a duration such as 30s")
    return length


def _whole(spec: Mapping[str, object], field: str, path: str, default: int | None) -> int | None:
    """A number, or text that is one: arguments are always text."""
    found = spec.get(field)
    if found is None or found == "":
        return default
    if isinstance(found, int) and not isinstance(found, bool):
        return found
    if isinstance(found, str) and _WHOLE.fullmatch(found):
        return int(found)
    raise SpecError(
        f"{path}.{field}", f"{str(found)[:40]!r} is not a whole number", "write a number such as 3"
    )


def _limit(spec: Mapping[str, object], field: str, path: str, default: int) -> int:
    found = _whole(spec, field, path, default)
    return default if found is None else found


def _condition(spec: Mapping[str, object], field: str, path: str) -> str | None:
    found = spec.get(field)
    if found is None or found == "":
        return None
    if not isinstance(found, str):
        raise SpecError(f"{path}.{field}", "is not a string", 'quote the condition: "result[0] >= 0.95"')
    try:
        condition.check(found)
    except ConditionError as error:
        remedy = "correct the condition, for example result[0] >= 0.95"
        raise SpecError(f"{path}.{field}", f'"{found[:200]}": {error}', remedy) from None
    return found


def _check_limits(found: Metric, path: str) -> None:
    if found.failure_limit < FAILURE_LIMIT_DISABLED:
        raise SpecError(
            f"{path}.failureLimit", f"{found.failure_limit} is negative", "use 0 or more, or -1 for any"
        )
    if found.failure_limit == FAILURE_LIMIT_DISABLED and found.consecutive_success_limit == 0:
        problem = "-1 lets no measurement decide"
        raise SpecError(
            f"{path}.failureLimit", problem, "set consecutiveSuccessLimit or a failureLimit of 0 or more"
        )
    limits = {
        "inconclusiveLimit": found.inconclusive_limit,
        "consecutiveErrorLimit": found.consecutive_error_limit,
        "consecutiveSuccessLimit": found.consecutive_success_limit,
        "noDataLimit": found.no_data_limit,
        "minSamples": found.min_samples,
        "count": found.count or 0,
    }
    for field, limit in limits.items():
        if limit < 0:
            raise SpecError(f"{path}.{field}", f"{limit} is negative", "use 0 or more")


def _check_count(found: Metric, path: str) -> None:
    count = found.count or 0
    if count > 1 and found.interval is None:
        raise SpecError(
            f"{path}.interval", f"is missing, and count is {count}", "say how long to wait between them"
        )
    needed = max(0, found.failure_limit) + found.consecutive_success_limit
    if count and count < needed:
        problem = f"{count} is less than failureLimit + consecutiveSuccessLimit ({needed})"
        raise SpecError(
            f"{path}.count", problem, "raise count or lower the limits, else they are never reached"
        )
    if count and count < found.inconclusive_limit:
        problem = f"{count} is less than inconclusiveLimit ({found.inconclusive_limit})"
        raise SpecError(f"{path}.count", problem, "raise count or lower the limit, else it is never reached")
