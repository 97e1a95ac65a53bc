"""Metrics, measurements and results in the words of the domain."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from analysis import judge
from analysis.model import Measurement, Metric, MetricResult, Phase

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PHASES = {
    "S": Phase.SUCCESSFUL,
    "F": Phase.FAILED,
    "I": Phase.INCONCLUSIVE,
    "E": Phase.ERROR,
    "R": Phase.RUNNING,
}


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def at(count: float) -> datetime:
    return START + seconds(count)


def metric(name: str = "success-rate", **fields: Any) -> Metric:
    defaults: dict[str, Any] = {"interval": seconds(60), "success_condition": "result[0] >= 0.95"}
    return Metric(name=name, provider={"prometheus": {"query": "up"}}, **{**defaults, **fields})


def measurement(phase: str, when: float = 0, **fields: Any) -> Measurement:
    finished = None if phase == "R" else at(when)
    defaults = {"value": "[0.81]", "started_at": at(when), "finished_at": finished}
    return Measurement(phase=PHASES[phase], **{**defaults, **fields})


def measured(of: Metric, history: str, every: float = 60, **fields: Any) -> MetricResult | None:
    """The result after a history such as "SSFE": one letter a measurement, R for one in flight."""
    result: MetricResult | None = None
    for index, letter in enumerate(history):
        result = judge.record(of, result, measurement(letter, index * every, **fields))
    return result


def results(*found: MetricResult | None) -> Sequence[MetricResult]:
    return [result for result in found if result is not None]
