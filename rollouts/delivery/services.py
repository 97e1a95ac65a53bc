"""Which pod template hash each Service of a Rollout selects.

Decides selectors only, never sizes; the order (capacity before, removal after) is made in `plan`.
"""

from __future__ import annotations

from collections.abc import Iterator

from rollouts.api.meta import Reason
from rollouts.api.rollout_status import RolloutStatus
from rollouts.delivery import events, view, weights
from rollouts.delivery.actions import Event, SwitchService
from rollouts.delivery.sets import Sets, available
from rollouts.delivery.snapshot import ReplicaSet, Service
from rollouts.delivery.view import Mode, View


def switches(seen: View, status: RolloutStatus, planned: Sets) -> tuple[SwitchService, ...]:
    """The Services that do not yet select what they should."""
    wanted = _blue_green(seen, status) if seen.blue_green else _canary(seen, status, planned)
    return tuple(
        SwitchService(service.name, service.uid, service.resource_version, selected)
        for service, selected in wanted
        if selected and (service.selected_hash != selected or service.managed_by != seen.name)
    )


def told(seen: View, switch: SwitchService) -> Event | None:
    service = seen.service(switch.name)
    before = service.selected_hash if service else ""
    if before == switch.pod_template_hash:
        return None
    return events.normal(
        Reason.SWITCH_SERVICE,
        f"Switched Service {switch.name} from {before or 'all pods'} to {switch.pod_template_hash}",
        about=switch.name,
    )


def preview(seen: View, status: RolloutStatus) -> str:
    """The hash that the preview Service selects after this decision."""
    service = seen.service(seen.blue_green.preview_service) if seen.blue_green else None
    if service is None:
        return ""
    return service.selected_hash if view.is_held(seen, status) else seen.hash


def _blue_green(seen: View, status: RolloutStatus) -> Iterator[tuple[Service, str]]:
    assert seen.blue_green is not None
    active = seen.service(seen.blue_green.active_service)
    front = seen.service(seen.blue_green.preview_service)
    if front is not None:
        yield front, preview(seen, status)
    if active is not None:
        yield active, status.blue_green.active_selector


def _canary(seen: View, status: RolloutStatus, planned: Sets) -> Iterator[tuple[Service, str]]:
    assert seen.canary is not None
    if view.is_held(seen, status):
        return
    current, stable = seen.sets.current, seen.sets.stable
    # Promoted, perhaps in this very plan; with routers only once that is written: after a crash traffic would
    # be sent back to the old set by a stable Service that does not select it any more.
    promoted = seen.old.stable_rs if seen.routing else status.stable_rs
    if promoted == seen.hash or stable is None:
        yield from _once_ready(seen, seen.canary.stable_service, current)
        yield from _at_the_front(seen, status, current)
        return
    aborted = view.mode(seen, status) is Mode.ABORTED
    yield from _at_the_front(seen, status, stable if aborted else current)
    # A Service never ends up without pods: when stable is emptied at 100 % the canary takes its place.
    emptied = planned.stable is not None and planned.stable.replicas == 0 and seen.routing is None
    yield from _once_ready(seen, seen.canary.stable_service, current if emptied else stable)


def _at_the_front(seen: View, status: RolloutStatus, rs: ReplicaSet) -> Iterator[tuple[Service, str]]:
    """The canary Service; with routers it moves only while it is served nothing."""
    assert seen.canary is not None
    if seen.routing is None or weights.is_free(seen, status, rs):
        yield from _once_ready(seen, seen.canary.canary_service, rs)


def _once_ready(seen: View, name: str, rs: ReplicaSet) -> Iterator[tuple[Service, str]]:
    """A Service moves to a set that has a pod for it; to be taken over from a person, to a whole set."""
    service = seen.service(name)
    if service is None:
        return
    if service.selected_hash == rs.pod_template_hash or available(rs) >= (
        1 if service.managed_by else max(1, rs.replicas)
    ):
        yield service, rs.pod_template_hash
