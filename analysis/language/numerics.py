"""Functions of numbers and of lists of numbers. Pure. Called through the table in `functions`.

Decided here: rounding as in Go; NaN among the numbers gives NaN, wherever it stands; bits are those of 64-bit
integers. The mean of nothing is a Fault, not 0: a metric without data has no mean.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence

from analysis.language import operators, values
from analysis.language.values import Budget, Fault

_BITS = 64
_WRAP = 1 << _BITS


def is_nan(value: object) -> bool:
    return math.isnan(values.as_float(values.number(value, "isNaN")))


def is_inf(value: object) -> bool:
    return math.isinf(values.as_float(values.number(value, "isInf")))


def absolute(value: object) -> int | float:
    found = abs(values.number(value, "abs"))
    return values.bounded_integer(found) if isinstance(found, int) else found


def rounded(value: object) -> float:
    """Half away from zero, as Go rounds."""
    found = values.as_float(values.number(value, "round"))
    return math.copysign(math.floor(abs(found) + 0.5), found) if math.isfinite(found) else found


def whole(name: str, function: Callable[[float], int]) -> Callable[[object], float]:
    def apply(value: object) -> float:
        found = values.as_float(values.number(value, name))
        return float(function(found)) if math.isfinite(found) else found

    return apply


def aggregate(
    name: str, function: Callable[[list[int | float]], int | float]
) -> Callable[[Sequence[object], Budget], int | float]:
    """A function of numbers that are given one by one or in lists, however deep."""

    def apply(arguments: Sequence[object], budget: Budget) -> int | float:
        found = list(_numbers(name, arguments, budget))
        if not found:
            raise Fault(f"{name} of an empty list")
        return math.nan if any(math.isnan(values.as_float(value)) for value in found) else function(found)

    return apply


def _numbers(name: str, arguments: Sequence[object], budget: Budget) -> Iterator[int | float]:
    for value in values.leaves(arguments, budget):
        yield values.number(value, name)


def total(found: Sequence[object], budget: Budget) -> int | float:
    """The sum of a list; 0 if it is empty."""
    result: int | float = 0
    for value in found:
        budget.spend()
        result = values.number(operators.binary("+", result, values.number(value, "sum"), budget), "sum")
    return result


def mean(found: list[int | float]) -> float:
    finite = all(math.isfinite(values.as_float(value)) for value in found)
    floats = map(values.as_float, found)
    return math.fsum(floats) / len(found) if finite else sum(floats)


def median(found: list[int | float]) -> float:
    return values.as_float(statistics.median(found))


def bits(name: str, function: Callable[..., int]) -> Callable[[Sequence[object], Budget], int]:
    """A function of integers whose result is cut to 64 bits."""

    def apply(arguments: Sequence[object], _: Budget) -> int:
        found = function(*(values.bounded_integer(values.integer(value, name)) for value in arguments))
        wrapped = found % _WRAP
        return wrapped - _WRAP if wrapped > values.MAX_INTEGER else wrapped

    return apply


def shift_left(number: int, count: int) -> int:
    return number << min(_shift(count), _BITS)


def shift_right(number: int, count: int) -> int:
    return number >> min(_shift(count), _BITS)


def shift_right_unsigned(number: int, count: int) -> int:
    return (number % _WRAP) >> min(_shift(count), _BITS)


def _shift(count: int) -> int:
    if count < 0:
        raise Fault(f"a negative shift count: {count}")
    return count
