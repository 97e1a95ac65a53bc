"""A measured value as a number, where it is one: for plots, sparklines and gauges. Pure."""

from __future__ import annotations

import math


def number(text: str) -> float | None:
    """`0.5`, `[0.5]` or `"0.5"` as a number; None for anything else, NaN included."""
    try:
        found = float(text.strip('[]"').replace("Inf", "inf"))
    except ValueError:
        return None
    return None if math.isnan(found) else found
