"""Which share of the traffic goes where, in a canary with routers.

The one place that decides it: what routers do now (`served`), what they should do (`wanted`, `shares`), and
whether they do it (`is_set`). Everything rests on weights as they were read back, never on what was asked
for, so that a router that fails or lies is waited for and nothing else is. Called by `routed` and `plan`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from rollouts.api.meta import Reason
from rollouts.api.rollout_status import RolloutStatus, TrafficWeights, WeightDestination
from rollouts.api.traffic import Feature, SetHeaderRoute, SetMirrorRoute, Shares
from rollouts.delivery import events, experiment_step, view
from rollouts.delivery.actions import SetWeights
from rollouts.delivery.events import Fact
from rollouts.delivery.sets import available
from rollouts.delivery.snapshot import ReplicaSet, Route
from rollouts.delivery.view import Mode, View

RETRY = timedelta(seconds=10)
"""How often a router is asked again that has failed or does not confirm (argo-rollouts: utils/defaults)."""


def step_weight(seen: View, index: int) -> int:
    """The share at a step: that of the nearest setWeight up to it; everything after the last step."""
    if index >= len(seen.steps):
        return seen.max_weight
    weights = [step.set_weight for step in seen.steps[: index + 1] if step.set_weight is not None]
    return weights[-1] if weights else 0


def served(seen: View) -> int:
    """The canary Service's share, the largest of all routers; as it was last known where none can be read."""
    known = [_served(seen, route) for route in seen.routes if route.read and (route.shares or route.shared)]
    if known:
        return max(known)
    weights = seen.old.canary.weights
    return weights.canary.weight if weights else 0


def share(seen: View, rs: ReplicaSet) -> int:
    """What a set is served now, by either Service."""
    assert seen.canary is not None
    weight = served(seen)
    total = 0
    if _selects(seen, seen.canary.canary_service, rs):
        total += weight
    if _selects(seen, seen.canary.stable_service, rs):
        total += seen.max_weight - weight
    return total


def is_shared(seen: View) -> bool:
    """Pods of both sides are behind one Service, and share what comes."""
    return any(route.shared for route in seen.routes)


def wanted(seen: View, status: RolloutStatus, needed: int) -> int:
    """The canary's share that may be set now, when `needed` pods of it are to be available for a rise.

    Pods come before weight, and no side gets more while none of its pods is available. A share comes back
    to stable as fast as stable can carry it.
    """
    assert seen.canary is not None
    now, goal = served(seen), _goal(seen, status)
    front = seen.behind(seen.canary.canary_service)
    is_dead = front is None or not _serving(front)
    if is_dead or is_superseded(seen, status):
        goal = 0
    if goal > now or (goal and is_shared(seen) and goal < seen.max_weight):
        return goal if _may_rise(seen, status, goal, needed) else now
    return _lowered(seen, status, now, goal, is_dead=is_dead) if goal < now else now


def is_free(seen: View, status: RolloutStatus, rs: ReplicaSet) -> bool:
    """The canary Service may select this set: it selects it, is served nothing, or the set can carry all.

    The last brings users back to stable where the router cannot.
    """
    assert seen.canary is not None
    front = seen.behind(seen.canary.canary_service)
    if front is None or front.pod_template_hash == rs.pod_template_hash or not served(seen):
        return True
    return rs.pod_template_hash == status.stable_rs and _carried(seen, rs) == seen.max_weight


def shares(seen: View, status: RolloutStatus, weight: int) -> Shares:
    """What every router is told for a share of the canary."""
    assert seen.canary is not None
    front, home = seen.behind(seen.canary.canary_service), seen.behind(seen.canary.stable_service)
    additional = experiment_step.shares(seen, status)
    if weight + sum(destination.weight for destination in additional) > seen.max_weight:
        additional = ()  # the canary still has more than at this step
    rest = seen.max_weight - weight - sum(destination.weight for destination in additional)
    headers, mirrors = _routes(seen, status, front)
    return Shares(
        canary=WeightDestination(
            weight, seen.canary.canary_service, front.pod_template_hash if front else seen.hash
        ),
        stable=WeightDestination(
            rest, seen.canary.stable_service, home.pod_template_hash if home else status.stable_rs
        ),
        additional=additional,
        header_routes=headers,
        mirror_routes=mirrors,
        maximum=seen.max_weight,
    )


