"""The functions of the language, by name. Pure; a table, so that an expression can reach nothing else.

Decided here: names, arity and meaning. Called by `evaluator`; `parser` checks names and arity.
Names and meaning are expr-lang's, `asInt`, `asFloat`, `isNaN`, `isInf`, `isNil` and `default` are those of
Argo Rollouts; unlike there, `isNil` and `default` look at their argument, not at the whole result.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from analysis.language import operators, values
from analysis.language.values import Budget, Fault

Apply: TypeAlias = Callable[[Sequence[object], Budget], object]

_INTEGER = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(
    r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(inf|infinity)|nan", re.IGNORECASE
)
_MAX_DIGITS = 400
_SPACE = " \t\n\v\f\r\x85\xa0"


@dataclass(frozen=True, slots=True)
class Function:
    """How many arguments a function takes (None: any number) and what it does with them."""

    at_least: int
    at_most: int | None
    apply: Apply


def as_int(value: object) -> int:
    """A whole number: fractions are cut off, text must be an integer."""
    if isinstance(value, str):
        if not _INTEGER.fullmatch(value) or len(value) > _MAX_DIGITS:
            raise Fault(f"asInt cannot read {values.described(value)}")
        return values.bounded_integer(int(value))
    found = values.number(value, "asInt")
    if isinstance(found, float) and not math.isfinite(found):
        raise Fault(f"asInt cannot convert {values.show(found)}")
    return values.bounded_integer(int(found))


def as_float(value: object) -> float:
    """A float; text must be a number, NaN or Inf."""
    if not isinstance(value, str):
        return values.as_float(values.number(value, "asFloat"))
    if not _FLOAT.fullmatch(value) or len(value) > _MAX_DIGITS:
        raise Fault(f"asFloat cannot read {values.described(value)}")
    return float(value)


def _length(value: object) -> int:
    if isinstance(value, str | list | tuple | Mapping):
        return len(value)
    raise Fault(f"len needs a string, a list or a map, got {values.described(value)}")


def _string(value: object) -> str:
    return value if isinstance(value, str) else values.show(value)


def _is_nan(value: object) -> bool:
    return math.isnan(values.as_float(values.number(value, "isNaN")))


def _is_inf(value: object) -> bool:
    return math.isinf(values.as_float(values.number(value, "isInf")))


def _rounded(value: object) -> float:
    """Half away from zero, as Go rounds."""
    found = values.as_float(values.number(value, "round"))
    return math.copysign(math.floor(abs(found) + 0.5), found) if math.isfinite(found) else found


def _whole(name: str, function: Callable[[float], int]) -> Apply:
    def apply(arguments: Sequence[object], _: Budget) -> float:
        found = values.as_float(values.number(arguments[0], name))
        return float(function(found)) if math.isfinite(found) else found

    return apply


def _numbers(name: str, arguments: Sequence[object], budget: Budget) -> list[int | float]:
    """Numbers given one by one or as lists."""
    found: list[int | float] = []
    for argument in arguments:
        many = argument if isinstance(argument, list | tuple) else (argument,)
        budget.spend(len(many))
        found.extend(values.number(value, name) for value in many)
    return found


def _aggregate(name: str, function: Callable[[list[int | float]], float]) -> Apply:
    def apply(arguments: Sequence[object], budget: Budget) -> float:
        found = _numbers(name, arguments, budget)
        if not found:
            raise Fault(f"{name} of an empty list")
        return math.nan if any(math.isnan(values.as_float(value)) for value in found) else function(found)

    return apply


def total(found: Sequence[object], budget: Budget) -> int | float:
    """The sum of a list; 0 if it is empty."""
    result: int | float = 0
    for value in found:
        budget.spend()
        result = values.number(operators.binary("+", result, values.number(value, "sum"), budget), "sum")
    return result


def _mean(found: list[int | float]) -> float:
    return math.fsum(map(values.as_float, found)) / len(found) if all(map(_finite, found)) else sum(found)


def _finite(value: float) -> bool:
    return math.isfinite(values.as_float(value))


def _text(name: str, function: Callable[..., object]) -> Apply:
    """A function of strings only."""

    def apply(arguments: Sequence[object], budget: Budget) -> object:
        texts = [values.text(argument, name) for argument in arguments]
        budget.spend(sum(map(len, texts)))
        found = function(*texts)
        return values.bounded_text(found) if isinstance(found, str) else found

    return apply


def _replace(text: str, old: str, new: str) -> str:
    size = len(text) + text.count(old) * (len(new) - len(old))
    if size > values.MAX_TEXT:
        raise Fault(f"replace gives more than {values.MAX_TEXT} characters")
    return text.replace(old, new)


def _repeat(arguments: Sequence[object], budget: Budget) -> str:
    text, times = values.text(arguments[0], "repeat"), values.integer(arguments[1], "repeat")
    if times < 0 or len(text) * times > values.MAX_TEXT:
        raise Fault(f"repeat gives more than {values.MAX_TEXT} characters or a negative number of them")
    budget.spend(len(text) * times)
    return text * times


def _split(arguments: Sequence[object], budget: Budget) -> list[object]:
    text, delimiter = values.text(arguments[0], "split"), values.text(arguments[1], "split")
    limit = values.integer(arguments[2], "split") if len(arguments) > 2 else -1
    budget.spend(len(text))
    if limit == 0:
        return []
    cuts = limit - 1 if limit > 0 else -1
    parts = text.split(delimiter, cuts) if delimiter else _characters(text, cuts)
    return values.bounded_items(list(parts))


def _characters(text: str, cuts: int) -> list[str]:
    return list(text) if cuts < 0 or cuts >= len(text) else [*text[:cuts], text[cuts:]]


def _join(arguments: Sequence[object], budget: Budget) -> str:
    parts = [values.text(item, "join") for item in values.items(arguments[0], "join")]
    glue = values.text(arguments[1], "join") if len(arguments) > 1 else ""
    size = sum(map(len, parts)) + len(glue) * max(0, len(parts) - 1)
    if size > values.MAX_TEXT:
        raise Fault(f"join gives more than {values.MAX_TEXT} characters")
    budget.spend(size)
    return glue.join(parts)


def _first(arguments: Sequence[object], _: Budget) -> object:
    found = values.items(arguments[0], "first")
    return found[0] if found else None


def _last(arguments: Sequence[object], _: Budget) -> object:
    found = values.items(arguments[0], "last")
    return found[-1] if found else None


def _take(arguments: Sequence[object], budget: Budget) -> list[object]:
    found, size = values.items(arguments[0], "take"), values.integer(arguments[1], "take")
    if size < 0:
        raise Fault("take cannot take a negative number of items")
    budget.spend(min(size, len(found)))
    return list(found[:size])


def _get(arguments: Sequence[object], _: Budget) -> object:
    """The item or nil: indexing that never fails on what is not there."""
    subject, key = arguments
    if isinstance(subject, Mapping):
        return subject.get(key) if isinstance(key, str) else None
    found, index = values.items(subject, "get"), values.integer(key, "get")
    return found[index] if -len(found) <= index < len(found) else None


def _keys(arguments: Sequence[object], budget: Budget) -> list[object]:
    found = _mapping(arguments[0], "keys", budget)
    return list(found)


def _values(arguments: Sequence[object], budget: Budget) -> list[object]:
    found = _mapping(arguments[0], "values", budget)
    return list(found.values())


def _mapping(value: object, name: str, budget: Budget) -> Mapping[object, object]:
    if not isinstance(value, Mapping):
        raise Fault(f"{name} needs a map, got {values.described(value)}")
    values.check_size(len(value))
    budget.spend(len(value))
    return value


def _listed(name: str, arguments: Sequence[object], budget: Budget) -> Sequence[object]:
    found = values.items(arguments[0], name)
    values.check_size(len(found))
    budget.spend(len(found))
    return found


def _reverse(arguments: Sequence[object], budget: Budget) -> list[object]:
    return list(reversed(_listed("reverse", arguments, budget)))


def _sort(arguments: Sequence[object], budget: Budget) -> list[object]:
    """Numbers or strings, ascending; a second argument "desc" turns it round."""
    found = _listed("sort", arguments, budget)
    order = values.text(arguments[1], "sort") if len(arguments) > 1 else "asc"
    if order not in {"asc", "desc"}:
        raise Fault(f'sort needs "asc" or "desc", got {values.show(order)}')
    if all(isinstance(item, str) for item in found):
        return sorted(found, key=str, reverse=order == "desc")
    numbers = [values.number(item, "sort") for item in found]
    return [*sorted(numbers, reverse=order == "desc")]


def _flatten(arguments: Sequence[object], budget: Budget) -> list[object]:
    found: list[object] = []
    pending: list[object] = [arguments[0]]
    values.items(arguments[0], "flatten")
    while pending:
        budget.spend()
        value = pending.pop()
        if isinstance(value, list | tuple):
            pending.extend(reversed(value))
        else:
            found.append(value)
    return values.bounded_items(found)


def _concat(arguments: Sequence[object], budget: Budget) -> list[object]:
    found: list[object] = []
    for argument in arguments:
        found.extend(values.items(argument, "concat"))
        values.check_size(len(found))
        budget.spend(len(found))
    return found


def _default(arguments: Sequence[object], _: Budget) -> object:
    return arguments[1] if arguments[0] is None else arguments[0]


def _one(function: Callable[[object], object]) -> Function:
    return Function(1, 1, lambda arguments, _: function(arguments[0]))


FUNCTIONS: Mapping[str, Function] = {
    "abs": _one(lambda value: abs(values.number(value, "abs"))),
    "asFloat": _one(as_float),
    "asInt": _one(as_int),
    "ceil": Function(1, 1, _whole("ceil", math.ceil)),
    "concat": Function(1, None, _concat),
    "default": Function(2, 2, _default),
    "first": Function(1, 1, _first),
    "flatten": Function(1, 1, _flatten),
    "float": _one(as_float),
    "floor": Function(1, 1, _whole("floor", math.floor)),
    "get": Function(2, 2, _get),
    "hasPrefix": Function(2, 2, _text("hasPrefix", str.startswith)),
    "hasSuffix": Function(2, 2, _text("hasSuffix", str.endswith)),
    "indexOf": Function(2, 2, _text("indexOf", str.find)),
    "int": _one(as_int),
    "isInf": _one(_is_inf),
    "isNaN": _one(_is_nan),
    "isNil": _one(lambda value: value is None),
    "join": Function(1, 2, _join),
    "keys": Function(1, 1, _keys),
    "last": Function(1, 1, _last),
    "lastIndexOf": Function(2, 2, _text("lastIndexOf", str.rfind)),
    "len": _one(_length),
    "lower": Function(1, 1, _text("lower", str.lower)),
    "max": Function(1, None, _aggregate("max", max)),
    "mean": Function(1, None, _aggregate("mean", _mean)),
    "median": Function(1, None, _aggregate("median", statistics.median)),
    "min": Function(1, None, _aggregate("min", min)),
    "repeat": Function(2, 2, _repeat),
    "replace": Function(3, 3, _text("replace", _replace)),
    "reverse": Function(1, 1, _reverse),
    "round": _one(_rounded),
    "sort": Function(1, 2, _sort),
    "split": Function(2, 3, _split),
    "string": _one(_string),
    "take": Function(2, 2, _take),
    "trim": Function(1, 2, _text("trim", lambda text, characters=_SPACE: text.strip(characters))),
    "trimPrefix": Function(2, 2, _text("trimPrefix", str.removeprefix)),
    "trimSuffix": Function(2, 2, _text("trimSuffix", str.removesuffix)),
    "type": _one(values.kind),
    "upper": Function(1, 1, _text("upper", str.upper)),
    "values": Function(1, 1, _values),
}
