"""Decides which pod answers each simulated request, with which code and how fast.

Requests to a Service are spread evenly over its ready pods, as a real Service does; a pod fails and delays
them as its annotations say. No clock and no I/O: the caller says how much time has passed.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rollouts.sandbox import behaviour

ROLLOUT_HASH = "rollouts-pod-template-hash"
DEPLOYMENT_HASH = "pod-template-hash"
DEFAULT_LATENCY_MS = 10.0
# A request takes between half and one and a half times what its pod declares.
SPREAD = 0.5

Key = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True)
class Pod:
    """What matters of a pod for who answers a request and how."""

    key: Key
    labels: Mapping[str, str]
    ready: bool
    error_rate: float
    latency_ms: float

    @property
    def rollout_hash(self) -> str:
        return self.labels.get(ROLLOUT_HASH, "")

    @property
    def template_hash(self) -> str:
        return self.rollout_hash or self.labels.get(DEPLOYMENT_HASH, "")


@dataclass(frozen=True, slots=True)
class Service:
    """A Service that receives requests."""

    key: Key
    selector: Mapping[str, str]
    rate: float


@dataclass(frozen=True, slots=True)
class Request:
    """What became of one request; no pod means that none was ready."""

    service: Key
    pod: Pod | None
    code: int
    seconds: float


class Load:
    """Turns passing time into requests; remembers for each Service whose turn it is."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._owed: dict[Key, float] = {}
        self._turn: dict[Key, int] = {}

    def requests(
        self, backends: Mapping[Key, tuple[Service, tuple[Pod, ...]]], *, elapsed: float
    ) -> Iterator[Request]:
        """The requests of the last so many seconds."""
        for key, (service, pods) in backends.items():
            owed = self._owed.get(key, 0.0) + service.rate * elapsed
            count = math.floor(owed)
            self._owed[key] = owed - count
            for _ in range(count):
                yield self._request(key, pods)

    def _request(self, service: Key, pods: tuple[Pod, ...]) -> Request:
        if not pods:
            return Request(service, None, 503, 0.0)
        turn = self._turn.get(service, 0)
        self._turn[service] = turn + 1
        pod = pods[turn % len(pods)]
        code = 500 if self._rng.random() < pod.error_rate else 200
        seconds = pod.latency_ms / 1000 * self._rng.uniform(1 - SPREAD, 1 + SPREAD)
        return Request(service, pod, code, seconds)


def backends(
    services: Iterable[Service], pods: Iterable[Pod]
) -> Mapping[Key, tuple[Service, tuple[Pod, ...]]]:
    """The ready pods behind each Service, in a fixed order."""
    by_namespace: dict[str, list[Pod]] = {}
    for pod in sorted((pod for pod in pods if pod.ready), key=lambda pod: pod.key):
        by_namespace.setdefault(pod.key[0], []).append(pod)
    return {
        service.key: (service, tuple(filter(_selected_by(service), by_namespace.get(service.key[0], ()))))
        for service in services
    }


def pod_of(obj: Mapping[str, Any]) -> Pod:
    """The pod as the API server shows it; unreadable annotations count as absent."""
    metadata, status = obj["metadata"], obj.get("status", {})
    annotations = metadata.get("annotations") or {}
    ready = "deletionTimestamp" not in metadata and any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in status.get("conditions") or ()
    )
    return Pod(
        key=(metadata["namespace"], metadata["name"]),
        labels=metadata.get("labels") or {},
        ready=ready,
        error_rate=_number(annotations.get(behaviour.ERROR_RATE), 0.0),
        latency_ms=_number(annotations.get(behaviour.LATENCY_MS), DEFAULT_LATENCY_MS),
    )


def service_of(obj: Mapping[str, Any]) -> Service | None:
    """The Service if it is to receive requests."""
    metadata = obj["metadata"]
    rate = _number((metadata.get("annotations") or {}).get(behaviour.TRAFFIC), 0.0)
    if rate == 0:
        return None
    selector = obj.get("spec", {}).get("selector") or {}
    return Service(key=(metadata["namespace"], metadata["name"]), selector=selector, rate=rate)


def _selected_by(service: Service) -> Any:
    wanted = service.selector.items()
    # A Service without a selector has no pods of its own.
    return lambda pod: bool(wanted) and wanted <= pod.labels.items()


def _number(text: str | None, default: float) -> float:
    """A finite number that is not negative; anything else is the default."""
    try:
        value = float(text) if text is not None else default
    except ValueError:
        return default
    return value if math.isfinite(value) and value >= 0 else default
