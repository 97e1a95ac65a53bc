"""The values of the language, how they compare and print, and what an evaluation may cost.

Decided here: nil, bool, number, string, list and map are all there is; limits on steps and sizes.
Used by every other module of the language. A `Fault` has no position: the evaluator adds it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

MAX_STEPS = 1_000_000
MAX_TEXT = 65_536
MAX_ITEMS = 100_000
MAX_VALUE_DEPTH = 50
MAX_INTEGER = 2**63 - 1
MIN_INTEGER = -(2**63)
_SHOWN_ITEMS = 5
_SHOWN_TEXT = 40


class Fault(Exception):
    """Something that the language does not define: a wrong type, an index out of range, a limit."""


class Budget:
    """What is left of the steps that one evaluation may take."""

    __slots__ = ("_left",)

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self._left = steps

    def spend(self, steps: int = 1) -> None:
        """Take steps; a Fault when there are none left."""
        self._left -= steps
        if self._left < 0:
            raise Fault(f"the expression takes more than {MAX_STEPS} steps")


def kind(value: object) -> str:
    """The name of a value's type, as messages use it."""
    match value:
        case None:
            return "nil"
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list() | tuple():
            return "list"
        case Mapping():
            return "map"
        case _:
            raise Fault(f"a value of type {type(value).__name__} is not supported")


def described(value: object) -> str:
    """A value with its type, short enough for a message."""
    return "nil" if value is None else f"{kind(value)} {show(value)}"


def boolean(value: object, user: str) -> bool:
    if isinstance(value, bool):
        return value
    raise Fault(f"{user} needs a bool, got {described(value)}")


def number(value: object, user: str) -> int | float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise Fault(f"{user} needs a number, got {described(value)}")


def integer(value: object, user: str) -> int:
    """A whole number; a float counts if it has no fraction, since providers answer in floats."""
    found = number(value, user)
    if isinstance(found, int):
        return found
    if found.is_integer():
        return int(found)
    raise Fault(f"{user} needs a whole number, got {described(value)}")


def text(value: object, user: str) -> str:
    if isinstance(value, str):
        return value
    raise Fault(f"{user} needs a string, got {described(value)}")


def items(value: object, user: str) -> Sequence[object]:
    if isinstance(value, list | tuple):
        return value
    raise Fault(f"{user} needs a list, got {described(value)}")


def is_key(value: object) -> bool:
    return isinstance(value, str | int | float)


def key(value: object, user: str) -> str | int | float:
    """What a map that an expression builds may have as key."""
    if isinstance(value, str | int | float):
        return value
    raise Fault(f"the key of {user} needs a string, a number or a bool, got {described(value)}")


def as_float(value: float) -> float:
    """The nearest float; whole numbers out of its range become infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def bounded_integer(value: int) -> int:
    if MIN_INTEGER <= value <= MAX_INTEGER:
        return value
    raise Fault("the result does not fit in a 64-bit integer")


def bounded_text(value: str) -> str:
    if len(value) <= MAX_TEXT:
        return value
    raise Fault(f"a string of {len(value)} characters is longer than {MAX_TEXT}")


def bounded_items(value: list[object]) -> list[object]:
    check_size(len(value))
    return value


def check_size(size: int) -> None:
    if size > MAX_ITEMS:
        raise Fault(f"a list of {size} items is longer than {MAX_ITEMS}")


def leaves(nested: Sequence[object], budget: Budget) -> Iterator[object]:
    """The items of a list, and of the lists in it, in order."""
    pending: list[object] = list(reversed(nested))
    while pending:
        budget.spend()
        value = pending.pop()
        if isinstance(value, list | tuple):
            pending.extend(reversed(value))
        else:
            yield value


def equal(left: object, right: object, budget: Budget, depth: int = 0) -> bool:
    """Deep equality. Different types are unequal, numbers compare by value, NaN equals nothing."""
    budget.spend()
    if depth > MAX_VALUE_DEPTH:
        raise Fault(f"values nested deeper than {MAX_VALUE_DEPTH} cannot be compared")
    found = kind(left)
    if found != kind(right):
        return False
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        pairs = zip(left, right, strict=False)
        return len(left) == len(right) and all(equal(a, b, budget, depth + 1) for a, b in pairs)
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(
            equal(left[key], right[key], budget, depth + 1) for key in left
        )
    return bool(left == right)


def show(value: object, depth: int = 0) -> str:
    """A value as it would be written in an expression, cut to a readable length."""
    if isinstance(value, list | tuple | Mapping):
        return _show_items(value, depth)
    match value:
        case None:
            return "nil"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return show_number(value)
        case str():
            return f'"{value if len(value) <= _SHOWN_TEXT else value[:_SHOWN_TEXT] + "…"}"'
        case _:
            return f"<{type(value).__name__}>"


def _show_items(value: Sequence[object] | Mapping[object, object], depth: int) -> str:
    count = 0 if depth > 1 else _SHOWN_ITEMS
    rest = [f"… ({len(value)} items)"] if len(value) > count else []
    if isinstance(value, Mapping):
        few = itertools.islice(value.items(), count)
        return "{" + ", ".join([*(f"{k}: {show(v, depth + 1)}" for k, v in few), *rest]) + "}"
    return "[" + ", ".join([*(show(v, depth + 1) for v in value[:count]), *rest]) + "]"


def show_number(value: float) -> str:
    """Decimal digits without an exponent, as Prometheus and the peer print samples: 1, 0.99, NaN, +Inf."""
    if isinstance(value, int) and MIN_INTEGER <= value <= MAX_INTEGER:
        return str(value)
    found = as_float(value)
    if math.isnan(found):
        return "NaN"
    if math.isinf(found):
        return "+Inf" if found > 0 else "-Inf"
    return format(Decimal(repr(found)), "f").removesuffix(".0")