def changes(seen: View, status: RolloutStatus, weight: int) -> tuple[SetWeights, ...]:
    """What routers have to be told. One that has failed is left alone for a while, but not on an abort."""
    told = shares(seen, status, weight)
    begins_abort = status.abort and not seen.old.aborted_at
    return tuple(
        SetWeights(route.router, told)
        for route in seen.routes
        if route.read
        and not is_set(route, told)
        and (begins_abort or route.retry_at is None or route.retry_at <= seen.snapshot.now)
    )


def are_set(seen: View, status: RolloutStatus, weight: int) -> bool:
    """Every router does it for the set that it is meant for, and none of those that can tell denies it."""
    told = shares(seen, status, weight)
    if weight and is_superseded(seen, status):
        return False
    return all(is_set(route, told) and route.verified is not False for route in seen.routes)


def is_set(route: Route, told: Shares) -> bool:
    if not route.read:
        return False
    if route.shared:
        return 0 < told.canary.weight < told.maximum
    read = route.shares
    return (
        read is not None
        and _is_same(read.canary, told.canary)
        and _is_same(read.stable, told.stable)
        and len(read.additional) == len(told.additional)
        and all(_is_same(a, b) for a, b in zip(read.additional, told.additional, strict=True))
        and (Feature.HEADER_ROUTES not in route.features or read.header_routes == told.header_routes)
        and (Feature.MIRROR_ROUTES not in route.features or read.mirror_routes == told.mirror_routes)
    )


def again_at(seen: View, status: RolloutStatus, weight: int) -> datetime | None:
    """When routers are looked at again: they should do something else than they do, or do not confirm it."""
    if not seen.routes or are_set(seen, status, weight):
        return None
    later = [route.retry_at for route in seen.routes if route.retry_at and route.retry_at > seen.snapshot.now]
    return min(later, default=seen.now + RETRY)


def as_read(seen: View, status: RolloutStatus, needed: int) -> TrafficWeights:
    """The weights for the status. Nobody can be asked where no router is named: then what is wanted counts."""
    told = shares(seen, status, served(seen) if seen.routes else wanted(seen, status, needed))
    verdicts = {route.verified for route in seen.routes if route.read} - {None}
    old = seen.old.canary.weights
    is_read = any(route.read for route in seen.routes)
    verified = (False not in verdicts if verdicts else None) if is_read else (old.verified if old else None)
    read = next((route.shares for route in seen.routes if route.read and route.shares), told)
    rest = seen.max_weight - told.canary.weight - sum(each.weight for each in read.additional)
    return TrafficWeights(told.canary, replace(told.stable, weight=rest), read.additional, verified)


def errors(seen: View) -> str:
    """What is wrong with the routers, in one line; nothing new while they have not been read."""
    if seen.routes and not any(route.read or route.error for route in seen.routes):
        return seen.old.canary.router_error
    return "; ".join(
        f"{route.router}: {error}"
        for route in seen.routes
        for error in (route.error, route.verify_error)
        if error
    )


def told(seen: View, status: RolloutStatus) -> Iterator[Fact]:
    """What has become of weights since the last status."""
    before, after = seen.old.canary.weights, status.canary.weights
    if not seen.routes or after is None:
        return
    if status.canary.router_error != seen.old.canary.router_error and status.canary.router_error:
        failed = any(route.error for route in seen.routes)
        reason = Reason.TRAFFIC_ROUTING_ERROR if failed else Reason.WEIGHT_VERIFY_ERROR
        yield events.warning(reason, status.canary.router_error)
    was, now = before.canary.weight if before else 0, after.canary.weight
    mixed = is_shared(seen) and 0 < was < seen.max_weight  # pods that come and go move it all the time
    if was != now and not mixed:
        yield events.normal(Reason.TRAFFIC_WEIGHT_UPDATED, f"Traffic weight of the canary: {was} → {now}")


def _served(seen: View, route: Route) -> int:
    if route.shares is not None:
        return route.shares.canary.weight
    serving = sum(_serving(rs) for rs in seen.sets)
    part = round(seen.max_weight * _serving(seen.sets.current) / serving) if serving else 0
    return min(max(part, 1), seen.max_weight - 1)


def _serving(rs: ReplicaSet) -> int:
    """Pods that users may reach, also while the counts are those from before the last change of size."""
    return min(rs.available_replicas, rs.replicas)


