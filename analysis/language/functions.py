"""The functions of the language, by name. Pure; a table, so that an expression can reach nothing else.

Decided here: names and arity. Called by `syntax`; `parser` checks names and arity. What they do is in
`conversions`, `containers`, `numerics` and `texts`. Names and meaning are expr-lang's; `asInt`, `asFloat`, `isNaN`,
`isInf`, `isNil` and `default` are those of Argo Rollouts; unlike there, `isNil` and `default` look at their
argument, not at the whole result.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from analysis.language import containers, conversions, numerics, texts
from analysis.language.values import Budget

Apply: TypeAlias = Callable[[Sequence[object], Budget], object]


@dataclass(frozen=True, slots=True)
class Function:
    """How many arguments a function takes (None: any number) and what it does with them."""

    at_least: int
    at_most: int | None
    apply: Apply


def _default(arguments: Sequence[object], _: Budget) -> object:
    return arguments[1] if arguments[0] is None else arguments[0]


def _bit_clear(left: int, right: int) -> int:
    return left & ~right


def _one(function: Callable[[object], object]) -> Function:
    return Function(1, 1, lambda arguments, _: function(arguments[0]))


def _two(name: str, function: Callable[..., object], at_least: int = 2) -> Function:
    return Function(at_least, 2, texts.of_texts(name, function))


def _bits(name: str, function: Callable[..., int], count: int = 2) -> Function:
    return Function(count, count, numerics.bits(name, function))


_OF_NUMBERS: Mapping[str, Function] = {
    "abs": _one(numerics.absolute),
    "bitand": _bits("bitand", operator.and_),
    "bitnand": _bits("bitnand", _bit_clear),
    "bitnot": _bits("bitnot", operator.invert, 1),
    "bitor": _bits("bitor", operator.or_),
    "bitshl": _bits("bitshl", numerics.shift_left),
    "bitshr": _bits("bitshr", numerics.shift_right),
    "bitushr": _bits("bitushr", numerics.shift_right_unsigned),
    "bitxor": _bits("bitxor", operator.xor),
    "ceil": _one(numerics.whole("ceil", math.ceil)),
    "floor": _one(numerics.whole("floor", math.floor)),
    "isInf": _one(numerics.is_inf),
    "isNaN": _one(numerics.is_nan),
    "max": Function(1, None, numerics.aggregate("max", max)),
    "mean": Function(1, None, numerics.aggregate("mean", numerics.mean)),
    "median": Function(1, None, numerics.aggregate("median", numerics.median)),
    "min": Function(1, None, numerics.aggregate("min", min)),
    "round": _one(numerics.rounded),
}
_OF_TEXTS: Mapping[str, Function] = {
    "fromBase64": Function(1, 1, texts.of_texts("fromBase64", conversions.from_base64)),
    "hasPrefix": _two("hasPrefix", str.startswith),
    "hasSuffix": _two("hasSuffix", str.endswith),
    "indexOf": _two("indexOf", str.find),
    "join": Function(1, 2, texts.join),
    "lastIndexOf": _two("lastIndexOf", str.rfind),
    "lower": Function(1, 1, texts.of_texts("lower", texts.lower)),
    "repeat": Function(2, 2, texts.repeat),
    "replace": Function(3, 4, texts.replace),
    "split": Function(2, 3, texts.split),
    "splitAfter": Function(2, 3, texts.split_after),
    "toBase64": Function(1, 1, texts.of_texts("toBase64", conversions.to_base64)),
    "trim": _two("trim", texts.trim, 1),
    "trimPrefix": _two("trimPrefix", texts.trim_prefix, 1),
    "trimSuffix": _two("trimSuffix", texts.trim_suffix, 1),
    "upper": Function(1, 1, texts.of_texts("upper", texts.upper)),
}
_OF_CONTAINERS: Mapping[str, Function] = {
    "concat": Function(1, None, containers.concat),
    "first": Function(1, 1, containers.first),
    "flatten": Function(1, 1, containers.flatten),
    "fromPairs": Function(1, 1, conversions.from_pairs),
    "get": Function(2, 2, containers.get),
    "keys": Function(1, 1, containers.keys),
    "last": Function(1, 1, containers.last),
    "len": _one(containers.length),
    "reverse": Function(1, 1, containers.reverse),
    "sort": Function(1, 2, containers.sort),
    "take": Function(2, 2, containers.take),
    "toPairs": Function(1, 1, conversions.to_pairs),
    "uniq": Function(1, 1, containers.uniq),
    "values": Function(1, 1, containers.values_of),
}
_OF_ANYTHING: Mapping[str, Function] = {
    "asFloat": _one(conversions.as_float),
    "asInt": _one(conversions.as_int),
    "default": Function(2, 2, _default),
    "float": _one(conversions.as_float),
    "fromJSON": Function(1, 1, conversions.from_json),
    "int": _one(conversions.as_int),
    "isNil": _one(lambda value: value is None),
    "string": Function(1, 1, conversions.string),
    "toJSON": Function(1, 1, conversions.to_json),
    "type": _one(conversions.type_name),
}

FUNCTIONS: Mapping[str, Function] = {**_OF_NUMBERS, **_OF_TEXTS, **_OF_CONTAINERS, **_OF_ANYTHING}
