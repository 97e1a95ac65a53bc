"""What people ask about a Rollout, read from the objects as the API server gives them.

Pure. Takes any object, valid or not: a Rollout with a broken spec is the one that people look at. Decides
how a status is read (as the clients of Argo Rollouts read it), not how it is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from rollouts.api import parse
from rollouts.api.meta import POD_TEMPLATE_HASH_LABEL, Names
from rollouts.api.rollout_status import Phase
from rollouts.api.strategy import OnTimeout
from rollouts.errors import SpecError

Object = Mapping[str, Any]

_STRATEGIES = {
    "canary": "Canary",
    "blueGreen": "BlueGreen",
    "rollingUpdate": "RollingUpdate",
    "recreate": "Recreate",
}


class Role(StrEnum):
    """What a ReplicaSet is to its Rollout."""

    STABLE = "stable"
    CANARY = "canary"
    ACTIVE = "active"
    PREVIEW = "preview"
    OLD = ""


class Place(StrEnum):
    """Where a step stands in relation to the current one."""

    DONE = "done"
    CURRENT = "current"
    NEXT = "next"


@dataclass(frozen=True, slots=True)
class Step:
    number: int
    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class Revision:
    """One ReplicaSet of a Rollout."""

    number: int
    name: str
    pod_template_hash: str
    images: tuple[str, ...]
    roles: tuple[Role, ...]
    desired: int
    ready: int
    git_revision: str
    created_at: datetime | None
    template: Object


def dig(value: Any, *path: str) -> Any:
    """The value at a path of keys; None where anything on the way is absent or not an object."""
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def phase(rollout: Object) -> tuple[Phase, str]:
    """Phase and message; Progressing while the controller has not seen the spec or a resume yet."""
    status = dig(rollout, "status") or {}
    if is_unobserved(rollout):
        return Phase.PROGRESSING, "waiting for the controller to observe the spec"
    if status.get("controllerPause") and not status.get("pauseConditions"):
        return Phase.PROGRESSING, "waiting for the controller to resume"
    return _phase_of(status), str(status.get("message") or "")


def is_unobserved(rollout: Object) -> bool:
    observed = str(dig(rollout, "status", "observedGeneration") or "")
    generation = int(dig(rollout, "metadata", "generation") or 0)
    return not observed.isdigit() or int(observed) < generation or _has_unobserved_workload(rollout)


def _has_unobserved_workload(rollout: Object) -> bool:
    """The object in workloadRef has a generation that the status is not about yet."""
    if not dig(rollout, "spec", "workloadRef"):
        return False
    annotations = dig(rollout, "metadata", "annotations") or {}
    noted = next((v for k, v in annotations.items() if k.endswith("/workload-generation")), None)
    return noted is not None and noted != dig(rollout, "status", "workloadObservedGeneration")


def is_fully_promoted(rollout: Object) -> bool:
    current = dig(rollout, "status", "currentPodHash")
    return bool(current) and current == dig(rollout, "status", "stableRS") and not is_unobserved(rollout)


def is_canary(rollout: Object) -> bool:
    """Versions are told apart by pods, not by what a Service selects."""
    return dig(rollout, "spec", "strategy", "blueGreen") is None


def strategy(rollout: Object) -> str:
    """As kubectl shows it; a `type` alone is that of a Deployment."""
    given = dig(rollout, "spec", "strategy") or {}
    named = next((name for name in _STRATEGIES if given.get(name) is not None), "")
    return _STRATEGIES.get(named) or str(given.get("type") or "-")


def steps(rollout: Object, now: datetime) -> tuple[Step, ...]:
    listed = raw_steps(rollout)
    index = dig(rollout, "status", "currentStepIndex")
    current = 0 if index is None else int(index)
    return tuple(
        Step(i + 1, _step_text(step) + (_remaining(step, rollout, now) if i == current else ""), place)
        for i, (step, place) in enumerate((s, _place(i, current)) for i, s in enumerate(listed))
    )


def raw_steps(rollout: Object) -> Sequence[Any]:
    listed = dig(rollout, "spec", "strategy", "canary", "steps")
    return listed if isinstance(listed, list) else ()


def step_count(rollout: Object) -> str:
    """Steps that are done, of all: 2/6. Empty without steps."""
    total = len(raw_steps(rollout))
    index = dig(rollout, "status", "currentStepIndex")
    return f"{0 if index is None else index}/{total}" if total else ""


def set_weight(rollout: Object) -> int | None:
    """The weight that the steps up to the current one ask for; None where there is nothing to weigh."""
    listed = raw_steps(rollout)
    if not listed or is_fully_promoted(rollout):
        return None
    if dig(rollout, "status", "abort"):
        return 0
    index = dig(rollout, "status", "currentStepIndex") or 0
    if index >= len(listed):
        return max_weight(rollout)
    weights = [s["setWeight"] for s in listed[: index + 1] if dig(s, "setWeight") is not None]
    return int(weights[-1]) if weights else 0


def max_weight(rollout: Object) -> int:
    """The weight that stands for all traffic."""
    routing = dig(rollout, "spec", "strategy", "canary", "trafficRouting")
    return int(dig(routing, "maxTrafficWeight") or 100)


def actual_weight(rollout: Object) -> int | None:
    """The canary's share; None where there is no canary."""
    found = dig(rollout, "status", "canary", "weights", "canary", "weight")
    return None if found is None or is_fully_promoted(rollout) else int(found)