def is_superseded(seen: View, status: RolloutStatus) -> bool:
    """What the canary Service selects is no part of this update: its share is not ours."""
    assert seen.canary is not None
    under_way = view.mode(seen, status) in (Mode.STEPPING, Mode.FAST) and not view.is_held(seen, status)
    return under_way and not _selects(seen, seen.canary.canary_service, seen.sets.current)


def _selects(seen: View, service: str, rs: ReplicaSet) -> bool:
    found = seen.service(service)
    return found is not None and found.selected_hash == rs.pod_template_hash


def _goal(seen: View, status: RolloutStatus) -> int:
    """The share that the update has come to, whatever the pods."""
    if view.is_held(seen, status):
        return served(seen)
    match view.mode(seen, status):
        case Mode.INITIAL | Mode.PROVING | Mode.PROMOTED | Mode.ABORTED:
            return 0
        case Mode.FAST:
            return _fast(seen)
        case Mode.STEPPING:
            return step_weight(seen, view.reached(seen, status))


def _fast(seen: View) -> int:
    """Where stable keeps its pods the promotion moves everything; where it shrinks, weight goes with the pods."""
    assert seen.canary is not None
    now = served(seen)
    if not seen.canary.dynamic_stable_scale or not seen.replicas:
        return now
    return max(now, min(seen.max_weight, seen.max_weight * available(seen.sets.current) // seen.replicas))


def _may_rise(seen: View, status: RolloutStatus, goal: int, needed: int) -> bool:
    assert seen.canary is not None
    current = seen.sets.current
    if not _selects(seen, seen.canary.canary_service, current) or not available(current):
        return False
    if goal < seen.max_weight and _mixes(seen):
        return False
    return view.mode(seen, status) is Mode.FAST or seen.enough(needed)


def _mixes(seen: View) -> bool:
    """Where pods share by their number, none of a third version may be among them."""
    by_pods = any(route.by_pods for route in seen.routes)
    return by_pods and any(rs.current_replicas for rs in seen.sets.others)


def _lowered(seen: View, status: RolloutStatus, now: int, goal: int, *, is_dead: bool) -> int:
    assert seen.canary is not None
    home = seen.behind(seen.canary.stable_service)
    if home is None or home.pod_template_hash != status.stable_rs:
        return now  # the stable Service is still to be switched
    if not available(home) and seen.replicas:
        return now
    if is_dead or _is_overdue(seen, status):
        return goal
    return min(now, max(goal, seen.max_weight - _carried(seen, home)))


def _carried(seen: View, home: ReplicaSet) -> int:
    """The share that stable can take: all of it, once no more pods are missing than may be missing."""
    assert seen.canary is not None
    fewest = seen.replicas if seen.canary.dynamic_stable_scale else seen.limits.fewest
    if available(home) >= max(fewest, min(1, seen.replicas)):
        return seen.max_weight
    return seen.max_weight * available(home) // seen.replicas


def _is_overdue(seen: View, status: RolloutStatus) -> bool:
    """An abort ends: what has not come back to stable in time comes back to the pods that there are."""
    if status.aborted_at is None:
        return False
    return status.aborted_at + timedelta(seconds=seen.spec.progress_deadline_seconds) <= seen.snapshot.now


def _routes(
    seen: View, status: RolloutStatus, front: ReplicaSet | None
) -> tuple[tuple[SetHeaderRoute, ...], tuple[SetMirrorRoute, ...]]:
    """The routes that steps have set so far, in the order of managedRoutes; none to a canary without pods."""
    is_current = front is not None and front.pod_template_hash == seen.hash and _serving(front) > 0
    if seen.routing is None or view.mode(seen, status) is not Mode.STEPPING or not is_current:
        return (), ()
    index = view.reached(seen, status)
    steps = seen.steps[: index + 1] if index < len(seen.steps) else ()
    headers = {step.set_header_route.name: step.set_header_route for step in steps if step.set_header_route}
    mirrors = {step.set_mirror_route.name: step.set_mirror_route for step in steps if step.set_mirror_route}
    order = [route.name for route in seen.routing.managed_routes]
    return (
        tuple(headers[name] for name in order if name in headers and headers[name].match),
        tuple(mirrors[name] for name in order if name in mirrors and mirrors[name].match),
    )


def _is_same(read: WeightDestination, told: WeightDestination) -> bool:
    return (
        read.weight == told.weight
        and read.service_name in ("", told.service_name)
        and read.pod_template_hash in ("", told.pod_template_hash)
    )
