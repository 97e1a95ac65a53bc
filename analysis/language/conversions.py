"""Functions between types: numbers and text, JSON, base64, pairs and maps. Pure.

Decided here: what text is a number, and what has no conversion. Called through the table in `functions`.
A number that does not fit, NaN included, is a Fault, where Go makes up the smallest integer.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from analysis.language import printing, values
from analysis.language.values import Budget, Fault

_INTEGER = re.compile(r"[+-]?[0-9]+")
_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_FLOAT = re.compile(
    rf"[+-]?({_DIGITS}(\.({_DIGITS})?)?|\.{_DIGITS})(e[+-]?[0-9]+)?|[+-]?inf(inity)?|nan", re.IGNORECASE
)
_HEXADECIMAL = re.compile(r"[+-]?0x([0-9a-f]+(\.[0-9a-f]*)?|\.[0-9a-f]+)p[+-]?[0-9]+", re.IGNORECASE)
_MAX_DIGITS = 400
_TYPES = {"number": "float", "list": "array"}


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
    found = _float(value) if len(value) <= _MAX_DIGITS else None
    if found is None or (math.isinf(found) and "inf" not in value.lower()):
        raise Fault(f"asFloat cannot read {values.described(value)}")
    return found


def _float(text: str) -> float | None:
    if _FLOAT.fullmatch(text):
        return float(text)
    try:
        return float.fromhex(text) if _HEXADECIMAL.fullmatch(text) else None
    except OverflowError:
        return None


def type_name(value: object) -> str:
    """The name of a value's type, as the language has it."""
    if isinstance(value, int) and not isinstance(value, bool):
        return "int"
    found = values.kind(value)
    return _TYPES.get(found, found)


def string(arguments: Sequence[object], budget: Budget) -> str:
    return _written("string", printing.printed(arguments[0]), budget)


def to_json(arguments: Sequence[object], budget: Budget) -> str:
    return _written("toJSON", printing.encoded(arguments[0], indented=True), budget)


def _written(name: str, parts: Iterator[str], budget: Budget) -> str:
    found: list[str] = []
    size = 0
    for part in parts:
        size += len(part)
        budget.spend(1 + len(part))
        if size > values.MAX_TEXT:
            raise Fault(f"{name} gives more than {values.MAX_TEXT} characters")
        found.append(part)
    return "".join(found)


def from_json(arguments: Sequence[object], budget: Budget) -> object:
    text = values.text(arguments[0], "fromJSON")
    budget.spend(len(text))
    try:
        return parsed(text, constants=_finite)
    except (ValueError, RecursionError):
        raise Fault(f"fromJSON cannot read {values.described(text)}") from None


def parsed(document: str | bytes, *, constants: Callable[[str], float] = float) -> object:
    """JSON as Go reads it, where every number is a float; NaN, which servers write, is one too."""
    found: object = json.loads(document, parse_int=_finite, parse_float=_finite, parse_constant=constants)
    return found


def _finite(digits: str) -> float:
    found = float(digits)
    if not math.isfinite(found):
        raise ValueError(f"{digits[:_MAX_DIGITS]} is not a number of JSON")
    return found


def to_base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")


def from_base64(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        raise Fault(f"fromBase64 cannot read {values.described(text)}") from None


def to_pairs(arguments: Sequence[object], budget: Budget) -> list[object]:
    found = arguments[0]
    if not isinstance(found, Mapping):
        raise Fault(f"toPairs needs a map, got {values.described(found)}")
    values.check_size(len(found))
    budget.spend(len(found))
    return [[key, item] for key, item in found.items()]


def from_pairs(arguments: Sequence[object], budget: Budget) -> Mapping[object, object]:
    found: dict[object, object] = {}
    for pair in values.items(arguments[0], "fromPairs"):
        budget.spend()
        both = values.items(pair, "fromPairs")
        if len(both) != 2:
            raise Fault(f"fromPairs needs pairs, got {values.described(pair)}")
        found[values.key(both[0], "fromPairs")] = both[1]
    return found
