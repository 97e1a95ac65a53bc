"""What a measurement found, before anybody looked at the clock. Used by `measurement` and `comparison`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from analysis.model import Metric, NoData, Phase
from analysis.providers.result import ProviderResult

Ask = Callable[[Mapping[str, object]], ProviderResult]
"""Settings of a provider -> its answer; ProviderError if there is none."""


class Answer(NamedTuple):
    """Phase, value and words of a measurement."""

    phase: Phase
    value: str = ""
    message: str = ""
    metadata: Mapping[str, str] = {}


_PHASES = {
    NoData.FAIL: Phase.FAILED,
    NoData.INCONCLUSIVE: Phase.INCONCLUSIVE,
    NoData.PASS: Phase.SUCCESSFUL,
    NoData.RETRY: Phase.PENDING,
}


def without_data(metric: Metric, message: str, value: str = "", metadata: Mapping[str, str] = {}) -> Answer:
    """The answer when there is nothing to judge: what `onNoData` says, and waiting if it says nothing."""
    return Answer(_PHASES[metric.on_no_data or NoData.RETRY], value, message, metadata)


def is_no_data(value: object) -> bool:
    """Nothing, an empty list, NaN, or a list of nothing but these."""
    if isinstance(value, list | tuple):
        return all(map(is_no_data, value))
    return value is None or (isinstance(value, float) and math.isnan(value))
