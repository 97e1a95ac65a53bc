"""Applications as a scrape sees them."""

from __future__ import annotations

from typing import Any

from rollouts.controller.applications import gauges, records

STATUS = {
    "sync": {"status": "OutOfSync"},
    "health": {"status": "Healthy"},
    "desiredRevision": "main@sha1:b",
    "quarantine": [
        {"revision": "main@sha1:b", "reason": "AnalysisFailed", "message": "m", "at": "2026-01-01T12:00:00Z"}
    ],
    "resources": [
        {"kind": "ConfigMap", "name": "a", "status": "OutOfSync"},
        {"kind": "ConfigMap", "name": "b", "status": "Synced"},
    ],
}


def body(name: str, status: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "prod", "uid": name, "resourceVersion": "1", "generation": 1}
    source = {"repoURL": "https://git.example.com/shop.git"}
    kind = {"apiVersion": "rollouts.dev/v1alpha1", "kind": "Application"}
    return {**kind, "metadata": metadata, "spec": {"source": source}, "status": status}


def test_every_application_tells_how_far_it_is_from_git() -> None:
    store = records.applications()
    store.put(body("shop", STATUS))
    store.put(body("new", {}))

    told = {
        (family.name, *(v for k, v in sample.labels.items() if k != "namespace")): sample.value
        for family in gauges.applications(store)
        for sample in family.samples
    }

    assert told == {
        ("rollouts_application_info", "shop", "OutOfSync", "Healthy"): 1,
        ("rollouts_application_info", "new", "Unknown", "Unknown"): 1,
        ("rollouts_application_out_of_sync_objects", "shop"): 1,
        ("rollouts_application_out_of_sync_objects", "new"): 0,
        ("rollouts_application_quarantined", "shop"): 1,
        ("rollouts_application_quarantined", "new"): 0,
    }
