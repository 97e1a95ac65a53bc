"""Instants as expressions."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from analysis import instants
from analysis.errors import ConditionError
from tests.unit.analysis.make import START, at


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("now()", START),
        ('now() - duration("5m")', at(-300)),
        ('now() - 2 * duration("1h30m")', at(-10800)),
        ('date("2026-03-01T12:00:00Z")', START),
        ('date("2026-03-01 13:00:00+01:00")', START),
        ('date("2026-03-01") + duration("12h")', START),
        ('date("2026-03-01 12:00:00", "2006-01-02 15:04:05")', START),
        ('date("2026-03-01 13:00:00", "2006-01-02 15:04:05", "Europe/Zurich")', START),
        ('date("01 Mar 26 12:00 UTC", "02 Jan 06 15:04 MST")', START),
        ('date("100 % on Sun, 1 Mar 2026 12 PM", "100 % on Mon, 2 Jan 2006 03 PM", "UTC")', START),
        ("1772366400", datetime.fromtimestamp(1772366400, UTC)),
    ],
)
def test_an_expression_stands_for_an_instant(expression: str, expected: datetime) -> None:
    assert instants.evaluate(expression, START) == expected


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "empty"),
        ("now(", "ends too early"),
        ("now() + 'a'", "needs a number"),
        ("'2026'", "expected an instant"),
        ("1e300", "expected an instant"),
        ("0/0", "expected an instant"),
        ("result", "unknown name"),
        ("len([])", "unknown function len"),
        ("duration('x')", "is not a duration"),
        ("date('x')", "is not a date"),
        ("date('2026', '2006-01')", "is not a date such as 2006-01"),
        ("date('2026', '2006 2006')", "is not a date"),
        ("date('2026', '2006', 'Nowhere/Else')", "is not a time zone"),
        ("date('2026', '2006', '../../etc/passwd')", "is not a time zone"),
    ],
)
def test_what_is_no_instant_is_refused(expression: str, reason: str) -> None:
    with pytest.raises(ConditionError, match=reason):
        instants.evaluate(expression, START)
