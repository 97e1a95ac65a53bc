"""The metrics that Argo Rollouts has about itself, and those about objects that dashboards read."""

from __future__ import annotations

from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from rollouts.api.analysis import Metric
from rollouts.api.parse import parse
from rollouts.controller import gauges, peer_metrics
from rollouts.kube import Kube


class Answers:
    """Stands for the client: only tells what it was answered."""

    def listen(self, on_answer: Any) -> None:
        self.tell = on_answer


def test_requests_are_counted_by_kind_namespace_verb_and_status() -> None:
    registry, answers = CollectorRegistry(), Answers()
    peer_metrics.register(registry, cast("Kube", answers))

    for method, path, status in (
        ("GET", "/apis/apps/v1/namespaces/shop/replicasets/web-1", 200),
        ("GET", "/apis/apps/v1/namespaces/shop/replicasets/web-2", 200),
        ("GET", "/apis/apps/v1/replicasets?limit=500", 200),
        ("GET", "/apis/apps/v1/deployments?watch=true", 200),
        ("PATCH", "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/web/status", 409),
    ):
        answers.tell(method, path, status)

    found = generate_latest(registry).decode()
    name = "controller_clientset_k8s_request_total"
    assert f'{name}{{kind="replicasets",name="N/A",namespace="shop",status_code="200",verb="Get"}} 2' in found
    assert f'{name}{{kind="replicasets",name="N/A",namespace="",status_code="200",verb="List"}} 1' in found
    assert f'{name}{{kind="deployments",name="N/A",namespace="",status_code="200",verb="Watch"}} 1' in found
    assert f'{name}{{kind="rollouts",name="N/A",namespace="shop",status_code="409",verb="Patch"}} 1' in found
    assert "argo_rollouts_controller_info{version=" in found


@pytest.mark.parametrize(
    ("provider", "name"),
    [({"prometheus": {"query": "up"}}, "Prometheus"), ({"web": {"url": "http://x"}}, "Web"), ({}, "Unknown")],
)
def test_a_provider_has_the_peers_name(provider: dict[str, Any], name: str) -> None:
    assert gauges.provider(parse(Metric, {"name": "m", "provider": provider}, "metric")) == name
