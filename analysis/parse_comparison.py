"""`comparison` of a metric, and the fields that say what no data means -> `model` values. Pure.

Decided here: defaults, and what is refused because it could never be compared. Called by `parse`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import TypeVar

from analysis import comparison, durations
from analysis.compare import Bounds, Test
from analysis.errors import ProviderError, SpecError
from analysis.model import Comparison, Metric, NoData
from analysis.sequential import Direction

_Choice = TypeVar("_Choice", bound=StrEnum)
_VARIANT = "{{comparison.variant}}"


def of_metric(metric: Metric, spec: Mapping[str, object], path: str) -> Metric:
    """The metric with its comparison and with what it wants of the data."""
    metric = replace(
        metric, on_no_data=_on_no_data(spec, path), samples_query=_text(spec, "samplesQuery", path)
    )
    found = spec.get("comparison")
    if found is None:
        return _without_comparison(metric, path)
    if not isinstance(found, Mapping):
        raise SpecError(f"{path}.comparison", "is not an object", "write canary and control below it")
    compared = replace(metric, comparison=_comparison(found, f"{path}.comparison"))
    _check(compared, path)
    return _first_look_later(compared)


def _on_no_data(spec: Mapping[str, object], path: str) -> NoData | None:
    return _choice(NoData, spec, "onNoData", path) if spec.get("onNoData") else None


def _without_comparison(metric: Metric, path: str) -> Metric:
    if metric.min_samples and not metric.samples_query:
        raise SpecError(
            f"{path}.samplesQuery",
            "is missing, and minSamples is set",
            "write the query that counts the samples",
        )
    if _VARIANT in str(metric.provider):
        problem = f"names {_VARIANT}, and there is no comparison"
        raise SpecError(f"{path}.provider", problem, "add comparison with canary and control")
    return metric


def _comparison(spec: Mapping[str, object], path: str) -> Comparison:
    test = _choice(Test, spec, "test", path) if spec.get("test") else Test.PROPORTION
    direction = _choice(Direction, spec, "direction", path) if spec.get("direction") else Direction.INCREASE
    confidence = _number(spec, "confidence", path, 0.95)
    if not 0.5 <= confidence < 1:
        raise SpecError(f"{path}.confidence", f"{confidence:g} is not between 0.5 and 1", 'write "0.95"')
    minimum = _number(spec, "minimumEffect", path, 0.0)
    if minimum < 0:
        raise SpecError(f"{path}.minimumEffect", f"{minimum:g} is negative", "write 0 or more")
    return Comparison(
        canary=_required(spec, "canary", path),
        control=_required(spec, "control", path),
        bounds=Bounds(test, direction, confidence, minimum),
        sequential=spec.get("sequential") is not False,
        total_query=_text(spec, "totalQuery", path),
        lookback=_duration(spec, "lookback", path),
        control_offset=_duration(spec, "controlOffset", path),
    )


def _check(metric: Metric, path: str) -> None:
    compared = metric.comparison
    assert compared is not None
    counted = compared.bounds.test is not Test.DISTRIBUTION
    if counted and not compared.total_query:
        raise SpecError(
            f"{path}.comparison.totalQuery", "is missing", f"write the query that counts all, for {_VARIANT}"
        )
    if not counted and compared.total_query:
        raise SpecError(f"{path}.comparison.totalQuery", "has no use for distributions", "remove it")
    if metric.success_condition or metric.failure_condition:
        field = "successCondition" if metric.success_condition else "failureCondition"
        raise SpecError(
            f"{path}.{field}", "contradicts comparison, which decides itself", "remove one of them"
        )
    if compared.canary == compared.control and not compared.control_offset:
        raise SpecError(
            f"{path}.comparison.control", "is the canary itself", "name the stable hash, or set controlOffset"
        )
    if not metric.interval and not compared.lookback:
        raise SpecError(
            f"{path}.comparison.lookback", "is missing, and there is no interval", "say how far to look back"
        )
    _check_tags(metric, compared, path)


def _check_tags(metric: Metric, compared: Comparison, path: str) -> None:
    provider = next(iter(metric.provider.values()))
    spec = provider if isinstance(provider, Mapping) else {}
    try:
        comparison.filled(spec, "", timedelta(), timedelta())
        comparison.filled({"query": compared.total_query}, "", timedelta(), timedelta())
    except ProviderError as error:
        raise SpecError(f"{path}.provider", str(error), "correct the name") from None
    if _VARIANT not in str(spec).replace("{{ comparison.variant }}", _VARIANT):
        problem = f"does not name {_VARIANT}: both sides would be the same"
        raise SpecError(f"{path}.provider", problem, f'write for example pod_template_hash="{_VARIANT}"')


def _first_look_later(metric: Metric) -> Metric:
    """Without a lookback there is nothing to compare before an interval has passed."""
    assert metric.comparison is not None
    if metric.comparison.lookback or metric.interval is None:
        return metric
    return replace(metric, initial_delay=max(metric.initial_delay or timedelta(), metric.interval))


def _required(spec: Mapping[str, object], field: str, path: str) -> str:
    found = _text(spec, field, path)
    if found:
        return found
    raise SpecError(
        f"{path}.{field}", "is missing", f"say what {_VARIANT} stands for, such as a pod template hash"
    )


def _text(spec: Mapping[str, object], field: str, path: str) -> str:
    found = spec.get(field)
    if found is None or isinstance(found, str):
        return found or ""
    raise SpecError(f"{path}.{field}", "is not a string", "quote it")


def _choice(enum: type[_Choice], spec: Mapping[str, object], field: str, path: str) -> _Choice:
    return _read(enum, spec, field, path, f"write one of {', '.join(enum)}")


def _number(spec: Mapping[str, object], field: str, path: str, default: float) -> float:
    if spec.get(field) in {None, ""}:
        return default
    return _read(_finite, spec, field, path, 'write a number such as "0.95"')


def _duration(spec: Mapping[str, object], field: str, path: str) -> timedelta:
    if not spec.get(field):
        return timedelta()
    found = _read(durations.parse, spec, field, path, "write a duration such as 30s")
    if found < timedelta():
        raise SpecError(f"{path}.{field}", "is negative", "write a duration such as 30s")
    return found


_T = TypeVar("_T")


def _read(read: Callable[[str], _T], spec: Mapping[str, object], field: str, path: str, remedy: str) -> _T:
    found = str(spec[field])
    try:
        return read(found)
    except ValueError:
        raise SpecError(f"{path}.{field}", f'"{found[:40]}" cannot be read', remedy) from None


def _finite(text: str) -> float:
    found = float(text)
    if not math.isfinite(found):
        raise ValueError
    return found
