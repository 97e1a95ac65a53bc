"""What is known about the types of an expression once the type of the result is known. Pure.

Decided here: which comparisons with `==` and `!=` are a mistake, since both sides are of known and different types.
What comes out of a map, or of a list of mixed items, may be anything: there, different types are just unequal.
Called by `analysis.condition` before each evaluation; how a mistake is told is up to `operators`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from analysis.language import values
from analysis.language.closures import PREDICATES
from analysis.language.syntax import (
    Array,
    Binary,
    Braced,
    Call,
    Coalesce,
    Conditional,
    Index,
    Let,
    Literal,
    Logic,
    MapLiteral,
    Name,
    Node,
    Pointer,
    Sequence,
    Slice,
    Unary,
)
from analysis.language.values import Fault


class Known(NamedTuple):
    """The type of a value, None if it may be any, and that of its items."""

    kind: str | None = None
    item: str | None = None


_ANY, _BOOL, _NUMBER, _TEXT = Known(), Known("bool"), Known("number"), Known("string")
_EQUALITIES = {"==", "!="}
_RETURNS: Mapping[str, Known] = {
    **dict.fromkeys(("abs", "asFloat", "asInt", "ceil", "float", "floor", "int", "len", "round"), _NUMBER),
    **dict.fromkeys(("count", "findIndex", "findLastIndex", "indexOf", "lastIndexOf", "sum"), _NUMBER),
    **dict.fromkeys(("all", "any", "none", "one"), _BOOL),
    **dict.fromkeys(("hasPrefix", "hasSuffix", "isInf", "isNaN", "isNil"), _BOOL),
    **dict.fromkeys(("join", "lower", "repeat", "replace", "string", "toBase64", "toJSON"), _TEXT),
    **dict.fromkeys(("trim", "trimPrefix", "trimSuffix", "type", "upper", "fromBase64"), _TEXT),
    **dict.fromkeys(("split", "splitAfter"), Known("list", "string")),
    **dict.fromkeys(("concat", "flatten", "keys", "reverse", "sort", "sortBy"), Known("list")),
    **dict.fromkeys(("take", "toPairs", "uniq", "values"), Known("list")),
    **dict.fromkeys(("fromPairs", "groupBy"), Known("map")),
}


class _Place(NamedTuple):
    names: Mapping[str, Known]
    element: Known = _ANY


def mistyped(tree: Node, result: object) -> frozenset[int]:
    """The places of the comparisons that can never hold for a result of this type."""
    found: set[int] = set()
    _known(tree, _Place({"result": _of(result)}), found)
    return frozenset(found)


def _of(value: object) -> Known:
    if isinstance(value, list | tuple):
        numbers = bool(value) and all(type(item) in (int, float) for item in value)
        return Known("list", "number" if numbers else None)
    try:
        return Known(values.kind(value))
    except Fault:  # told where the value is used
        return _ANY


def _known(node: Node, place: _Place, found: set[int]) -> Known:
    match node:
        case Literal() | Name() | Pointer():
            return _leaf(node, place)
        case Let(name=name, value=value, body=body):
            declared = _known(value, place, found)
            return _known(body, place._replace(names={**place.names, name: declared}), found)
        case Call() if node.function in PREDICATES:
            return _closure(node, place, found)
        case Binary():
            return _binary(node, place, found)
        case _:
            return _compound(node, [_known(child, place, found) for child in node.children()])


def _leaf(node: Literal | Name | Pointer, place: _Place) -> Known:
    match node:
        case Literal(value=value):
            return Known(values.kind(value))
        case Name(name=name):
            return place.names.get(name, _ANY)
        case Pointer(name=name):
            return {"": place.element, "index": _NUMBER}.get(name, _ANY)


def _compound(node: Node, parts: list[Known]) -> Known:
    """The type of a node from those of its children."""
    match node:
        case Call(function=function):
            return _RETURNS.get(function, _ANY)
        case Unary(operator=operator):
            return _BOOL if operator == "not" else parts[0]
        case _:
            known = _OF_PARTS.get(type(node))
            return _ANY if known is None else known(parts)


def _either(parts: list[Known]) -> Known:
    left, right = parts[-2:]
    if left.kind == "nil":
        return right
    return left if left == right else _ANY


def _array(parts: list[Known]) -> Known:
    kinds = {part.kind for part in parts}
    return Known("list", kinds.pop() if len(kinds) == 1 else None)


_OF_PARTS: Mapping[type, Callable[[list[Known]], Known]] = {
    Array: _array,
    Braced: lambda parts: parts[0],
    Coalesce: _either,
    Conditional: _either,
    Index: lambda parts: Known(parts[0].item),
    Logic: lambda _: _BOOL,
    MapLiteral: lambda _: Known("map"),
    Sequence: lambda parts: parts[1],
    Slice: lambda parts: parts[0],
}


def _closure(call: Call, place: _Place, found: set[int]) -> Known:
    items, *rest = call.arguments
    listed = _known(items, place, found)
    inside = place._replace(element=Known(listed.item))
    parts = [_known(part, inside if index == 0 else place, found) for index, part in enumerate(rest)]
    match call.function:
        case "filter":
            return listed
        case "map":
            return Known("list", parts[0].kind)
        case "find" | "findLast":
            return Known(listed.item)
        case _:
            return _RETURNS.get(call.function, _ANY)


def _binary(node: Binary, place: _Place, found: set[int]) -> Known:
    left, right = _known(node.left, place, found), _known(node.right, place, found)
    kinds = {left.kind, right.kind}
    if node.operator in _EQUALITIES and len(kinds) == 2 and not kinds & {None, "nil"}:
        found.add(node.at)
    if node.operator in {"+", "-", "*"}:
        return left if len(kinds) == 1 else _ANY
    if node.operator in {"/", "%", "**", "^"}:
        return _NUMBER
    return Known("list", "number") if node.operator == ".." else _BOOL
