"""What the controller tells Prometheus about itself: the peer's metric names beside ours.

Counters and histograms are bumped where things happen; gauges about objects are read from the stores when
somebody scrapes (`gather`), so that an idle controller does nothing for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import Metric

from rollouts.api.meta import ObjectMeta
from rollouts.controller.cache import Key
from rollouts.delivery.actions import Event

__all__ = ["Gather", "Metrics", "request_parts"]

# argo-rollouts: controller/metrics/prommetrics.go
_BUCKETS = (0.01, 0.15, 0.25, 0.5, 1.0)
_LATENESS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0)
_MEASUREMENT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_OBJECT = ("namespace", "name")

Gather = Callable[[], Iterable[Metric]]


class Metrics:
    """All metrics of one process, on a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._successes: dict[str, float] = {}
        self._durations: dict[str, Histogram] = {}
        self._errors: dict[str, dict[Key, int]] = {}
        self._events = Counter(
            "rollout_events", "Events that were posted.", (*_OBJECT, "type", "reason"), registry=self.registry
        )
        self._requests = Counter(
            "rollouts_controller_api_requests",
            "Requests to the API server, by verb and by plural of the kind.",
            ("verb", "kind"),
            registry=self.registry,
        )

        self._lateness = Histogram(
            "analysis_measurement_lateness_seconds",
            "How long after it was due a measurement began.",
            buckets=_LATENESS,
            registry=self.registry,
        )
        self._measurements = Histogram(
            "analysis_measurement_seconds",
            "How long a measurement took, by its phase.",
            ("phase",),
            buckets=_MEASUREMENT,
            registry=self.registry,
        )

    def measured(self, phase: str, *, late: float, seconds: float) -> None:
        """One measurement of an AnalysisRun."""
        self._lateness.observe(late)
        self._measurements.labels(phase).observe(seconds)

    def reconciled(self, controller: str, key: Key, seconds: float, *, failed: bool) -> None:
        """One reconcile by the controller of this name."""
        if controller not in self._durations:
            self._register(controller)
        self._durations[controller].labels(*key).observe(seconds)
        if failed:
            errors = self._errors[controller]
            errors[key] = errors.get(key, 0) + 1
        else:
            self._successes[controller] = time.monotonic()

    def forget(self, controller: str, key: Key) -> None:
        """The object is gone: so are its series."""
        where = dict(zip(_OBJECT, key, strict=True))
        if controller in self._durations:
            self._durations[controller].remove_by_labels(where)
            self._errors[controller].pop(key, None)
        self._events.remove_by_labels(where)

    def seconds_since_success(self) -> dict[str, float]:
        """By controller, how long ago a reconcile last went well."""
        now = time.monotonic()
        return {controller: now - at for controller, at in self._successes.items()}

    def event(self, about: ObjectMeta, event: Event) -> None:
        self._events.labels(about.namespace, about.name, event.type, event.reason).inc()

    def request(self, method: str, path: str) -> None:
        """One request to the API server."""
        self._requests.labels(method, request_parts(path)[0]).inc()

    def gather(self, source: Gather) -> None:
        """Call `source` at every scrape."""
        self.registry.register(_Source(source))

    def exposition(self) -> bytes:
        return generate_latest(self.registry)

    def _register(self, controller: str) -> None:
        self._durations[controller] = Histogram(
            f"{controller}_reconcile",
            "Duration of a reconcile in seconds.",
            _OBJECT,
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._errors[controller] = {}
        self.gather(lambda: [self._failures(controller)])

    def _failures(self, controller: str) -> Metric:
        """By hand: the client would append _total to the name of a counter, which the peer's has not."""
        name = f"{controller}_reconcile_error"
        metric = Metric(name, "Reconciles that failed.", "unknown")
        for key, count in self._errors[controller].items():
            metric.add_sample(name, dict(zip(_OBJECT, key, strict=True)), count)
        return metric


class _Source:
    def __init__(self, gather: Gather) -> None:
        self._gather = gather

    def collect(self) -> Iterable[Metric]:
        return self._gather()

    def describe(self) -> Iterable[Metric]:
        """Nothing in advance: what is gathered depends on the objects."""
        return ()


def request_parts(path: str) -> tuple[str, str, str]:
    """`/apis/apps/v1/namespaces/shop/replicasets/web?…` is about replicasets, shop and web."""
    parts = path.partition("?")[0].strip("/").split("/")
    rest, namespace = parts[3:] if parts[0] == "apis" else parts[2:], ""
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    return rest[0] if rest else "discovery", namespace, rest[1] if len(rest) > 1 else ""
