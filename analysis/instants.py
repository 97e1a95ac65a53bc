"""Instants as expressions: `now() - duration("5m")`. Pure; `now` comes in as an argument.

Decided here: the functions that exist beside the operators of the language. Called by providers that query a
range of time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from analysis import durations
from analysis.errors import ConditionError
from analysis.language import parser, values
from analysis.language.evaluation import Run, Scope
from analysis.language.functions import Function
from analysis.language.values import Budget, Fault


def evaluate(expression: str, now: datetime) -> datetime:
    """The instant that an expression stands for; ConditionError if it stands for none."""
    functions = {
        "now": Function(0, 0, lambda _, __: now.timestamp()),
        "duration": Function(1, 1, _duration),
        "date": Function(1, 1, _date),
    }
    tree = parser.parse(expression, frozenset(), functions)
    found = Run(expression, functions).value(tree, Scope({}))
    try:
        seconds = values.number(found, "an instant")
        return datetime.fromtimestamp(seconds, UTC)
    except (Fault, ValueError, OverflowError, OSError):
        reason = f'expected an instant such as now() - duration("5m"), got {values.described(found)}'
        raise ConditionError(expression, reason) from None


def _duration(arguments: Sequence[object], _: Budget) -> float:
    try:
        return durations.parse(values.text(arguments[0], "duration")).total_seconds()
    except ValueError as error:
        raise Fault(str(error)) from None


def _date(arguments: Sequence[object], _: Budget) -> float:
    """RFC 3339 or its parts; without a time zone it is UTC."""
    text = values.text(arguments[0], "date")
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Fault(f"{values.show(text)} is not a date such as 2026-08-14T00:00:00Z") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
