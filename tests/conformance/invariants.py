"""What must hold from each observation of a Rollout to the next, whatever the scenario.

Pure; both players ask it about everything that they see. Bounds count from what was there before, because a
change of the replicas may leave more or fewer pods than the new bounds allow.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from rollouts.delivery import replicas
from rollouts.delivery.replicas import Limits
from tests.conformance.scenario import Object
from tests.conformance.seen import Seen, Set


def broken(before: Seen, after: Seen) -> Iterator[str]:
    """In words, each thing that should not have happened between two observations."""
    if before.sets != after.sets:
        yield from _sizes(before, after)
    if before.services != after.services:
        yield from _services(before, after)
    if before.status != after.status:
        yield from _steps(before.status, after.status)
    yield from _runs(before, after)


def _sizes(before: Seen, after: Seen) -> Iterator[str]:
    spec = after.rollout["spec"]
    bounds = _bounds(spec)
    if bounds is None:
        yield from _active(before, after, spec)
        return
    total = _wanted(after)
    if total > max(_wanted(before), bounds.most):
        yield f"{total} pods, {bounds.most} are allowed"
    shrunk = any(s.replicas < before.sets[n].replicas for n, s in after.sets.items() if n in before.sets)
    kept = _kept(after)
    if shrunk and kept < min(_kept(before), bounds.fewest):
        yield f"{kept} pods are available, {bounds.fewest} are needed"


def _bounds(spec: Object) -> Limits | None:
    strategy = spec["strategy"]
    by_type = {} if strategy.get("type") == "RollingUpdate" else None
    canary = strategy.get("canary", strategy.get("rollingUpdate", by_type))
    if canary is None or "trafficRouting" in canary:
        return None
    surge, unavailable = canary.get("maxSurge", "25%"), canary.get("maxUnavailable", "25%")
    return replicas.limits(spec.get("replicas", 1), surge, unavailable)


def _active(before: Seen, after: Seen, spec: Object) -> Iterator[str]:
    """The set that users reach is never made smaller than the spec asks for."""
    blue_green = spec["strategy"].get("blueGreen")
    if "recreate" in spec["strategy"] or spec["strategy"].get("type") == "Recreate":
        yield from _alone(before, after)
    selected = after.services.get(blue_green["activeService"]) if blue_green else None
    active = next((n for n, s in after.sets.items() if s.hash == selected), None)
    if active is None or active not in before.sets:
        return
    size = after.sets[active].replicas
    if size < min(before.sets[active].replicas, spec.get("replicas", 1)):
        yield f"the active set is made smaller: {size}"


def _alone(before: Seen, after: Seen) -> Iterator[str]:
    """A set grows only when no other has pods."""
    for name, rs in after.sets.items():
        others = [other for n, other in after.sets.items() if n != name]
        grows = name not in before.sets or rs.replicas > before.sets[name].replicas
        if grows and rs.replicas and any(other.replicas or other.current for other in others):
            yield f"two versions run: {name} grows"


def _services(before: Seen, after: Seen) -> Iterator[str]:
    """No Service goes from pods that serve to a set that has none."""
    for name, selected in after.services.items():
        left, reached = _of(before, before.services.get(name, "")), _of(after, selected)
        is_switched = selected != before.services.get(name) and left and left.available
        if is_switched and _matters(name, after) and reached and not reached.available:
            yield f"Service {name} goes to a set without available pods"


def _matters(service: str, seen: Seen) -> bool:
    """People reach their users' version by it; a preview may be empty."""
    strategy = seen.rollout["spec"]["strategy"]
    named = (
        (strategy.get("blueGreen") or {}).get("activeService"),
        (strategy.get("canary") or {}).get("stableService"),
    )
    return service in named


def _steps(before: Object, after: Object) -> Iterator[str]:
    """Within one try at one template steps go forward, but for an abort."""
    attempt = ("currentPodHash", "currentStepHash", "attempt", "currentRevision", "abortedAt")
    same = all(before.get(key) == after.get(key) for key in attempt)
    here, there = before.get("currentStepIndex", 0), after.get("currentStepIndex", 0)
    if same and there < here:
        yield f"from step {here} back to {there}"
    if after.get("pauseConditions") and after.get("abortedAt"):
        yield "aborted, and waiting all the same"


def _runs(before: Seen, after: Seen) -> Iterator[str]:
    for name in after.runs.keys() - before.runs.keys():
        whose = {run.name for run in after.runs.values() if run.what == after.runs[name].what}
        same_try = {other for other in whose if _stem(other) == _stem(name) and other != name}
        if any(after.runs[other].phase in ("Pending", "Running") for other in same_try):
            yield f"{name} beside {same_try}"


def _stem(name: str) -> str:
    return name.partition(".")[0]


def _of(seen: Seen, pod_hash: str) -> Set | None:
    return next((s for s in seen.sets.values() if s.hash == pod_hash), None)


def _wanted(seen: Seen) -> int:
    return sum(s.replicas for s in seen.sets.values())


def _kept(seen: Seen) -> int:
    return sum(min(s.replicas, s.available) for s in seen.sets.values())


def all_broken(observations: Iterable[Seen]) -> tuple[str, ...]:
    """Over a whole film."""
    return tuple(
        wrong for before, after in itertools.pairwise(observations) for wrong in broken(before, after)
    )
