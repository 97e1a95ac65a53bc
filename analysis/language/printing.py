"""Values as text: as Go's `%v` prints them, and as its encoder writes JSON. Pure.

Decided here: digits, exponents, order of keys and escapes. Lazy, so that a caller can stop at its limit. Called
by `string` and `toJSON`, and by providers whose answer is JSON, for the value of a measurement.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from analysis.language import values
from analysis.language.values import Fault

_JSON_PLAIN = (1e-6, 1e21)  # numbers between these have no exponent in JSON; %v has bounds of its own
_SHOWN = 4096
_HTML = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def printed(value: object, depth: int = 0) -> Iterator[str]:
    """`[0.99 0.5]`, `map[a:1 b:<nil>]`, `1e+06`."""
    _check_depth(depth)
    match value:
        case None:
            yield "<nil>"
        case str():
            yield value
        case float():
            yield _general(value)
        case list() | tuple():
            yield from _joined("[", (printed(item, depth + 1) for item in value), " ", "]")
        case Mapping():
            yield from _joined("map[", _printed_pairs(value, depth), " ", "]")
        case _:
            yield values.show(value)


def _printed_pairs(value: Mapping[object, object], depth: int) -> Iterator[Iterator[str]]:
    for key in sorted(value, key=lambda key: (values.kind(key), key)):
        yield _pair((*printed(key), ":"), printed(value[key], depth + 1))


def encoded(value: object, *, indented: bool = False, depth: int = 0) -> Iterator[str]:
    """JSON; a Fault for what it cannot say: keys that are no strings and, indented as `toJSON` has it, NaN."""
    _check_depth(depth)
    match value:
        case None | bool() | int():
            yield json.dumps(value)
        case float():
            yield _json_number(value) if indented or math.isfinite(value) else values.show_number(value)
        case str():
            yield _json_text(value)
        case list() | tuple():
            items = (encoded(item, indented=indented, depth=depth + 1) for item in value)
            yield from _block("[", items, "]", depth if indented else None, len(value))
        case Mapping():
            pairs = _encoded_pairs(value, indented=indented, depth=depth)
            yield from _block("{", pairs, "}", depth if indented else None, len(value))
        case _:
            raise Fault(f"{values.kind(value)} has no JSON")


def _encoded_pairs(value: Mapping[object, object], *, indented: bool, depth: int) -> Iterator[Iterator[str]]:
    colon = ": " if indented else ":"
    for key in sorted(values.text(key, "a key in JSON") for key in value):
        yield _pair((_json_text(key), colon), encoded(value[key], indented=indented, depth=depth + 1))


def _pair(key: Sequence[str], item: Iterator[str]) -> Iterator[str]:
    yield from key
    yield from item


def _block(
    opening: str, items: Iterator[Iterator[str]], closing: str, depth: int | None, size: int
) -> Iterator[str]:
    if depth is None or size == 0:
        return _joined(opening, items, ",", closing)
    inner, outer = "\n" + "  " * (depth + 1), "\n" + "  " * depth
    return _joined(opening + inner, items, "," + inner, outer + closing)


def _joined(opening: str, items: Iterator[Iterator[str]], glue: str, closing: str) -> Iterator[str]:
    yield opening
    for index, item in enumerate(items):
        if index:
            yield glue
        yield from item
    yield closing


def _check_depth(depth: int) -> None:
    if depth > values.MAX_VALUE_DEPTH:
        raise Fault(f"values nested deeper than {values.MAX_VALUE_DEPTH} have no text")


def _json_text(text: str) -> str:
    clean = text.encode("utf-8", "replace").decode("utf-8")
    return json.dumps(clean, ensure_ascii=False).translate(_HTML)


def _json_number(value: float) -> str:
    if not math.isfinite(value):
        raise Fault(f"{values.show_number(value)} has no JSON")
    least, most = _JSON_PLAIN
    if value == 0 or least <= abs(value) < most:
        return values.show_number(value)
    mantissa, exponent = _scientific(value)
    return f"{mantissa}e{exponent:+d}"


def _general(value: float) -> str:
    """The shortest digits, with an exponent from a million up and below a ten-thousandth."""
    if not math.isfinite(value) or value == 0:
        return values.show_number(value)
    mantissa, exponent = _scientific(value)
    return values.show_number(value) if -5 < exponent < 6 else f"{mantissa}e{exponent:+03d}"


def _scientific(value: float) -> tuple[str, int]:
    number = Decimal(repr(value)).normalize()
    digits = "".join(map(str, number.as_tuple().digits))
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{'-' if value < 0 else ''}{digits[0]}{fraction}", number.adjusted()


def json_text(document: object) -> str:
    """The JSON of an answer on one line, for people: its beginning if it is long."""
    found: list[str] = []
    size = 0
    try:
        for part in encoded(document):
            found.append(part)
            size += len(part)
            if size > _SHOWN:
                return "".join(found)
    except Fault as fault:
        return f"({fault})"
    return "".join(found)
