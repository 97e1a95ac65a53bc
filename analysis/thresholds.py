"""Which limit a condition should have had, given what was measured in the past. Pure.

Decided here: for a condition that compares one number with one limit (`result[0] >= 0.95`), the range of limits under
which the good runs pass and the bad ones fail, with the failureLimit that the metric has. Called by `backtest`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from analysis import condition
from analysis.errors import ConditionError
from analysis.language import parser
from analysis.language.syntax import Binary, Index, Literal, Name, Node
from analysis.model import Metric

_HOLDS_ABOVE = {">": True, ">=": True, "<": False, "<=": False}
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Limit:
    """A condition that is one comparison: `result[0] >= 0.95`."""

    text: str
    subject: str
    operator: str
    value: float
    success: bool

    @property
    def wants_more(self) -> bool:
        """Whether larger values are good."""
        return _HOLDS_ABOVE[self.operator] is self.success

    @property
    def admits_equal(self) -> bool:
        """Whether a value that is the limit is good."""
        return self.operator.endswith("=") is self.success


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Limits for one metric. `strictest` passes every good run, `loosest` still fails every bad one."""

    metric: str
    limit: Limit
    strictest: float
    loosest: float | None

    @property
    def separable(self) -> bool:
        """Whether a limit exists that tells good from bad."""
        if self.loosest is None:
            return True
        return self.strictest > self.loosest if self.limit.wants_more else self.strictest < self.loosest

    @property
    def value(self) -> float:
        """The limit that is suggested: halfway where there is room, else what passes the good."""
        if self.loosest is None or not self.separable:
            return self.strictest
        return float(f"{(self.strictest + self.loosest) / 2:.{_DIGITS}g}")

    @property
    def condition(self) -> str:
        """The condition to write."""
        return f"{self.limit.subject} {self.limit.operator} {self.value:.{_DIGITS}g}"


def suggest(
    metric: Metric, good: Iterable[Sequence[float]], bad: Iterable[Sequence[float]]
) -> Suggestion | None:
    """The limits for a metric from the values of its good and bad runs; None where nothing can be said."""
    limit = limit_of(metric)
    if limit is None:
        return None
    passing = [value for values in good if (value := _telling(metric, limit, values)) is not None]
    failing = [value for values in bad if (value := _telling(metric, limit, values)) is not None]
    if not passing:
        return None
    strictest = min(passing) if limit.wants_more else max(passing)
    loosest = (max(failing) if limit.wants_more else min(failing)) if failing else None
    return Suggestion(metric.name, limit, _rounded(strictest, limit), loosest)


def limit_of(metric: Metric) -> Limit | None:
    """The one limit that decides a metric."""
    written = [c for c in (metric.success_condition, metric.failure_condition) if c]
    if len(written) != 1 or metric.comparison is not None:
        return None
    try:
        condition.check(written[0])
        tree = parser.parse(written[0], frozenset({"result"}))
    except ConditionError:
        return None
    return _limit(tree, written[0], success=bool(metric.success_condition))


def _limit(tree: Node, text: str, *, success: bool) -> Limit | None:
    match tree:
        case Binary(operator=operator, left=left, right=Literal(value=int() | float() as value)) if (
            operator in _HOLDS_ABOVE and not isinstance(value, bool)
        ):
            subject = _subject(left)
            return Limit(text, subject, operator, float(value), success) if subject else None
    return None


def _subject(tree: Node) -> str:
    match tree:
        case Name(name="result"):
            return "result"
        case Index(subject=Name(name="result"), key=Literal(value=0)):
            return "result[0]"
    return ""


def _telling(metric: Metric, limit: Limit, values: Sequence[float]) -> float | None:
    """The value that decides a run: one failure more than failureLimit tolerates."""
    known = sorted((v for v in values if not math.isnan(v)), reverse=not limit.wants_more)
    index = max(0, metric.failure_limit)
    return known[index] if index < len(known) else None


def _rounded(value: float, limit: Limit) -> float:
    """To a few digits, towards what is more tolerant, and past the value where equal does not pass."""
    if value == 0 or math.isinf(value):
        return value
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - _DIGITS + 1)
    steps = (math.floor if limit.wants_more else math.ceil)(round(value / unit, 6))
    if not limit.admits_equal and math.isclose(steps * unit, value):
        steps += -1 if limit.wants_more else 1
    return float(f"{steps * unit:.{_DIGITS}g}")
