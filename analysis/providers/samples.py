"""The samples in an answer of Prometheus, or of Loki, which answers in the same form. Pure.

Decided here: what `result` is for each type of answer. An instant vector and a matrix give the list of their samples'
values, a scalar gives a number, a string a string; an empty vector is an empty list, NaN stays NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analysis.errors import ProviderError
from analysis.language import values
from analysis.providers.result import ProviderResult

_SHOWN_WARNINGS = 300


def result(data: Mapping[str, object]) -> ProviderResult:
    """The `data` of an answer; ProviderError for a type that has no value."""
    kind, found = data.get("resultType"), data.get("result")
    metadata = _warnings(data.get("warnings"))
    try:
        match kind, found:
            case "scalar", [_, value]:
                number = float(_text(value))
                return ProviderResult(number, values.show_number(number), metadata)
            case "string", [_, value]:
                return ProviderResult(_text(value), _text(value), metadata)
            case "vector", list(series):
                return _listed([_sample(one) for one in series], metadata)
            case "matrix", list(series):
                return _listed([v for one in series for v in _samples(one)], metadata)
    except (ValueError, KeyError, TypeError, IndexError):
        raise ProviderError(f"the samples of the {kind} cannot be read") from None
    raise ProviderError(f"results of type {values.show(kind)} are not supported")


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise TypeError


def _sample(series: Mapping[str, Sequence[object]]) -> float:
    _check_histogram(series)
    return float(_text(series["value"][1]))


def _samples(series: Mapping[str, Sequence[Sequence[object]]]) -> list[float]:
    _check_histogram(series)
    return [float(_text(point[1])) for point in series["values"]]


def _check_histogram(series: Mapping[str, object]) -> None:
    if "histogram" in series or "histograms" in series:
        raise ProviderError(
            "the query returns native histograms; apply histogram_quantile or histogram_fraction"
        )


def _listed(found: list[float], metadata: Mapping[str, str]) -> ProviderResult:
    return ProviderResult(found, f"[{','.join(map(values.show_number, found))}]", metadata)


def _warnings(found: object) -> Mapping[str, str]:
    if not isinstance(found, list) or not found:
        return {}
    return {"warnings": ", ".join(f'"{warning}"' for warning in found)[:_SHOWN_WARNINGS]}
