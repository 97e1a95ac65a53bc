"""Weight <-> count: how many pods each side should have, and how far towards that one may go now.

Rules of argo-rollouts (utils/replicaset/canary.go) for a canary without a traffic router, with exact
arithmetic. Decides sizes only; which weight is wanted is decided in `canary`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

from rollouts.api.schema import IntOrString
from rollouts.api.strategy import ProgressType, ReplicaProgressThreshold
from rollouts.delivery.sets import Sets, available, sized
from rollouts.delivery.snapshot import ReplicaSet


@dataclass(frozen=True, slots=True)
class Limits:
    """How many pods there must be (`fewest`, available) and may be (`most`, asked for)."""

    replicas: int
    surge: int
    unavailable: int

    @property
    def most(self) -> int:
        return self.replicas + self.surge

    @property
    def fewest(self) -> int:
        return self.replicas - self.unavailable


@dataclass(frozen=True, slots=True)
class Pair:
    """Pods of the canary (the current set) and of stable."""

    canary: int
    stable: int


def limits(replicas: int, max_surge: IntOrString, max_unavailable: IntOrString) -> Limits:
    """Surge rounds up, unavailable rounds down; both zero would allow nothing, so one may be missing."""
    surge = -(-_hundredths(max_surge, replicas) // 100)
    unavailable = _hundredths(max_unavailable, replicas) // 100
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Limits(replicas, surge, min(unavailable, replicas))


def for_weight(replicas: int, weight: int, *, surge: bool) -> Pair:
    """The pair that comes nearest to `weight` percent of canary pods.

    With `surge` one more pod than `replicas` may be used, never more. Between 1 and 99 percent both sides
    have a pod wherever two pods are possible. Of two equally near pairs the first candidate wins.
    """
    if replicas == 0:
        return Pair(0, 0)
    low, high = replicas * weight // 100, -(-replicas * weight // 100)
    one_sided = weight in (0, 100) or (replicas == 1 and not surge)
    candidates: list[tuple[int, int]] = [(high, replicas)] if high < replicas or one_sided else []
    candidates += _lower(low, replicas, weight, one_sided=one_sided)
    if surge:
        candidates += [(high, replicas + 1), *_lower(low, replicas + 1, weight, one_sided=one_sided)]
    # argo-rollouts falls back to no canary at all here, against its own rule (2@75, 5@90, 10@95, ...)
    nearest = functools.partial(_distance, replicas=replicas, weight=weight)
    canary, total = min(candidates, key=nearest, default=(replicas - 1, replicas))
    return Pair(canary, total - canary)


def for_share(replicas: int, weight: int, maximum: int) -> int:
    """Pods that a share of the traffic needs; any share needs one."""
    return -(-weight * replicas // maximum)


def enough(threshold: ReplicaProgressThreshold | None, available: int, desired: int) -> bool:
    """Whether so many pods are enough to go on.

    A count of Pods that a step does not even ask for would never be reached: then all of them are enough.
    """
    if threshold is None:
        return available >= desired
    if threshold.type is ProgressType.PERCENT:
        return available * 100 >= min(threshold.value, 100) * desired
    return available >= min(threshold.value, desired)


def toward(sets: Sets, target: Pair, bounds: Limits) -> Sets:
    """The sizes nearest to `target` that can be asked for now; others go down to nothing.

    Repeats single paces on the planned sizes, because room that one set gives up is room for another.
    Availability is always the observed one, so every removal is safe whatever comes first.
    """
    while (after := pace(sets, target, bounds)) != sets:
        sets = after
    return _yielded(sets, target, bounds)


def pace(sets: Sets, target: Pair, bounds: Limits) -> Sets:
    """One pace: up within the surge (stable first), then others down, then current and stable down."""
    grown = _grow(sets, target, bounds)
    drained = _drain(grown, bounds)
    return _bounded(_shrink(drained, target, bounds), target, bounds)


def _hundredths(value: IntOrString, replicas: int) -> int:
    return int(value.removesuffix("%")) * replicas if isinstance(value, str) else value * 100


def _lower(low: int, total: int, weight: int, *, one_sided: bool) -> list[tuple[int, int]]:
    exactly_between = total * weight % 100 == 50  # then only the larger canary counts
    return [] if exactly_between or (low == 0 and not one_sided) else [(low, total)]


def _distance(candidate: tuple[int, int], replicas: int, weight: int) -> int:
    canary, total = candidate
    # |canary/total - weight/100| on the common denominator replicas * (replicas + 1): exact
    other_total = 2 * replicas + 1 - total
    return abs(canary * 100 - weight * total) * other_total


def _grow(sets: Sets, target: Pair, bounds: Limits) -> Sets:
    room = max(0, bounds.most - sets.total)
    stable = sets.stable
    if stable is not None:
        stable = sized(stable, max(stable.replicas, min(target.stable, stable.replicas + room)))
        room -= stable.replicas - (sets.stable or stable).replicas
    current = sets.current
    current = sized(current, max(current.replicas, min(target.canary, current.replicas + room)))
    return replace(sets, current=current, stable=stable)


def _drain(sets: Sets, bounds: Limits) -> Sets:
    """Others first lose what is not ready anyway, then what is ready and not needed."""
    spare = max(0, sets.available - bounds.fewest)
    others: list[ReplicaSet] = []
    for rs in sets.others:
        ready = available(rs) if rs.observed else rs.replicas
        gone = min(ready, spare)
        spare -= gone
        others.append(sized(rs, ready - gone))
    return replace(sets, others=tuple(others))


def _shrink(sets: Sets, target: Pair, bounds: Limits) -> Sets:
    """A side keeps so many pods that, were all of them ready, nobody would miss one.

    What is ready elsewhere counts; what this side itself has ready does not, or a crash loop on one side
    would hold up the other for ever.
    """
    elsewhere = sets.available - available(sets.current)
    current = sized(sets.current, _kept(sets.current, target.canary, bounds.fewest - elsewhere))
    sets = replace(sets, current=current)
    if sets.stable is None:
        return sets
    elsewhere = sets.available - available(sets.stable)
    return replace(
        sets, stable=sized(sets.stable, _kept(sets.stable, target.stable, bounds.fewest - elsewhere))
    )


def _bounded(sets: Sets, target: Pair, bounds: Limits) -> Sets:
    """Within the surge also when there is less of it than before: pods go that nobody would miss.

    They are of the side that is to have more, because the other one is about to give up its own.
    """
    over, stable = sets.total - bounds.most, sets.stable
    if over <= 0 or stable is None or any(rs.replicas for rs in sets.others):
        return sets
    if target.canary < sets.current.replicas:
        stable = _lessened(stable, over, bounds.fewest - available(sets.current))
        over -= (sets.stable or stable).replicas - stable.replicas
    current = _lessened(sets.current, over, bounds.fewest - available(stable))
    over -= sets.current.replicas - current.replicas
    return replace(sets, current=current, stable=_lessened(stable, over, bounds.fewest - available(current)))


def _lessened(rs: ReplicaSet, over: int, needed: int) -> ReplicaSet:
    return sized(rs, min(rs.replicas, max(rs.replicas - over, needed, 0)))


def _yielded(sets: Sets, target: Pair, bounds: Limits) -> Sets:
    """Room for the current set where a broken stable and a superseded set hold all of it.

    The superseded set cannot go, because it is all that is ready; stable's pods that are not ready can.
    """
    stable, current = sets.stable, sets.current
    if stable is None or not stable.observed or not any(rs.replicas for rs in sets.others):
        return sets
    if available(current) < current.replicas:
        return sets  # pods are on their way
    count = min(stable.replicas - available(stable), target.canary - current.replicas)
    if count <= 0:
        return sets
    room = max(0, min(count, bounds.most - (sets.total - count)))
    stable, current = sized(stable, stable.replicas - count), sized(current, current.replicas + room)
    return replace(sets, current=current, stable=stable)


def _kept(rs: ReplicaSet, target: int, needed: int) -> int:
    return min(rs.replicas, max(target, needed))
