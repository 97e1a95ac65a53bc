"""Metrics about the process itself under the names that Argo Rollouts gives them, where its group is served.

Dashboards and alerts that exist read them. Decides only the labels: requests are told apart by kind, namespace,
verb and status, never by name, so that there are no more series than there are namespaces and kinds.
"""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric

from rollouts import __version__
from rollouts.controller.metrics import request_parts
from rollouts.kube import Kube

__all__ = ["register"]

_NAME = "controller_clientset_k8s_request_total"
_LABELS = ("kind", "namespace", "name", "verb", "status_code")
_VERBS: Mapping[str, str] = {"POST": "Create", "PATCH": "Patch", "PUT": "Update", "DELETE": "Delete"}


def register(registry: CollectorRegistry, kube: Kube) -> None:
    """From now on count the answers of the API server, and say who we are."""
    collector = _Requests()
    kube.listen(collector.answered)
    registry.register(collector)


class _Requests:
    def __init__(self) -> None:
        self._counts: dict[tuple[str, ...], int] = {}

    def answered(self, method: str, path: str, status: int) -> None:
        kind, namespace, name = request_parts(path)
        verb = _VERBS.get(method) or ("Watch" if "watch=true" in path else "Get" if name else "List")
        labels = (kind, namespace, "N/A", verb, str(status))
        self._counts[labels] = self._counts.get(labels, 0) + 1

    def collect(self) -> list[Metric]:
        requests = Metric(_NAME.removesuffix("_total"), "Requests to the API server.", "counter")
        for labels, count in self._counts.items():
            requests.add_sample(_NAME, dict(zip(_LABELS, labels, strict=True)), count)
        info = GaugeMetricFamily("argo_rollouts_controller_info", "This controller.", labels=("version",))
        info.add_metric((__version__,), 1)
        return [requests, info]
