"""Counts what became of the requests: as metrics for Prometheus, and as totals that tests can assert on."""

from __future__ import annotations

from typing import Any

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram

from rollouts.sandbox.traffic.model import Key, Request

LABELS = ("namespace", "service", "pod_template_hash", "rollouts_pod_template_hash")
CODES = ("200", "500")


class Recorder:
    """Everything that was served since the process started."""

    def __init__(self) -> None:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "http_requests",
            "Simulated requests by what became of them.",
            (*LABELS, "code"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "How long simulated requests took.",
            LABELS,
            registry=self._registry,
        )
        self._served: dict[Key, dict[tuple[str, str], dict[str, int]]] = {}

    def add(self, request: Request) -> None:
        """Count one request."""
        pod = request.pod
        labels = (*request.service, pod.template_hash if pod else "", pod.rollout_hash if pod else "")
        code = str(request.code)
        self._requests.labels(*labels, code).inc()
        by_pod = self._served.setdefault(request.service, {})
        who = (pod.key[1], pod.template_hash) if pod else ("", "")
        if who not in by_pod:
            by_pod[who] = {}
            self._show_zeroes(labels)
        by_pod[who][code] = by_pod[who].get(code, 0) + 1
        if pod is not None:
            self._seconds.labels(*labels).observe(request.seconds)

    def exposition(self) -> bytes:
        """The metrics as Prometheus reads them."""
        return prometheus_client.generate_latest(self._registry)

    def served(self) -> dict[str, Any]:
        """Totals by `namespace/service`: by code, by pod template hash and by pod."""
        return {"/".join(service): _totals(by_pod) for service, by_pod in self._served.items()}

    def _show_zeroes(self, labels: tuple[str, ...]) -> None:
        # A version without errors must read as zero errors, not as no data.
        for code in CODES if labels[2] else ():
            self._requests.labels(*labels, code)


def _totals(by_pod: dict[tuple[str, str], dict[str, int]]) -> dict[str, Any]:
    codes: dict[str, int] = {}
    hashes: dict[str, dict[str, int]] = {}
    pods: dict[str, dict[str, int]] = {}
    for (pod, template_hash), counts in by_pod.items():
        for code, count in counts.items():
            for totals in (codes, hashes.setdefault(template_hash, {}), pods.setdefault(pod, {})):
                totals[code] = totals.get(code, 0) + count
    return {"requests": sum(codes.values()), "codes": codes, "hashes": hashes, "pods": pods}
