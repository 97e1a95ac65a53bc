"""Text -> syntax tree, by the grammar in `grammar.lark`, and what can be checked without a value.

Decided here: literals, pipes, chained comparisons; unknown names and functions, arity, `#` outside a closure,
nesting and length. Called by `analysis.condition` and `analysis.instants`.
"""

from __future__ import annotations

import difflib
import functools
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib import resources
from typing import NamedTuple, cast

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from analysis import patterns
from analysis.errors import ConditionError
from analysis.language import values
from analysis.language.closures import PREDICATES
from analysis.language.functions import FUNCTIONS, Function
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
    Member,
    Name,
    Node,
    Pointer,
    Sequence,
    Slice,
    Unary,
)

MAX_LENGTH = 4096
MAX_DEPTH = 64
_RELATIONS = {"<", "<=", ">", ">="}
_LITERAL_NAMES: Mapping[str, bool | None] = {"true": True, "false": False, "nil": None}
_POINTERS = {"", "acc", "index"}
_NAMED_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-3][0-7]{2}|.)", re.DOTALL)


class _Wrong(Exception):
    """Something the grammar allows and the language does not; becomes a ConditionError."""

    def __init__(self, at: int, reason: str) -> None:
        self.at = at
        self.reason = reason
        super().__init__(reason)


def parse(expression: str, names: frozenset[str], functions: Mapping[str, Function] = FUNCTIONS) -> Node:
    """The tree of an expression that uses only these names and functions; ConditionError otherwise."""
    if not expression.strip():
        raise ConditionError(expression[:MAX_LENGTH], "the expression is empty")
    if len(expression) > MAX_LENGTH:
        raise ConditionError(
            expression[:MAX_LENGTH], f"the expression is longer than {MAX_LENGTH} characters"
        )
    try:
        tree = cast("Node", _grammar().parse(expression))  # the builder makes nodes of everything
        _check(tree, names, functions)
    except _Wrong as error:
        raise ConditionError(expression, error.reason, error.at) from None
    except UnexpectedInput as error:
        raise _unexpected(expression, error) from None
    return tree


@functools.cache
def _grammar() -> Lark:
    text = resources.files("analysis.language").joinpath("grammar.lark").read_text(encoding="utf-8")
    # The tree is built while parsing: no recursion, however deep the input is nested.
    return Lark(text, parser="lalr", lexer="contextual", transformer=_Builder())


def _unexpected(expression: str, error: UnexpectedInput) -> ConditionError:
    if isinstance(error, UnexpectedToken) and error.token.type != "$END":
        at = error.token.start_pos or 0
        if expression.startswith("/*", at - 1):
            return ConditionError(expression, "what starts here is not closed", at - 1)
        return ConditionError(expression, f"unexpected {values.show(str(error.token))}", at)
    if isinstance(error, UnexpectedCharacters):
        at = error.pos_in_stream or 0
        found = expression[at]
        reason = "what starts here is not closed" if found in "\"'`" else f"unexpected {values.show(found)}"
        return ConditionError(expression, reason, at)
    return ConditionError(expression, "the expression ends too early", len(expression))


def _at(token: Token) -> int:
    return token.start_pos or 0


def _unescaped(token: Token) -> str:
    def one(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] in "xuU" and len(code) > 1:
            return _character(_at(token) + match.start() + 1, int(code[1:], 16))
        if code in "\\\"'":
            return code
        if len(code) == 3:
            return chr(int(code, 8))
        if code in _NAMED_ESCAPES:
            return _NAMED_ESCAPES[code]
        raise _Wrong(_at(token) + match.start() + 1, f"unknown escape \\{code}")

    return _ESCAPE.sub(one, token[1:-1])


def _character(at: int, code: int) -> str:
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise _Wrong(at, f"{code:#x} is not a character")
    return chr(code)


def _number(token: Token) -> Literal:
    digits = token.replace("_", "").lower()
    try:
        if digits.startswith(("0x", "0o", "0b")):
            value: int | float = int(digits, 0)
        else:
            value = float(digits) if set(digits) & {".", "e"} else int(digits)
    except ValueError:
        raise _Wrong(_at(token), f"{token} is not a number") from None
    if value == math.inf:
        raise _Wrong(_at(token), f"{values.show(str(token))} is out of range")
    if value > values.MAX_INTEGER and isinstance(value, int):
        raise _Wrong(_at(token), f"{values.show(str(token))} does not fit in a 64-bit integer")
    return Literal(_at(token), value)


class _Slot(NamedTuple):
    key: Node
    item: Node


