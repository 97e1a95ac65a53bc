"""What the controller tells Prometheus about itself: the peer's metric names beside ours.

Counters and histograms are bumped where things happen; gauges about objects are read from the stores when
somebody scrapes (`collect`), so that an idle controller does nothing for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import Metric

from rollouts.controller.cache import Key

__all__ = ["Gather", "Metrics"]

_RECONCILE_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

Gather = Callable[[], Iterable[Metric]]


class Sized(Protocol):
    """A queue, as far as metrics look at it."""

    def __len__(self) -> int: ...


class Metrics:
    """All metrics of one process, on a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._last_success: dict[str, float] = {}
        self._seconds = Histogram(
            "controller_reconcile_seconds",
            "Duration of a reconcile.",
            ["controller"],
            buckets=_RECONCILE_BUCKETS,
            registry=self.registry,
        )
        self._errors = Counter(
            "controller_reconcile_errors",
            "Reconciles that failed.",
            ["controller"],
            registry=self.registry,
        )

    def reconciled(self, controller: str, key: Key, seconds: float, *, failed: bool) -> None:
        del key
        self._seconds.labels(controller).observe(seconds)
        if failed:
            self._errors.labels(controller).inc()

    def gather(self, source: Gather) -> None:
        """Call `source` at every scrape."""
        self.registry.register(_Source(source))

    def exposition(self) -> bytes:
        return generate_latest(self.registry)


class _Source:
    def __init__(self, gather: Gather) -> None:
        self._gather = gather

    def collect(self) -> Iterable[Metric]:
        return self._gather()
