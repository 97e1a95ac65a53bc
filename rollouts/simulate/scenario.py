"""What happens around a Rollout while it is simulated: pods, metrics, people. Data, and how it is read.

Every instant is counted from the moment at which version 2 is deployed. What is left out is well: pods
become ready at once, measurements succeed, nobody does anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from analysis.model import Phase
from rollouts.api.parse import parse
from rollouts.api.schema import Field
from rollouts.api.webhook import Webhook, WebhookType
from rollouts.errors import SpecError
from rollouts.simulate.autoscaler import Autoscaler

_NO_VALUE = object()
_KNOWN = ("actions", "autoscaler", "metrics", "pods", "webhooks")


@dataclass(frozen=True, slots=True)
class PodBehaviour:
    """How pods of a version behave. Version 1 is stable at first, 2 is the update."""

    version: Annotated[int, Field("Version of the pod template, from 1.", minimum=1)] = 2
    ready_after: Annotated[timedelta, Field("A pod is ready so long after it started.")] = timedelta()
    ready: Annotated[bool, Field("False: no pod ever becomes ready.")] = True
    crash_after: Annotated[
        timedelta | None, Field("A pod exits so long after it became ready, and starts again.")
    ] = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a metric yields from an instant on: a value for the conditions to judge, or an outcome."""

    metric: str
    after: timedelta = timedelta()
    version: int | None = None
    value: Any = None
    outcome: Phase | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a webhook says from an instant on."""

    ok: Annotated[bool, Field("It says yes.")]
    after: Annotated[timedelta, Field("From when on, counted from the update.")] = timedelta()


@dataclass(frozen=True, slots=True)
class WebhookBehaviour:
    """What a webhook says. Left out, it says yes; one of type rollback never asks for one."""

    name: Annotated[str, Field("Name of the webhook.")]
    answers: Annotated[tuple[Reply, ...], Field("What it says, from when on.")] = ()


class Deed(StrEnum):
    PROMOTE = "promote"
    PROMOTE_FULL = "promoteFull"
    ABORT = "abort"
    RETRY = "retry"
    PAUSE = "pause"
    RESUME = "resume"
    RESTART = "restart"
    DEPLOY = "deploy"
    SCALE = "scale"


@dataclass(frozen=True, slots=True)
class Action:
    """What a person, Git or an autoscaler does."""

    at: Annotated[timedelta, Field("When, counted from the update.")]
    do: Annotated[Deed, Field("What.")]
    version: Annotated[int | None, Field("deploy: the version; 1 goes back.", minimum=1)] = None
    replicas: Annotated[int | None, Field("scale: the replicas.", minimum=0)] = None


@dataclass(frozen=True, slots=True)
class Scenario:
    pods: tuple[PodBehaviour, ...] = ()
    readings: tuple[Reading, ...] = ()
    actions: tuple[Action, ...] = ()
    webhooks: tuple[WebhookBehaviour, ...] = ()
    autoscaler: Autoscaler | None = None

    def says_yes(self, webhook: Webhook, at: timedelta) -> bool:
        held = [reply for reply in self._replies(webhook) if reply.after <= at]
        latest = max(held, key=lambda reply: reply.after, default=None)
        return latest.ok if latest else webhook.type is not WebhookType.ROLLBACK

    def changes_its_mind(self, webhook: Webhook, at: timedelta) -> timedelta | None:
        """When its next answer begins."""
        return min((reply.after for reply in self._replies(webhook) if reply.after > at), default=None)

    def _replies(self, webhook: Webhook) -> tuple[Reply, ...]:
        return next((known.answers for known in self.webhooks if known.name == webhook.name), ())

    def behaviour(self, version: int) -> PodBehaviour:
        return next((pod for pod in self.pods if pod.version == version), PodBehaviour(version))

    def reading(self, metric: str, version: int, at: timedelta) -> Reading | None:
        """The latest one that has begun, of two the one below; one for this version goes before one for all."""
        held = [r for r in self.readings if r.metric == metric and r.after <= at]
        held = [r for r in held if r.version in (None, version)]
        return max(reversed(held), key=lambda r: (r.version is not None, r.after), default=None)


@dataclass(frozen=True, slots=True)
class _When:
    """A reading without its value, which may be anything."""

    after: timedelta = timedelta()
    version: int | None = None
    outcome: Phase | None = None


def read(document: object) -> Scenario:
    """A scenario as it is written. Raises `SpecError` with the path of what is wrong."""
    if not isinstance(document, Mapping):
        raise SpecError(
            "scenario", None, "must be an object", "write pods, metrics, webhooks, autoscaler and actions"
        )
    unknown = next((key for key in document if key not in _KNOWN), None)
    if unknown is not None:
        raise SpecError(str(unknown), None, "unknown field", f"known fields: {', '.join(_KNOWN)}")
    actions = [parse(Action, raw, f"actions[{i}]") for i, raw in enumerate(_list(document, "actions"))]
    for index, action in enumerate(actions):
        _check(action, f"actions[{index}]")
    pods = tuple(parse(PodBehaviour, raw, f"pods[{i}]") for i, raw in enumerate(_list(document, "pods")))
    listed = enumerate(_list(document, "webhooks"))
    written = document.get("autoscaler")
    scaler = None if written is None else parse(Autoscaler, written, "autoscaler")
    webhooks = tuple(parse(WebhookBehaviour, raw, f"webhooks[{i}]") for i, raw in listed)
    return Scenario(pods, _readings(document), tuple(sorted(actions, key=lambda a: a.at)), webhooks, scaler)


def _check(action: Action, path: str) -> None:
    needs = {Deed.DEPLOY: ("version", action.version), Deed.SCALE: ("replicas", action.replicas)}
    name, value = needs.get(action.do, ("", 0))
    if value is None:
        raise SpecError(f"{path}.{name}", None, f"is required for {action.do}")


def _readings(document: Mapping[str, Any]) -> tuple[Reading, ...]:
    found: list[Reading] = []
    for index, raw in enumerate(_list(document, "metrics")):
        path = f"metrics[{index}]"
        if not isinstance(raw, Mapping) or not isinstance(raw.get("name"), str):
            raise SpecError(f"{path}.name", None, "is required", "name a metric of an AnalysisTemplate")
        values = _list(raw, "values", path)
        found += [_reading(raw["name"], value, f"{path}.values[{i}]") for i, value in enumerate(values)]
    return tuple(found)


def _reading(metric: str, raw: object, path: str) -> Reading:
    if not isinstance(raw, Mapping):
        raise SpecError(path, None, "must be an object", "write value or outcome, and after")
    value = raw.get("value", _NO_VALUE)
    when = parse(_When, {key: raw[key] for key in raw if key != "value"}, path)
    if (value is _NO_VALUE) == (when.outcome is None):
        raise SpecError(path, None, "needs exactly one of value and outcome")
    if when.outcome is not None and not when.outcome.completed:
        raise SpecError(f"{path}.outcome", when.outcome, "is no outcome of a measurement")
    known = None if value is _NO_VALUE else value
    return Reading(metric, when.after, when.version, known, when.outcome)


def _list(document: Mapping[str, Any], key: str, path: str = "") -> list[Any]:
    value = document.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise SpecError(f"{path}.{key}".lstrip("."), None, "must be a list")
    return value