@v_args(inline=True)
class _Builder(Transformer[Token, Node]):
    """One method for each rule of the grammar."""

    def start(self, body: Node) -> Node:
        return body

    def let(self, name: Token, value: Node, body: Node) -> Node:
        if name in {*FUNCTIONS, *PREDICATES, *_LITERAL_NAMES, "result"}:
            raise _Wrong(_at(name), f"{name} has a meaning already and cannot be declared")
        return Let(_at(name), str(name), value, body)

    def sequence(self, first: Node, second: Node | None) -> Node:
        if second is None:
            return first
        if isinstance(first, Let):  # what is declared holds for the rest
            return replace(first, body=self.sequence(first.body, second))
        return Sequence(first.at, first, second)

    def otherwise(self, test: Node, otherwise: Node) -> Node:
        return Conditional(test.at, test, test, otherwise)

    def branches(self, test: Node, then: Node, otherwise: Node) -> Node:
        return Conditional(test.at, test, then, otherwise)

    def conditional(self, test: Node, then: Node, otherwise: Node) -> Node:
        return Conditional(test.at, test, then, otherwise)

    def pipe(self, left: Node, bar: Token, right: Node) -> Node:
        return _piped(left, right, _at(bar))

    def logic(self, left: Node, operator: Token, right: Node) -> Node:
        return Logic(_at(operator), "and" if operator in {"and", "&&"} else "or", left, right)

    def comparison(self, first: Node, *rest: Node | Token) -> Node:
        operators = [part for part in rest if isinstance(part, Token)]
        operands = [part for part in rest if not isinstance(part, Token)]
        return _compared(first, operators, operands)

    def binary(self, left: Node, operator: Token, right: Node) -> Node:
        return Binary(_at(operator), str(operator), left, right)

    def unary(self, operator: Token, operand: Node) -> Node:
        return Unary(_at(operator), "not" if operator == "!" else str(operator), operand)

    def coalesce(self, left: Node, operator: Token, right: Node) -> Node:
        return Coalesce(_at(operator), left, right)

    def member(self, subject: Node, _: Token, name: Token) -> Node:
        return Member(_at(name), subject, str(name), optional=False)

    def optional_member(self, subject: Node, _: Token, name: Token) -> Node:
        return Member(_at(name), subject, str(name), optional=True)

    def index(self, subject: Node, key: Node, close: Token) -> Node:
        return Index(min(key.at, _at(close)), subject, key, optional=False)

    def optional_index(self, subject: Node, _: Token, key: Node, close: Token) -> Node:
        return Index(min(key.at, _at(close)), subject, key, optional=True)

    def slice(self, subject: Node, start: Node | None, stop: Node | None, close: Token) -> Node:
        return Slice(_at(close), subject, start, stop)

    def number(self, token: Token) -> Node:
        return _number(token)

    def string(self, token: Token) -> Node:
        return Literal(_at(token), _unescaped(token))

    def raw_string(self, token: Token) -> Node:
        return Literal(_at(token), token[1:-1].replace("``", "`"))

    def key_text(self, token: Token) -> Node:
        return Literal(_at(token), str(token))

    def name(self, token: Token) -> Node:
        if token in _LITERAL_NAMES:
            return Literal(_at(token), _LITERAL_NAMES[token])
        return Name(_at(token), str(token))

    def pointer(self, token: Token) -> Node:
        if token[1:] not in _POINTERS:
            raise _Wrong(_at(token), f"unknown pointer {token}; there are #, #index and, in reduce, #acc")
        return Pointer(_at(token), token[1:])

    def pointer_member(self, dot: Token, name: Token) -> Node:
        return Member(_at(name), Pointer(_at(dot)), str(name), optional=False)

    def call(self, name: Token, arguments: tuple[Node, ...] | None) -> Node:
        return Call(_at(name), str(name), arguments or ())

    def braced(self, body: Node) -> Node:
        return Braced(body.at, body)

    def array(self, opening: Token, items: tuple[Node, ...] | None, _: Token) -> Node:
        return Array(_at(opening), items or ())

    def mapping(self, pairs: tuple[_Slot, ...] | None) -> Node:
        found = pairs or ()
        keys, items = tuple(slot.key for slot in found), tuple(slot.item for slot in found)
        return MapLiteral(keys[0].at if keys else 0, keys, items)

    def pair(self, key: Node, item: Node) -> _Slot:
        return _Slot(key, item)

    def arguments(self, *parts: Node) -> tuple[Node, ...]:
        return parts

    def items(self, *parts: Node) -> tuple[Node, ...]:
        return parts

    def pairs(self, *parts: _Slot) -> tuple[_Slot, ...]:
        return parts


