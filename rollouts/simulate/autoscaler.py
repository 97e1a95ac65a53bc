"""A HorizontalPodAutoscaler in virtual time, on the scale subresource of a Rollout.

Decides what Kubernetes' own would ask for (pkg/controller/podautoscaler): pods by the mean of all that its selector
matches, or by the count that the status reports; a tolerance of a tenth, up at most to the double or four more at a
time, down only to the most that was asked for in five minutes. Pure; driven by `world`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from rollouts.api.schema import Field

PERIOD = timedelta(seconds=15)
_WINDOW = timedelta(minutes=5)
_TOLERANCE = 0.1


class MetricType(StrEnum):
    UTILIZATION = "Utilization"
    """The mean over the pods that the selector matches."""
    AVERAGE_VALUE = "AverageValue"
    """An external metric, divided by the replicas that the status reports."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be served from an instant on."""

    percent: Annotated[
        int, Field("In percent of what one pod takes at its target: 650 asks for 7.", minimum=0)
    ]
    after: Annotated[timedelta, Field("From when on, counted from the update.")] = timedelta()


@dataclass(frozen=True, slots=True)
class Autoscaler:
    """An autoscaler that names the Rollout, and what its pods have to serve."""

    max_replicas: Annotated[int, Field("Never more.", minimum=1)]
    load: Annotated[tuple[Load, ...], Field("What is to be served, from when on.", min_items=1)]
    min_replicas: Annotated[int, Field("Never fewer.", minimum=1)] = 1
    metric: Annotated[MetricType, Field("How replicas are derived from the load.")] = MetricType.UTILIZATION

    def percent(self, at: timedelta) -> int:
        held = [load for load in self.load if load.after <= at] or [self.load[0]]
        return max(held, key=lambda load: load.after).percent

    def changes(self, at: timedelta) -> timedelta | None:
        """When the load changes next."""
        return min((load.after for load in self.load if load.after > at), default=None)


@dataclass(frozen=True, slots=True)
class Scale:
    """What the autoscaler sees: spec.replicas, status.replicas, and the pods of status.selector that serve."""

    wanted: int
    reported: int
    ready: int


def recommended(scaler: Autoscaler, scale: Scale, percent: int) -> int:
    """The replicas that one look asks for."""
    count = (
        _by_count(scale, percent) if scaler.metric is MetricType.AVERAGE_VALUE else _by_mean(scale, percent)
    )
    return min(max(count, scaler.min_replicas), scaler.max_replicas)


@dataclass(slots=True)
class Memory:
    """What was asked for lately: the way down is taken only when nobody has asked for more in the window."""

    latest: int = 0
    held: list[tuple[datetime, int]] = field(default_factory=list)

    def noted(self, now: datetime, count: int) -> int:
        """The most that was asked for in the window, this time included."""
        if self.latest:
            self.held.append((now, self.latest))
        self.latest = count
        self.held = [(at, asked) for at, asked in self.held if at > now - _WINDOW]
        return max([count, *(asked for _, asked in self.held)])


def next_replicas(scale: Scale, asked: int, most_lately: int) -> int:
    """What spec.replicas is set to."""
    if asked >= scale.wanted:
        return min(asked, max(2 * scale.wanted, scale.wanted + 4))
    return min(scale.wanted, most_lately)


def _by_mean(scale: Scale, percent: int) -> int:
    if not scale.ready:
        return scale.wanted
    ratio = percent / 100 / scale.ready
    return scale.wanted if abs(1 - ratio) <= _TOLERANCE else math.ceil(round(ratio * scale.ready, 9))


def _by_count(scale: Scale, percent: int) -> int:
    ratio = percent / 100 / scale.reported if scale.reported else math.inf
    return scale.reported if abs(1 - ratio) <= _TOLERANCE else math.ceil(percent / 100)
