"""Metric names and series as Prometheus sees them."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rollouts.api.meta import ObjectMeta, Reason
from rollouts.controller.cache import Key
from rollouts.controller.metrics import Metrics
from rollouts.delivery.actions import Event

WEB = Key("shop", "web")


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = metrics.exposition().decode()
    return {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


def of(name: str, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return name, tuple(sorted({"namespace": "shop", "name": "web", **labels}.items()))


def test_reconciles_and_errors_have_the_names_of_the_peer() -> None:
    metrics = Metrics()
    metrics.reconciled("rollout", WEB, 0.02, failed=False)
    metrics.reconciled("rollout", WEB, 0.02, failed=True)

    found = samples(metrics)

    assert found[of("rollout_reconcile_count")] == 2
    assert found[of("rollout_reconcile_error")] == 1
    assert metrics.seconds_since_success().keys() == {"rollout"}


def test_events_are_counted_by_reason() -> None:
    metrics = Metrics()
    metrics.event(ObjectMeta(name="web", namespace="shop"), Event(Reason.PAUSED, "Paused"))

    assert samples(metrics)[of("rollout_events_total", type="Normal", reason="RolloutPaused")] == 1


def test_series_of_an_object_go_with_it() -> None:
    metrics = Metrics()
    metrics.reconciled("rollout", WEB, 0.02, failed=True)
    metrics.event(ObjectMeta(name="web", namespace="shop"), Event(Reason.PAUSED, "Paused"))

    metrics.forget("rollout", WEB)

    assert not [name for name, labels in samples(metrics) if ("name", "web") in labels]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/apis/apps/v1/namespaces/shop/replicasets/web-1?fieldManager=x", "replicasets"),
        ("/apis/rollouts.dev/v1alpha1/rollouts?limit=500", "rollouts"),
        ("/apis/rollouts.dev/v1alpha1/namespaces/shop/rollouts/web/status", "rollouts"),
        ("/api/v1/namespaces/shop/events", "events"),
        ("/api/v1/namespaces/shop", "namespaces"),
        ("/api/v1/services?limit=500", "services"),
        ("/apis/apps/v1", "discovery"),
    ],
)
def test_requests_are_counted_by_verb_and_kind(path: str, kind: str) -> None:
    metrics = Metrics()
    metrics.request("GET", path)

    counted = ("rollouts_controller_api_requests_total", (("kind", kind), ("verb", "GET")))
    assert samples(metrics)[counted] == 1