def images(template: Object) -> tuple[str, ...]:
    containers = dig(template, "spec", "containers")
    return tuple(str(dig(c, "image") or "?") for c in containers) if isinstance(containers, list) else ()


def owned_by(owner: Object, objects: Iterable[Object]) -> tuple[Object, ...]:
    """The objects whose controller is `owner`."""
    uid = dig(owner, "metadata", "uid")
    return tuple(
        o
        for o in objects
        if any(
            r.get("uid") == uid and r.get("controller") for r in dig(o, "metadata", "ownerReferences") or ()
        )
    )


def revisions(rollout: Object, replica_sets: Iterable[Object], names: Names) -> tuple[Revision, ...]:
    """The ReplicaSets of a Rollout, newest revision first."""
    own = (_revision(rollout, rs, names) for rs in owned_by(rollout, replica_sets))
    return tuple(sorted(own, key=lambda r: r.number, reverse=True))


def pod_template_hash(thing: Object) -> str:
    return str(dig(thing, "metadata", "labels", POD_TEMPLATE_HASH_LABEL) or "")


def created_at(thing: Object) -> datetime | None:
    return instant(dig(thing, "metadata", "creationTimestamp"))


def instant(value: object) -> datetime | None:
    try:
        return parse.timestamp(value, "") if value else None
    except SpecError:
        return None


def age(since: datetime | None, now: datetime) -> str:
    """As kubectl shows it: 12s, 5m, 3h, 8d."""
    if since is None:
        return "-"
    seconds = max(0, int((now - since).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _phase_of(status: Object) -> Phase:
    try:
        return Phase(str(status.get("phase") or Phase.PROGRESSING))
    except ValueError:
        return Phase.PROGRESSING


def _place(index: int, current: int) -> Place:
    if index < current:
        return Place.DONE
    return Place.CURRENT if index == current else Place.NEXT


def _step_text(step: Any) -> str:
    if not isinstance(step, Mapping):
        return "not a step"
    if "setWeight" in step:
        return f"set weight {step['setWeight']} %"
    if "pause" in step:
        length = _pause_length(step)
        return f"pause {parse.format_duration(length)}" if length else _endless_pause(step)
    if "analysis" in step:
        templates = dig(step, "analysis", "templates") or ()
        return "analysis " + ", ".join(str(dig(t, "templateName")) for t in templates)
    if "experiment" in step:
        versions = dig(step, "experiment", "templates") or ()
        length = dig(step, "experiment", "duration")
        named = ", ".join(_version_text(t) for t in versions)
        return f"experiment {named}" + (f" for {length}" if length else "")
    return ", ".join(step) or "empty step"


def _version_text(template: Any) -> str:
    weight = dig(template, "weight")
    return str(dig(template, "name")) + ("" if weight is None else f" ({weight} %)")


def _endless_pause(step: Any) -> str:
    timeout = _pause_length(step, "timeout")
    if timeout is None:
        return "pause until promoted"
    end = dig(step, "pause", "onTimeout") or OnTimeout.ABORT
    return f"pause until promoted, {end} after {parse.format_duration(timeout)}"


def _pause_length(step: Any, field: str = "duration") -> timedelta | None:
    raw = dig(step, "pause", field)
    try:
        return None if raw is None else parse.duration(raw, "")
    except SpecError:
        return None


def _remaining(step: Any, rollout: Object, now: datetime) -> str:
    length = _pause_length(step) or _pause_length(step, "timeout")
    conditions = dig(rollout, "status", "pauseConditions") or ()
    since = next((instant(dig(c, "startTime")) for c in conditions), None)
    if length is None or since is None:
        return ""
    left = max(0, round((since + length - now).total_seconds()))
    return f" ({parse.format_duration(timedelta(seconds=left))} left)"


def _revision(rollout: Object, replica_set: Object, names: Names) -> Revision:
    annotations = dig(replica_set, "metadata", "annotations") or {}
    number = str(annotations.get(names.revision_annotation, "0"))
    template = dig(replica_set, "spec", "template") or {}
    return Revision(
        number=int(number) if number.isdigit() else 0,
        name=str(dig(replica_set, "metadata", "name")),
        pod_template_hash=pod_template_hash(replica_set),
        images=images(template),
        roles=_roles(rollout, pod_template_hash(replica_set)),
        desired=int(dig(replica_set, "spec", "replicas") or 0),
        ready=int(dig(replica_set, "status", "readyReplicas") or 0),
        git_revision=str(annotations.get(names.git_revision_annotation, "")),
        created_at=created_at(replica_set),
        template=template,
    )


def _roles(rollout: Object, hash_: str) -> tuple[Role, ...]:
    status = dig(rollout, "status") or {}
    if is_canary(rollout):
        held = ((Role.STABLE, "stableRS"), (Role.CANARY, "currentPodHash"))
        roles = tuple(role for role, key in held if status.get(key) == hash_)
        return roles[:1]  # a set that is both is stable: nothing is being released
    blue_green = status.get("blueGreen") or {}
    held = ((Role.ACTIVE, "activeSelector"), (Role.PREVIEW, "previewSelector"))
    roles = tuple(role for role, key in held if blue_green.get(key) == hash_)
    return (*roles[:1], *((Role.STABLE,) if status.get("stableRS") == hash_ else ()))
