"""The state of Applications as gauges, read from the store at a scrape. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily

from rollouts.api.application_status import SyncStatus
from rollouts.controller.applications.records import KnownApplication
from rollouts.controller.cache import Store

__all__ = ["applications"]

_OBJECT = ("namespace", "name")


def applications(store: Store[KnownApplication]) -> Iterator[GaugeMetricFamily]:
    """argo-cd: argocd_app_info; and how far each one is from Git."""
    info = GaugeMetricFamily(
        "rollouts_application_info", "Every Application.", labels=(*_OBJECT, "sync_status", "health_status")
    )
    drifted = GaugeMetricFamily(
        "rollouts_application_out_of_sync_objects", "Objects that are not as declared.", labels=_OBJECT
    )
    quarantined = GaugeMetricFamily(
        "rollouts_application_quarantined", "1 while what Git says is quarantined.", labels=_OBJECT
    )
    for record in store:
        status, where = record.value.status, tuple(record.key)
        info.add_metric((*where, status.sync.status, status.health.status), 1)
        drifted.add_metric(where, sum(r.status is SyncStatus.OUT_OF_SYNC for r in status.resources))
        held = any(q.revision == status.desired_revision and not q.retry_at for q in status.quarantine)
        quarantined.add_metric(where, held)
    yield from (info, drifted, quarantined)