def _compared(first: Node, operators: list[Token], operands: list[Node]) -> Node:
    """`a < b < c` means `a < b and b < c`; other comparisons are taken from left to right."""
    found, left, chained = first, first, False
    for operator, right in zip(operators, operands, strict=True):
        relation = operator in _RELATIONS
        if relation and chained:
            found = Logic(_at(operator), "and", found, _comparison(operator, left, right))
        else:
            found = _comparison(operator, found, right)
        left, chained = right, relation
    return found


def _comparison(operator: Token, left: Node, right: Node) -> Node:
    words = operator.split()
    _check_pattern(words[-1], right)
    found = Binary(_at(operator), words[-1], left, right)
    return Unary(_at(operator), "not", found) if words[0] == "not" else found


def _check_pattern(operator: str, pattern: Node) -> None:
    if operator == "matches" and isinstance(pattern, Literal) and isinstance(pattern.value, str):
        try:
            patterns.found(pattern.value, "")
        except ValueError as error:
            raise _Wrong(pattern.at, str(error)) from None


def _piped(left: Node, right: Node, bar: int) -> Node:
    """`x | f(y) > 1` is `f(x, y) > 1`: the call at the very left of what follows takes x first."""
    path: list[Node] = []
    node = right
    while not isinstance(node, Call):
        path.append(node)
        parts = node.children()
        if not isinstance(node, Binary | Logic | Coalesce | Member | Index | Slice) or not parts:
            raise _Wrong(bar, "a function call must follow |")
        node = parts[0]
    found: Node = replace(node, arguments=(left, *node.arguments))
    for parent in reversed(path):
        found = _with_first(parent, found)
    return found


def _with_first(parent: Node, first: Node) -> Node:
    match parent:
        case Binary() | Logic() | Coalesce():
            return replace(parent, left=first)
        case Member() | Index() | Slice():
            return replace(parent, subject=first)
        case _:
            raise AssertionError(parent)


class _Place(NamedTuple):
    """Where a node stands: how deep, which names it may use, in the closure of which function."""

    node: Node
    depth: int
    names: frozenset[str]
    closure_of: str = ""


def _check(tree: Node, names: frozenset[str], functions: Mapping[str, Function]) -> None:
    pending = [_Place(tree, 1, names)]
    while pending:
        place = pending.pop()
        if place.depth > MAX_DEPTH:
            raise _Wrong(place.node.at, f"the expression is nested deeper than {MAX_DEPTH}")
        _check_node(place, functions)
        pending.extend(reversed(list(_inside(place))))


def _check_node(place: _Place, functions: Mapping[str, Function]) -> None:
    match place.node:
        case Name(at=at, name=name) if name not in place.names:
            raise _Wrong(at, f"unknown name {name}{_similar(name, place.names)}")
        case Pointer(at=at) if not place.closure_of:
            raise _Wrong(at, "# has a meaning only in a closure, such as all(result, # > 1)")
        case Pointer(at=at, name="acc") if place.closure_of != "reduce":
            raise _Wrong(at, "#acc has a meaning only in the closure of reduce")
        case Braced(at=at):
            raise _Wrong(
                at, "a closure can stand only as the second argument of a function such as all or filter"
            )
        case Call():
            _check_call(place.node, functions)
        case _:
            pass


def _check_call(call: Call, functions: Mapping[str, Function]) -> None:
    count = len(call.arguments)
    if call.function in PREDICATES:
        predicate = PREDICATES[call.function]
        least, most = (1 if predicate.optional else 2), 2 + predicate.options
        wanted = "a list and a closure"
    elif call.function in functions:
        found = functions[call.function]
        least = found.at_least
        most = count if found.at_most is None else found.at_most
        wanted = _arity(found)
    else:
        similar = _similar(call.function, {*functions, *PREDICATES})
        raise _Wrong(call.at, f"unknown function {call.function}{similar}")
    if not least <= count <= most:
        raise _Wrong(call.at, f"{call.function} takes {wanted}, got {count}")


def _arity(function: Function) -> str:
    if function.at_most is None:
        return f"{function.at_least} or more arguments"
    if function.at_most == function.at_least:
        return "1 argument" if function.at_most == 1 else f"{function.at_most} arguments"
    return f"{function.at_least} to {function.at_most} arguments"


def _inside(place: _Place) -> Iterable[_Place]:
    deeper = place._replace(depth=place.depth + 1)
    match place.node:
        case Let(name=name, value=value, body=body):
            yield deeper._replace(node=value)
            yield deeper._replace(node=body, names=place.names | {name})
        case Call(function=function, arguments=(first, closure, *rest)) if function in PREDICATES:
            yield deeper._replace(node=first)
            body = closure.body if isinstance(closure, Braced) else closure
            yield deeper._replace(node=body, closure_of=function)
            yield from (deeper._replace(node=option) for option in rest)
        case _:
            yield from (deeper._replace(node=child) for child in place.node.children())


def _similar(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
