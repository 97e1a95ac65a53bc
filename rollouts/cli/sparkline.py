"""The last measurements of a metric as one word of bars. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.numbers import number

_BARS = "▁▂▃▄▅▆▇█"
_GAP = "·"


def of_measurements(measurements: Sequence[Mapping[str, Any]]) -> str:
    """One bar a measurement, from the smallest to the largest value; nothing where there is no course to see."""
    values = [number(str(m.get("value") or "")) for m in measurements]
    known = [value for value in values if value is not None and abs(value) != float("inf")]
    if len(known) < 2:
        return ""
    low, high = min(known), max(known)
    return "".join(_bar(value, low, high) for value in values)


def _bar(value: float | None, low: float, high: float) -> str:
    if value is None:
        return _GAP
    if low == high:
        return _BARS[len(_BARS) // 2]
    share = min(1.0, max(0.0, (value - low) / (high - low)))
    return _BARS[round(share * (len(_BARS) - 1))]
