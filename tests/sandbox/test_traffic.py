"""What the pods answer arrives in a real Prometheus, and nowhere else is said which version is bad."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from rollouts import sandbox
from rollouts.sandbox import Component, api
from tests.sandbox.conftest import Kubectl, deployment, eventually

pytestmark = pytest.mark.e2e

ERRORS = 'sum(rate(http_requests_total{service="shop",code=~"5.."}[5s]))'
ALL = 'sum(rate(http_requests_total{service="shop"}[5s]))'
SLOW = (
    "histogram_quantile(0.9, sum by (le) (rate("
    'http_request_duration_seconds_bucket{service="shop",rollouts_pod_template_hash="v2"}[5s])))'
)


def value(running: sandbox.Sandbox, query: str) -> float | None:
    found = api.fetch(f"{running.prometheus_url}/api/v1/query?query={quote(query)}")["data"]["result"]
    return float(found[0]["value"][1]) if found else None


def between(running: sandbox.Sandbox, query: str, low: float, high: float) -> bool:
    found = value(running, query)
    return found is not None and low <= found <= high


def version(name: str, *, replicas: int, **annotations: str) -> dict[str, object]:
    made = deployment(name, replicas=replicas, **annotations)
    labels = {"app": "shop", "rollouts-pod-template-hash": name}
    made["spec"]["selector"]["matchLabels"] = labels
    made["spec"]["template"]["metadata"]["labels"] = labels
    return made


def service(selector: dict[str, str]) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "shop",
            "namespace": "default",
            "annotations": {"sandbox.rollouts.dev/traffic": "100"},
        },
        "spec": {"selector": selector, "ports": [{"port": 80}]},
    }


def test_a_bad_version_shows_in_the_metrics_by_its_share_of_the_pods(
    running: sandbox.Sandbox, kubectl: Kubectl
) -> None:
    kubectl.apply(
        service({"app": "shop"}),
        version("v1", replicas=4),
        version("v2", replicas=1, error_rate="0.5", latency_ms="400"),
    )

    eventually(lambda: between(running, ERRORS + "/" + ALL, 0.05, 0.15))
    eventually(lambda: between(running, ALL, 80, 120))
    eventually(lambda: between(running, SLOW, 0.25, 1.0))


def test_a_changed_selector_moves_every_request(running: sandbox.Sandbox, kubectl: Kubectl) -> None:
    kubectl.apply(service({"app": "shop", "rollouts-pod-template-hash": "v1"}), version("v1", replicas=2))
    eventually(lambda: between(running, 'sum(rate(http_requests_total{pod_template_hash!="v1"}[3s]))', 0, 0))

    before = running.served()["default/shop"]["hashes"]
    eventually(lambda: running.served()["default/shop"]["hashes"]["v1"]["200"] > before["v1"]["200"] + 100)
    after = running.served()["default/shop"]["hashes"]

    assert {name: counts for name, counts in after.items() if name != "v1"} == {
        name: counts for name, counts in before.items() if name != "v1"
    }


def test_a_service_without_ready_pods_answers_503(running: sandbox.Sandbox, kubectl: Kubectl) -> None:
    kubectl.apply(service({"app": "nobody"}))

    eventually(lambda: between(running, 'sum(rate(http_requests_total{code="503"}[5s]))', 80, 120))


def test_prometheus_can_be_away_and_come_back(running: sandbox.Sandbox) -> None:
    running.stop(Component.PROMETHEUS)
    assert not api.answers(f"{running.prometheus_url}/-/ready")

    running.start(Component.PROMETHEUS)

    eventually(lambda: between(running, "up", 1, 1))


def test_requests_follow_changes_after_the_api_server_was_away(
    running: sandbox.Sandbox, kubectl: Kubectl
) -> None:
    running.restart(Component.API_SERVER)

    kubectl.apply(service({"app": "shop"}), version("v3", replicas=1))

    eventually(lambda: "v3" in running.served()["default/shop"]["hashes"])
