"""How the target set is, object by object and all in all.

Decides what counts as good, as failing and as awaited; not what follows from it (`plan`). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from rollouts.api.application_status import (
    FailureReason,
    HealthStatus,
    ResourceHealth,
    ResourceStatus,
    SyncStatus,
)
from rollouts.gitops.resources import health, inventory
from rollouts.gitops.resources.diff import Change
from rollouts.gitops.resources.health import Health
from rollouts.gitops.resources.live import Live
from rollouts.gitops.resources.manifests import Manifest, ObjectKey
from rollouts.gitops.snapshot import Snapshot

_TELLING = frozenset({HealthStatus.SUSPENDED, HealthStatus.DEGRADED, HealthStatus.UNKNOWN})

Failure = tuple[FailureReason, str]


@dataclass(frozen=True, slots=True)
class Picture:
    """How the target set is, all in all."""

    resources: tuple[ResourceStatus, ...] = ()
    health: HealthStatus = HealthStatus.HEALTHY
    worst: str = ""
    """The object that is worst, and why."""
    failure: Failure | None = None
    awaited: str = ""
    """An object under the Application's timeout that is not healthy."""
    all_promoted: bool = True
    is_good: bool = True
    differing: tuple[str, ...] = ()
    left_over: int = 0


def of(s: Snapshot, changes: tuple[Change, ...], leftovers: tuple[Live, ...]) -> Picture:
    changed = {c.manifest.key for c in changes}
    views = [(m, _as_of_its_workload(s.live.get(m.key), s.live)) for m in s.declared.manifests]
    failing = [(live.health.failure, live) for _, live in views if live and live.health.failure]
    awaited = next(
        (_told(m.key, live) for m, live in views if not _is_well(live) and not _delivers(live)), ""
    )
    unplaced = (HealthStatus.MISSING,) if s.declared.refusal else ()
    return Picture(
        resources=(
            *(_resource(m, live, m.key in changed) for m, live in views),
            *(_leftover(live) for live in leftovers),
        ),
        health=health.worst((*(_health_of(live) for _, live in views), *unplaced)),
        worst=_worst(views),
        failure=next(((reason, f"{live.key}: {live.health.message}") for reason, live in failing), None),
        awaited=awaited,
        all_promoted=all(live is not None and live.health.promoted for _, live in views),
        is_good=all(_is_well(live) and live is not None and live.health.promoted for _, live in views),
        differing=tuple(str(key) for key in sorted(changed)),
        left_over=sum(1 for live in leftovers if not inventory.is_protected(live)),
    )


def _as_of_its_workload(live: Live | None, every: Mapping[ObjectKey, Live]) -> Live | None:
    """A Rollout is not promoted before it has seen the template that its workloadRef has now."""
    if live is None or live.takes_from is None:
        return live
    kind, name, observed = live.takes_from
    group = "" if kind == "PodTemplate" else "apps"
    found = every.get(ObjectKey(group, kind, live.key.namespace, name))
    if found is None or observed == str(found.generation) or live.health.failure:
        return live
    unseen = f"has not seen the latest template of {kind} {name}"
    late = Health(HealthStatus.PROGRESSING, unseen, promoted=False, waits_for_delivery=True)
    return replace(live, health=late)


def _resource(m: Manifest, live: Live | None, is_changed: bool) -> ResourceStatus:  # noqa: FBT001
    found = _health_of(live)
    message = live.health.message if live and found in _TELLING else ""
    return ResourceStatus(
        kind=m.key.kind,
        name=m.key.name,
        group=m.key.group,
        version=m.version,
        namespace=m.key.namespace,
        status=SyncStatus.OUT_OF_SYNC if is_changed else SyncStatus.SYNCED,
        health=ResourceHealth(found, message),
    )


def _leftover(live: Live) -> ResourceStatus:
    return ResourceStatus(
        kind=live.key.kind,
        name=live.key.name,
        group=live.key.group,
        version=live.version,
        namespace=live.key.namespace,
        status=SyncStatus.SYNCED if inventory.is_protected(live) else SyncStatus.OUT_OF_SYNC,
        requires_pruning=True,
    )


def _health_of(live: Live | None) -> HealthStatus:
    return live.health.status if live else HealthStatus.MISSING


def _is_well(live: Live | None) -> bool:
    if live is None:
        return False
    found = live.health
    is_suspended = found.status is HealthStatus.SUSPENDED and not found.waits_for_delivery
    return found.status is HealthStatus.HEALTHY or is_suspended


def _delivers(live: Live | None) -> bool:
    return live is not None and live.health.waits_for_delivery


def _worst(views: Iterable[tuple[Manifest, Live | None]]) -> str:
    views = list(views)
    bad = health.worst(tuple(_health_of(live) for _, live in views))
    if bad is HealthStatus.HEALTHY:
        return ""
    return next(_told(m.key, live) for m, live in views if _health_of(live) is bad)


def _told(key: ObjectKey, live: Live | None) -> str:
    """Counts of pods are left out: they change with every pod, and each change would be a write."""
    found = _health_of(live)
    message = f": {live.health.message}" if live and found in _TELLING and live.health.message else ""
    return f"{key} is {found}{message}"
