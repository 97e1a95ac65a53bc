"""What the operators mean. Pure functions of values; a `Fault` where an operator is not defined.

Decided here: arithmetic, comparison, membership, indexing. Called by `evaluator`.
Integers are 64 bits wide and never wrap; `/` and `**` always give a float, as in expr-lang.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from analysis import patterns
from analysis.language import values
from analysis.language.values import Budget, Fault

_Number = TypeVar("_Number", int, float)
_Ordered = TypeVar("_Ordered", str, float)


def binary(operator: str, left: object, right: object, budget: Budget) -> object:
    found = _TESTS.get(operator)
    if found is not None:
        return found(operator, left, right, budget)
    if operator == "..":
        return _range(left, right, budget)
    if operator == "+" and isinstance(left, str) and isinstance(right, str):
        return values.bounded_text(left + right)
    return _arithmetic(operator, left, right)


def unary(operator: str, value: object) -> object:
    if operator == "not":
        return not values.boolean(value, "not")
    found = values.number(value, f"unary {operator}")
    if operator == "+":
        return found
    return values.bounded_integer(-found) if isinstance(found, int) else -found


def _arithmetic(operator: str, left: object, right: object) -> int | float:
    user = f"operator {operator}"
    a, b = values.number(left, user), values.number(right, user)
    if operator == "%":
        return _remainder(values.integer(a, user), values.integer(b, user))
    if operator == "/":
        return _quotient(values.as_float(a), values.as_float(b))
    if operator in {"**", "^"}:
        return power(values.as_float(a), values.as_float(b))
    if isinstance(a, int) and isinstance(b, int):
        return values.bounded_integer(_sum_or_product(operator, a, b))
    return _sum_or_product(operator, values.as_float(a), values.as_float(b))


def _sum_or_product(operator: str, a: _Number, b: _Number) -> _Number:
    match operator:
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case _:
            raise Fault(f"operator {operator} is unknown")


def _quotient(a: float, b: float) -> float:
    """IEEE 754 division: x/0 is infinite, 0/0 is NaN."""
    if b != 0:
        return a / b
    if a == 0 or math.isnan(a):
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)


def _remainder(a: int, b: int) -> int:
    """The sign is the dividend's."""
    if b == 0:
        raise Fault("integer division by zero")
    rest = abs(a) % abs(b)
    return rest if a >= 0 else -rest


def power(base: float, exponent: float) -> float:
    """IEEE 754 pow: no exception, no complex number."""
    try:
        return math.pow(base, exponent)
    except OverflowError:
        odd = exponent.is_integer() and exponent % 2 == 1
        return -math.inf if base < 0 and odd else math.inf
    except ValueError:
        return math.inf if base == 0 else math.nan


def _equality(operator: str, left: object, right: object, budget: Budget) -> bool:
    """Equality; values of two types are unequal."""
    return values.equal(left, right, budget) is (operator == "==")


def comparable(operator: str, left: object, right: object) -> None:
    """A Fault for values of two types; with nil, everything can be compared."""
    a, b = values.kind(left), values.kind(right)
    if a != b and "nil" not in {a, b}:
        raise Fault(
            f"operator {operator} cannot compare {values.described(left)} with {values.described(right)}"
        )


def _order(operator: str, left: object, right: object, _: Budget) -> bool:
    """Order of two numbers or two strings."""
    if isinstance(left, str) and isinstance(right, str):
        return _before(operator, left, right)
    if {values.kind(left), values.kind(right)} != {"number"}:
        raise Fault(
            f"operator {operator} cannot compare {values.described(left)} with {values.described(right)}"
        )
    user = f"operator {operator}"
    return _before(operator, values.number(left, user), values.number(right, user))


def _before(operator: str, a: _Ordered, b: _Ordered) -> bool:
    match operator:
        case "<":
            return a < b
        case "<=":
            return a <= b
        case ">":
            return a > b
        case _:
            return a >= b


def _membership(_: str, value: object, container: object, budget: Budget) -> bool:
    """Whether a list has an equal item or a map has the key."""
    if isinstance(container, list | tuple):
        return any(values.equal(value, item, budget) for item in container)
    if isinstance(container, Mapping):
        return values.is_key(value) and value in container
    remedy = '; for strings write "abc" contains "b"' if isinstance(container, str) else ""
    raise Fault(f"operator in needs a list or a map, got {values.described(container)}{remedy}")


def _text_test(operator: str, left: object, right: object, budget: Budget) -> bool:
    user = f"operator {operator}"
    a, b = values.text(left, user), values.text(right, user)
    budget.spend(len(a))
    match operator:
        case "contains":
            return b in a
        case "startsWith":
            return a.startswith(b)
        case "endsWith":
            return a.endswith(b)
        case _:
            return _matches(a, b)


def _matches(text: str, pattern: str) -> bool:
    try:
        return patterns.found(pattern, text)
    except ValueError as error:
        raise Fault(str(error)) from None


_TESTS: Mapping[str, Callable[[str, object, object, Budget], bool]] = {
    **dict.fromkeys(("==", "!="), _equality),
    **dict.fromkeys(("<", "<=", ">", ">="), _order),
    **dict.fromkeys(("contains", "startsWith", "endsWith", "matches"), _text_test),
    "in": _membership,
}


def _range(left: object, right: object, budget: Budget) -> list[int]:
    first, last = values.integer(left, "operator .."), values.integer(right, "operator ..")
    size = max(0, last - first + 1)
    values.check_size(size)
    budget.spend(size)
    return list(range(first, last + 1))


def member(subject: object, name: str) -> object:
    """The value under a key of a map; nil if there is none."""
    if isinstance(subject, Mapping):
        return subject.get(name)
    raise Fault(f"{values.described(subject)} has no member {name}")


def indexed(subject: object, key: object) -> object:
    """An item of a list (negative counts from the end) or the value under a key of a map."""
    if isinstance(subject, Mapping):
        return _under(subject, key)
    if not isinstance(subject, list | tuple):
        raise Fault(f"{values.described(subject)} cannot be indexed")
    index = values.integer(key, "an index")
    if -len(subject) <= index < len(subject):
        return subject[index]
    if not subject:
        raise Fault(f"index {index} of an empty list")
    raise Fault(f"index {index} is out of range: the list has {len(subject)} items")


def _under(subject: Mapping[object, object], key: object) -> object:
    """The value under a key; a key that is no string needs a map that has such keys, as groupBy gives."""
    if isinstance(key, str) or all(isinstance(known, str) for known in subject):
        return subject.get(values.text(key, "the key of a map"))
    return subject.get(values.key(key, "a map"))


def sliced(subject: object, start: object, stop: object) -> Sequence[object]:
    """Part of a list or string; negative bounds count from the end, bounds beyond it are cut."""
    if not isinstance(subject, str | list | tuple):
        raise Fault(f"{values.described(subject)} cannot be sliced")
    first = 0 if start is None else values.integer(start, "the start of a slice")
    last = len(subject) if stop is None else values.integer(stop, "the end of a slice")
    return subject[first:last]
