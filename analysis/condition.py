"""One measured value and the conditions of a metric -> the phase of the measurement. Pure.

Decided here: what success and failure conditions mean together, and the text of an error. Not decided here:
the language (`analysis.language`), limits over many measurements (`judge`). Called by `pool` after each
measurement and by the linter, which only checks.

    check("result[0] >= 0.95")                          raises ConditionError if it can never work
    evaluate("result[0] >= 0.95", [0.99])               True
    evaluate_result([0.99], "result[0] >= 0.95", None)  (Phase.SUCCESSFUL, "")
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

from analysis.errors import ConditionError
from analysis.language import kinds, parser, values
from analysis.language.evaluation import Run, Scope
from analysis.language.syntax import Array, Binary, Literal, MapLiteral, Node, Unary
from analysis.model import Phase

_NAMES = frozenset({"result"})
_KEPT = 1024
_NUMERIC = {"+", "-", "*", "/", "%", "**", "^", ".."}


class Outcome(NamedTuple):
    """The phase of a measurement, and why it is an Error."""

    phase: Phase
    message: str = ""


@functools.lru_cache(maxsize=_KEPT)
def _parsed(expression: str) -> Node:
    """Kept, since the same few conditions are evaluated over and over."""
    return parser.parse(expression, _NAMES)


def check(expression: str) -> None:
    """Raise ConditionError for an expression that cannot give a bool, whatever `result` is."""
    tree = _parsed(expression)
    if _never_bool(tree):
        raise ConditionError(expression, "a condition must be true or false, this is neither", tree.at)


def _never_bool(tree: Node) -> bool:
    match tree:
        case Literal(value=value):
            return not isinstance(value, bool)
        case Array() | MapLiteral():
            return True
        case Binary(operator=operator) | Unary(operator=operator):
            return operator in _NUMERIC
        case _:
            return False


def evaluate(expression: str, result: object) -> bool:
    """Whether the condition holds for the measured value; ConditionError if that has no answer."""
    found = value(expression, result)
    if isinstance(found, bool):
        return found
    raise ConditionError(expression, f"a condition must be true or false, got {values.described(found)}", 0)


def value(expression: str, result: object) -> object:
    """What an expression gives for the measured value; ConditionError if that has no answer."""
    tree = _parsed(expression)
    run = Run(expression, mistyped=kinds.mistyped(tree, result))
    return run.value(tree, Scope({"result": result}))


def evaluate_result(result: object, success: str | None, failure: str | None) -> Outcome:
    """The phase of one measurement.

    No condition: Successful. One condition: the other follows from it. Both: failure wins, neither is
    Inconclusive. Both are always evaluated, so that an error in either shows as Error.
    """
    conditions = {"successCondition": success, "failureCondition": failure}
    held: dict[str, bool] = {}
    for field, expression in conditions.items():
        if not expression:
            continue
        try:
            held[field] = evaluate(expression, result)
        except ConditionError as error:
            return Outcome(Phase.ERROR, _explained(field, error, result))
    return Outcome(_phase(held))


def _phase(held: Mapping[str, bool]) -> Phase:
    succeeded = held.get("successCondition", not held.get("failureCondition", False))
    failed = held.get("failureCondition", not succeeded)
    if failed:
        return Phase.FAILED
    return Phase.SUCCESSFUL if succeeded else Phase.INCONCLUSIVE


def _explained(field: str, error: ConditionError, result: object) -> str:
    no_data = ": the provider returned no data" if result is None or result in ([], ()) else ""
    return f"{field} {error.expression} could not be evaluated: {error}{no_data}"
