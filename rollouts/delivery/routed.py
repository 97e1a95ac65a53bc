"""The canary with routers: how many pods each side has, when a step is reached, what is scaled down when.

Sizes follow the traffic: a side keeps the pods for the share that it is still served, and gets those for
the share that it is to be served before it is. Which share goes where is decided in `weights`. Called by
`canary` and `plan`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from rollouts.api.rollout_status import RolloutStatus
from rollouts.api.strategy import CanaryStrategy
from rollouts.api.traffic import SetCanaryScale
from rollouts.delivery import replicas, view, weights
from rollouts.delivery.delay import ending, without_deadline
from rollouts.delivery.replicas import Pair
from rollouts.delivery.sets import Sets, sized
from rollouts.delivery.snapshot import ReplicaSet
from rollouts.delivery.view import Mode, View

_DELAY_SECONDS = 30


def pods(seen: View, strategy: CanaryStrategy, status: RolloutStatus) -> Pair:
    """Pods that the point where the update stands asks for."""
    match view.mode(seen, status):
        case Mode.INITIAL | Mode.PROVING | Mode.PROMOTED:
            return Pair(seen.replicas, 0)
        case Mode.ABORTED:
            return Pair(0, seen.replicas)
        case Mode.FAST:
            return Pair(seen.replicas, _stable(seen, strategy, status, seen.max_weight))
        case Mode.STEPPING:
            weight = weights.step_weight(seen, view.reached(seen, status))
            return Pair(_canary(seen, strategy, status, weight), _stable(seen, strategy, status, weight))


def sizes(seen: View, strategy: CanaryStrategy, status: RolloutStatus) -> Sets:
    held = view.is_held(seen, status)
    if held and not seen.rescaled:
        return seen.sets
    target = pods(seen, strategy, status)
    current, stable = seen.sets.current, seen.sets.stable
    if view.mode(seen, status) is Mode.ABORTED:
        current = _left(seen, strategy, current)
    elif not held or current.replicas:
        kept = 0 if _is_scaled(seen, strategy, status) else _kept(seen, current)
        current = sized(current, max(target.canary, kept))
    return replace(seen.sets, current=current, stable=sized(stable, target.stable) if stable else None)


def is_reached(seen: View, status: RolloutStatus, planned: Sets) -> bool:
    """Pods and traffic are as the step that the status names asks."""
    assert seen.canary is not None
    target = pods(seen, seen.canary, status)
    stable = seen.sets.stable
    created = stable is not None and planned.stable is not None and stable.current_replicas >= seen.replicas
    weight = weights.step_weight(seen, view.reached(seen, status))
    return (
        planned.current.replicas >= target.canary
        and seen.enough(target.canary)
        and (seen.canary.dynamic_stable_scale or created)
        and weights.are_set(seen, status, weight)
    )


def is_over(seen: View, status: RolloutStatus) -> bool:
    """All traffic is the canary's. A promotion that skips the steps moves it by the stable Service."""
    if view.mode(seen, status) in (Mode.FAST, Mode.INITIAL, Mode.PROVING):
        return True
    return weights.are_set(seen, status, seen.max_weight)


def retire(seen: View, strategy: CanaryStrategy, status: RolloutStatus, planned: Sets) -> Sets:
    """Deadlines for sets that nobody needs any more, and their end when a deadline has passed."""
    current, stable = planned.current, planned.stable
    if view.mode(seen, status) is Mode.ABORTED:
        current = _aborted(seen, strategy, current)
    else:
        current = without_deadline(current)
    others, delayed = [], 0
    for rs in planned.others:
        delayed += bool(rs.replicas) and not weights.share(seen, rs)
        others.append(_other(seen, strategy, status, rs, delayed))
    return Sets(current, without_deadline(stable) if stable else None, tuple(others))


def canary_pods(strategy: CanaryStrategy, index: int, count: int) -> int:
    """Pods of the canary at a step, by the spec alone. Called by `explain`."""
    maximum = (strategy.traffic_routing.max_traffic_weight if strategy.traffic_routing else None) or 100
    set_weights = [s.set_weight for s in strategy.steps[: index + 1] if s.set_weight is not None]
    return _scaled(strategy, index, set_weights[-1] if set_weights else 0, count, maximum)


