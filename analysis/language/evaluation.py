"""One evaluation of a syntax tree: scopes, functions, the steps that are left, and where an error happened.

Decided here: what names and `#` stand for at a place, and that whatever goes wrong comes out as a
ConditionError with its position. The meaning of each node is in `syntax`. Called by `analysis.condition`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from analysis.errors import ConditionError
from analysis.language.functions import FUNCTIONS, Function
from analysis.language.values import Budget, Fault


@dataclass(frozen=True, slots=True)
class Scope:
    """What names, `#`, `#index` and `#acc` stand for at one place."""

    names: Mapping[str, object]
    element: object = None
    index: int = 0
    accumulated: object = None


class Evaluable(Protocol):
    """A node of the syntax tree, as far as an evaluation cares."""

    @property
    def at(self) -> int:
        """Offset in the text."""

    def evaluate(self, run: Run, scope: Scope) -> object:
        """The value of the node."""


class Run:
    """One evaluation of one expression; `mistyped` are the comparisons that can never hold (`kinds`)."""

    def __init__(
        self,
        expression: str,
        functions: Mapping[str, Function] = FUNCTIONS,
        mistyped: frozenset[int] = frozenset(),
    ) -> None:
        self._expression = expression
        self.functions = functions
        self.mistyped = mistyped
        self.budget = Budget()

    def value(self, node: Evaluable, scope: Scope) -> object:
        """The value of a node; ConditionError with its position if it has none."""
        try:
            self.budget.spend()
            return node.evaluate(self, scope)
        except Fault as fault:
            raise ConditionError(self._expression, str(fault), node.at) from None
