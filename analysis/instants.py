"""Instants as expressions: `now() - duration("5m")`. Pure; `now` comes in as an argument.

Decided here: the functions that exist beside the operators of the language. Called by providers that query a
range of time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from analysis import durations
from analysis.errors import ConditionError
from analysis.language import parser, values
from analysis.language.evaluation import Run, Scope
from analysis.language.functions import Function
from analysis.language.values import Budget, Fault

_DIRECTIVES: Mapping[str, str] = {
    "2006": "%Y",
    "January": "%B",
    "Monday": "%A",
    "Jan": "%b",
    "Mon": "%a",
    "MST": "%Z",
    **dict.fromkeys(("Z07:00", "-07:00", "-0700"), "%z"),
    **dict.fromkeys(("01", "1"), "%m"),
    **dict.fromkeys(("02", "_2", "2"), "%d"),
    **dict.fromkeys(("03", "3"), "%I"),
    "15": "%H",
    "04": "%M",
    "05": "%S",
    "06": "%y",
    "PM": "%p",
}
_LAYOUT = re.compile("(" + "|".join(sorted(_DIRECTIVES, key=len, reverse=True)) + ")")


def evaluate(expression: str, now: datetime) -> datetime:
    """The instant that an expression stands for; ConditionError if it stands for none."""
    functions = {
        "now": Function(0, 0, lambda _, __: now.timestamp()),
        "duration": Function(1, 1, _duration),
        "date": Function(1, 3, _date),
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
    """RFC 3339 or its parts, or what a layout of Go says; without a time zone it is UTC."""
    text, *more = (values.text(argument, "date") for argument in arguments)
    wanted = more[0] if more else "2026-08-14T00:00:00Z"
    try:
        found = _read(text, more[0]) if more else datetime.fromisoformat(text)
    except (ValueError, re.error):
        raise Fault(f"{values.show(text)} is not a date such as {wanted}") from None
    zone = _zone(more[1]) if len(more) > 1 else UTC
    return (found if found.tzinfo else found.replace(tzinfo=zone)).timestamp()


def _read(text: str, layout: str) -> datetime:
    """By a layout that is translated first: `2006-01-02` is `%Y-%m-%d`."""
    parts = _LAYOUT.split(layout.replace("%", "%%"))
    directives = "".join(_DIRECTIVES.get(part, part) for part in parts)
    return datetime.strptime(text, directives)  # noqa: DTZ007 - the caller knows the zone


def _zone(name: str) -> tzinfo:
    try:
        return UTC if name in {"", "UTC"} else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Fault(f"{values.show(name)} is not a time zone such as Europe/Zurich") from None