def _canary(seen: View, strategy: CanaryStrategy, status: RolloutStatus, weight: int) -> int:
    index = view.reached(seen, status)
    if index >= len(seen.steps):
        return seen.replicas
    return _scaled(strategy, index, weight, seen.replicas, seen.max_weight)


def _scaled(strategy: CanaryStrategy, index: int, weight: int, count: int, maximum: int) -> int:
    scale = _scale(strategy, index)
    if scale and scale.replicas is not None:
        return scale.replicas
    share = scale.weight if scale and scale.weight is not None else weight
    return _at_least(strategy, replicas.for_share(count, share, maximum), count)


def _scale(strategy: CanaryStrategy, index: int) -> SetCanaryScale | None:
    """The last setCanaryScale up to a step, unless that gave the size back to the weight."""
    scales = [s.set_canary_scale for s in strategy.steps[: index + 1] if s.set_canary_scale]
    return scales[-1] if scales and not scales[-1].follows_weight else None


def _is_scaled(seen: View, strategy: CanaryStrategy, status: RolloutStatus) -> bool:
    """A person has said how many pods the canary has, whatever its weight."""
    index = view.reached(seen, status)
    return index < len(seen.steps) and _scale(strategy, index) is not None


def _stable(seen: View, strategy: CanaryStrategy, status: RolloutStatus, weight: int) -> int:
    """All replicas; or, scaled dynamically, those for the larger of what it is served and what it will be."""
    if not strategy.dynamic_stable_scale or (weights.is_superseded(seen, status) and weights.served(seen)):
        return seen.replicas  # what an overtaken version is served comes back to stable first
    share, stable = seen.max_weight - weight, seen.sets.stable
    if stable and not weights.is_shared(seen):
        share = max(share, weights.share(seen, stable))
    count = _at_least(strategy, replicas.for_share(seen.replicas, share, seen.max_weight), seen.replicas)
    unconfirmed = any(route.verified is False for route in seen.routes)
    return max(count, min(stable.replicas, seen.replicas)) if stable and unconfirmed else count


def _at_least(strategy: CanaryStrategy, count: int, replicas: int) -> int:
    """A side with a pod has minPodsPerReplicaSet of them, as far as there are replicas."""
    return max(count, min(strategy.min_pods_per_replica_set or 0, replicas)) if count else 0


def _kept(seen: View, rs: ReplicaSet) -> int:
    """Pods of a set that may not go yet: weight falls first."""
    needed = replicas.for_share(seen.replicas, weights.share(seen, rs), seen.max_weight)
    return min(rs.replicas, needed)


def _left(seen: View, strategy: CanaryStrategy, current: ReplicaSet) -> ReplicaSet:
    """The canary after an abort, as far as its size follows the traffic that goes back."""
    follows = strategy.dynamic_stable_scale and strategy.abort_scale_down_delay_seconds is None
    return sized(current, _kept(seen, current)) if follows else current


def _aborted(seen: View, strategy: CanaryStrategy, current: ReplicaSet) -> ReplicaSet:
    """The canary ends its delay once it is not served any more; without a delay it stays (0)."""
    delay = strategy.abort_scale_down_delay_seconds
    delay = _DELAY_SECONDS if delay is None else delay
    if not delay or not current.replicas or weights.share(seen, current):
        return without_deadline(current)
    return ending(seen, current, timedelta(seconds=delay))


def _other(
    seen: View, strategy: CanaryStrategy, status: RolloutStatus, rs: ReplicaSet, delayed: int
) -> ReplicaSet:
    if weights.share(seen, rs):
        kept = _kept(seen, rs) if strategy.dynamic_stable_scale else rs.replicas
        return without_deadline(sized(rs, kept))
    in_the_way = any(route.by_pods for route in seen.routes) and status.stable_rs != seen.hash
    was_stable = status.stable_rs == seen.hash or rs.scale_down_deadline is not None
    limit = strategy.scale_down_delay_revision_limit
    if (
        in_the_way
        or not was_stable
        or strategy.dynamic_stable_scale
        or (limit is not None and delayed > limit)
    ):
        return ending(seen, rs, timedelta())
    delay = strategy.scale_down_delay_seconds
    return (
        ending(seen, rs, timedelta(seconds=_DELAY_SECONDS if delay is None else delay)) if rs.replicas else rs
    )
