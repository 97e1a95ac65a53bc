"""Health by expressions of the user's: CEL over the fields of an object, as in Flux's healthCheckExprs.

Decides how an object is by the expressions for its kind, and what an expression may not do: loops within loops are
refused, so that no object keeps the process busy. Pure; called by `live` and `validation`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from typing import Any

from rollouts.api.application import HealthCheckExpr
from rollouts.api.application_status import FailureReason, HealthStatus
from rollouts.errors import SpecError
from rollouts.gitops.resources.health import Health

__all__ = ["check", "judged", "rule_for"]

_LONGEST_EXPRESSION = 1024
_LARGEST_OBJECT = 256 * 1024
_LOOPS = frozenset({"all", "exists", "exists_one", "filter", "map", "min", "reduce"})


def rule_for(rules: Iterable[HealthCheckExpr], body: Mapping[str, Any]) -> HealthCheckExpr | None:
    """The expressions for objects of this kind."""
    api_version, kind = str(body.get("apiVersion", "")), body.get("kind")
    return next((r for r in rules if r.kind == kind and r.api_version == api_version), None)


def judged(rule: HealthCheckExpr, body: Mapping[str, Any]) -> Health:
    """failed before inProgress before current; what cannot be evaluated yet is not true yet."""
    if len(json.dumps(body)) > _LARGEST_OBJECT:
        return Health(
            HealthStatus.UNKNOWN, f"is larger than {_LARGEST_OBJECT} bytes, so no expression is evaluated"
        )
    values = _values(body)
    if rule.failed and _is_true(rule.failed, values):
        message = f"failed is true: {rule.failed}"
        return Health(HealthStatus.DEGRADED, message, FailureReason.HEALTH_CHECK_FAILED)
    if rule.in_progress and _is_true(rule.in_progress, values):
        return Health(HealthStatus.PROGRESSING, f"inProgress is true: {rule.in_progress}")
    if _is_true(rule.current, values):
        return Health(HealthStatus.HEALTHY)
    return Health(HealthStatus.PROGRESSING, f"current is not true: {rule.current}")


def check(rule: HealthCheckExpr, path: str) -> None:
    """Raise `SpecError` for an expression that cannot be evaluated."""
    for name, text in (("current", rule.current), ("inProgress", rule.in_progress), ("failed", rule.failed)):
        if not text:
            continue
        try:
            _program(text)
        except _UnfitError as e:
            raise SpecError(f"{path}.{name}", text, str(e)) from None


class _UnfitError(Exception):
    pass


def _cel() -> Any:
    # 20 MiB and a third of a second that only those pay who use it
    import celpy  # noqa: PLC0415

    return celpy


@functools.cache
def _environment() -> Any:
    return _cel().Environment()


@functools.lru_cache(maxsize=256)
def _program(text: str) -> Any:
    if len(text) > _LONGEST_EXPRESSION:
        raise _UnfitError(f"is longer than {_LONGEST_EXPRESSION} characters")
    try:
        tree = _environment().compile(text)
    except _cel().CELParseError as e:
        raise _UnfitError(f"is not a CEL expression: {' '.join(str(e).split())}") from None
    if any(_loops(inner) for outer in _loops(tree) for inner in outer.children[2:]):
        raise _UnfitError("has a loop within a loop; filter first, then use all or exists on what is left")
    return _environment().program(tree)


def _loops(tree: Any) -> list[Any]:
    return [found for found in tree.find_data("member_dot_arg") if str(found.children[1]) in _LOOPS]


def _values(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _cel().json_to_cel(value) for name, value in body.items()}


def _is_true(text: str, values: Mapping[str, Any]) -> bool:
    try:
        found = _program(text).evaluate(dict(values))
        return isinstance(found, _cel().celtypes.BoolType) and bool(found)
    except (_UnfitError, _cel().CELEvalError, TypeError, ValueError, KeyError, AttributeError):
        return False
