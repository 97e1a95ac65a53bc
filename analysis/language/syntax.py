"""The nodes of the syntax tree: what each consists of and what it evaluates to.

Decided here: order of evaluation and short circuits. Operators, functions and closures mean what their own
modules say. Built by `parser`, evaluated through `evaluation.Run`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from analysis.language import operators, values
from analysis.language.closures import PREDICATES
from analysis.language.evaluation import Run, Scope


@dataclass(frozen=True, slots=True)
class Literal:
    at: int
    value: bool | int | float | str | None

    def children(self) -> tuple[Node, ...]:
        return ()

    def evaluate(self, _: Run, __: Scope) -> object:
        return self.value


@dataclass(frozen=True, slots=True)
class Name:
    at: int
    name: str

    def children(self) -> tuple[Node, ...]:
        return ()

    def evaluate(self, _: Run, scope: Scope) -> object:
        return scope.names[self.name]


@dataclass(frozen=True, slots=True)
class Pointer:
    """`#`: the item that a closure is applied to; `#index`: its position; `#acc`: what reduce has so far."""

    at: int
    name: str = ""

    def children(self) -> tuple[Node, ...]:
        return ()

    def evaluate(self, _: Run, scope: Scope) -> object:
        match self.name:
            case "index":
                return scope.index
            case "acc":
                return scope.accumulated
            case _:
                return scope.element


@dataclass(frozen=True, slots=True)
class Member:
    at: int
    subject: Node
    name: str
    optional: bool

    def children(self) -> tuple[Node, ...]:
        return (self.subject,)

    def evaluate(self, run: Run, scope: Scope) -> object:
        subject = run.value(self.subject, scope)
        return None if subject is None and _optional(self) else operators.member(subject, self.name)


@dataclass(frozen=True, slots=True)
class Index:
    at: int
    subject: Node
    key: Node
    optional: bool

    def children(self) -> tuple[Node, ...]:
        return (self.subject, self.key)

    def evaluate(self, run: Run, scope: Scope) -> object:
        subject = run.value(self.subject, scope)
        if subject is None and _optional(self):
            return None
        return operators.indexed(subject, run.value(self.key, scope))


def _optional(node: Node) -> bool:
    """Whether nil may pass: the rest of a chain after `?.` is skipped with it."""
    return isinstance(node, Index | Member) and (node.optional or _optional(node.subject))


@dataclass(frozen=True, slots=True)
class Slice:
    at: int
    subject: Node
    start: Node | None
    stop: Node | None

    def children(self) -> tuple[Node, ...]:
        return (self.subject, *(part for part in (self.start, self.stop) if part is not None))

    def evaluate(self, run: Run, scope: Scope) -> object:
        start = None if self.start is None else run.value(self.start, scope)
        stop = None if self.stop is None else run.value(self.stop, scope)
        found = operators.sliced(run.value(self.subject, scope), start, stop)
        run.budget.spend(len(found))
        return found


@dataclass(frozen=True, slots=True)
class Call:
    at: int
    function: str
    arguments: tuple[Node, ...]

    def children(self) -> tuple[Node, ...]:
        return self.arguments

    def evaluate(self, run: Run, scope: Scope) -> object:
        if self.function in PREDICATES:
            return self._evaluate_closure(run, scope)
        arguments = [run.value(argument, scope) for argument in self.arguments]
        return run.functions[self.function].apply(arguments, run.budget)

    def _evaluate_closure(self, run: Run, scope: Scope) -> object:
        items = values.items(run.value(self.arguments[0], scope), self.function)
        body = self.arguments[1] if len(self.arguments) > 1 else Pointer(self.at)
        options = [run.value(option, scope) for option in self.arguments[2:]]

        def closure(item: object, index: int, accumulated: object = None) -> object:
            return run.value(body, replace(scope, element=item, index=index, accumulated=accumulated))

        return PREDICATES[self.function].apply(items, closure, options, run.budget)


@dataclass(frozen=True, slots=True)
class Braced:
    """A closure in braces; the braces are optional in the language."""

    at: int
    body: Node

    def children(self) -> tuple[Node, ...]:
        return (self.body,)

    def evaluate(self, run: Run, scope: Scope) -> object:
        return run.value(self.body, scope)


@dataclass(frozen=True, slots=True)
class Unary:
    at: int
    operator: str
    operand: Node

    def children(self) -> tuple[Node, ...]:
        return (self.operand,)

    def evaluate(self, run: Run, scope: Scope) -> object:
        return operators.unary(self.operator, run.value(self.operand, scope))


@dataclass(frozen=True, slots=True)
class Binary:
    at: int
    operator: str
    left: Node
    right: Node

    def children(self) -> tuple[Node, ...]:
        return (self.left, self.right)

    def evaluate(self, run: Run, scope: Scope) -> object:
        left, right = run.value(self.left, scope), run.value(self.right, scope)
        if self.at in run.mistyped:
            operators.comparable(self.operator, left, right)
        return operators.binary(self.operator, left, right, run.budget)


@dataclass(frozen=True, slots=True)
class Logic:
    """`and`, `or`: the right side is evaluated only if it matters."""

    at: int
    operator: str
    left: Node
    right: Node

    def children(self) -> tuple[Node, ...]:
        return (self.left, self.right)

    def evaluate(self, run: Run, scope: Scope) -> bool:
        left = values.boolean(run.value(self.left, scope), self.operator)
        if left is (self.operator == "or"):
            return left
        return values.boolean(run.value(self.right, scope), self.operator)


@dataclass(frozen=True, slots=True)
class Coalesce:
    at: int
    left: Node
    right: Node

    def children(self) -> tuple[Node, ...]:
        return (self.left, self.right)

    def evaluate(self, run: Run, scope: Scope) -> object:
        left = run.value(self.left, scope)
        return run.value(self.right, scope) if left is None else left


@dataclass(frozen=True, slots=True)
class Conditional:
    at: int
    test: Node
    then: Node
    otherwise: Node

    def children(self) -> tuple[Node, ...]:
        return (self.test, self.then, self.otherwise)

    def evaluate(self, run: Run, scope: Scope) -> object:
        holds = values.boolean(run.value(self.test, scope), "the condition of ?:")
        return run.value(self.then if holds else self.otherwise, scope)


@dataclass(frozen=True, slots=True)
class Let:
    at: int
    name: str
    value: Node
    body: Node

    def children(self) -> tuple[Node, ...]:
        return (self.value, self.body)

    def evaluate(self, run: Run, scope: Scope) -> object:
        declared = {**scope.names, self.name: run.value(self.value, scope)}
        return run.value(self.body, replace(scope, names=declared))


@dataclass(frozen=True, slots=True)
class Sequence:
    """`a; b`: both are evaluated, the last is the value."""

    at: int
    first: Node
    second: Node

    def children(self) -> tuple[Node, ...]:
        return (self.first, self.second)

    def evaluate(self, run: Run, scope: Scope) -> object:
        run.value(self.first, scope)
        return run.value(self.second, scope)


@dataclass(frozen=True, slots=True)
class Array:
    at: int
    items: tuple[Node, ...]

    def children(self) -> tuple[Node, ...]:
        return self.items

    def evaluate(self, run: Run, scope: Scope) -> object:
        return [run.value(item, scope) for item in self.items]


@dataclass(frozen=True, slots=True)
class MapLiteral:
    at: int
    keys: tuple[Node, ...]
    items: tuple[Node, ...]

    def children(self) -> tuple[Node, ...]:
        return (*self.keys, *self.items)

    def evaluate(self, run: Run, scope: Scope) -> object:
        found: dict[object, object] = {}
        for key, item in zip(self.keys, self.items, strict=True):
            found.setdefault(values.text(run.value(key, scope), "the key of a map"), run.value(item, scope))
        return found


Node: TypeAlias = (
    Literal
    | Name
    | Pointer
    | Member
    | Index
    | Slice
    | Call
    | Braced
    | Unary
    | Binary
    | Logic
    | Coalesce
    | Conditional
    | Let
    | Sequence
    | Array
    | MapLiteral
)
