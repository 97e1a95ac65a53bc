"""Functions that apply a closure to each item of a list: `all(result, # > 1)`.

Decided here: their names and meaning. Called by `syntax`, which hands in the closure as a plain function of an
item, its position and what `reduce` has so far, and the values of the arguments that follow it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from analysis.language import containers, numerics, values
from analysis.language.values import Budget, Fault


class Closure(Protocol):
    """The closure of one call."""

    def __call__(self, item: object, index: int, accumulated: object = None) -> object:
        """Its value for an item."""


Items: TypeAlias = Sequence[object]


class Apply(Protocol):
    """What a function does with a list, a closure and the arguments that follow."""

    def __call__(self, items: Items, closure: Closure, options: Items, budget: Budget, /) -> object:
        """The value of the call."""


@dataclass(frozen=True, slots=True)
class Predicate:
    """A function of a list and a closure; some do without the closure, some take one more argument."""

    apply: Apply
    optional: bool = False
    options: int = 0


def _holds(name: str, items: Items, closure: Closure, indices: Sequence[int] | None = None) -> Iterator[bool]:
    order = range(len(items)) if indices is None else indices
    return (values.boolean(closure(items[index], index), f"the closure of {name}") for index in order)


def _all(items: Items, closure: Closure, _: Items, __: Budget) -> bool:
    return all(_holds("all", items, closure))


def _any(items: Items, closure: Closure, _: Items, __: Budget) -> bool:
    return any(_holds("any", items, closure))


def _none(items: Items, closure: Closure, _: Items, __: Budget) -> bool:
    return not any(_holds("none", items, closure))


def _one(items: Items, closure: Closure, _: Items, __: Budget) -> bool:
    return sum(_holds("one", items, closure)) == 1


def _count(items: Items, closure: Closure, _: Items, __: Budget) -> int:
    return sum(_holds("count", items, closure))


def _filter(items: Items, closure: Closure, _: Items, __: Budget) -> list[object]:
    held = _holds("filter", items, closure)
    return values.bounded_items([item for item, holds in zip(items, held, strict=True) if holds])


def _map(items: Items, closure: Closure, _: Items, __: Budget) -> list[object]:
    values.check_size(len(items))
    return [closure(item, index) for index, item in enumerate(items)]


def _sum(items: Items, closure: Closure, _: Items, budget: Budget) -> int | float:
    return numerics.total([closure(item, index) for index, item in enumerate(items)], budget)


def _found(name: str, items: Items, closure: Closure, indices: Sequence[int]) -> int | None:
    """The first position of these for which the closure holds."""
    held = _holds(name, items, closure, indices)
    return next((index for index, holds in zip(indices, held, strict=False) if holds), None)


def _find(items: Items, closure: Closure, _: Items, __: Budget) -> object:
    index = _found("find", items, closure, range(len(items)))
    return None if index is None else items[index]


def _find_index(items: Items, closure: Closure, _: Items, __: Budget) -> int | None:
    return _found("findIndex", items, closure, range(len(items)))


def _find_last(items: Items, closure: Closure, _: Items, __: Budget) -> object:
    index = _found("findLast", items, closure, range(len(items))[::-1])
    return None if index is None else items[index]


def _find_last_index(items: Items, closure: Closure, _: Items, __: Budget) -> int | None:
    return _found("findLastIndex", items, closure, range(len(items))[::-1])


def _group_by(items: Items, closure: Closure, _: Items, __: Budget) -> Mapping[object, object]:
    groups: dict[object, list[object]] = {}
    values.check_size(len(items))
    for index, item in enumerate(items):
        groups.setdefault(values.key(closure(item, index), "groupBy"), []).append(item)
    return {**groups}


def _sort_by(items: Items, closure: Closure, options: Items, budget: Budget) -> list[object]:
    by = _map(items, closure, (), budget)
    return [items[index] for index in containers.order("sortBy", by, options)]


def _reduce(items: Items, closure: Closure, options: Items, _: Budget) -> object:
    """One value of all: the first item is where it starts unless a start is given."""
    if not options and not items:
        raise Fault("reduce of an empty list needs a start value as third argument")
    found = options[0] if options else items[0]
    for index in range(0 if options else 1, len(items)):
        found = closure(items[index], index, found)
    return found


PREDICATES: Mapping[str, Predicate] = {
    "all": Predicate(_all),
    "any": Predicate(_any),
    "count": Predicate(_count, optional=True),
    "filter": Predicate(_filter),
    "find": Predicate(_find),
    "findIndex": Predicate(_find_index),
    "findLast": Predicate(_find_last),
    "findLastIndex": Predicate(_find_last_index),
    "groupBy": Predicate(_group_by),
    "map": Predicate(_map),
    "none": Predicate(_none),
    "one": Predicate(_one),
    "reduce": Predicate(_reduce, options=1),
    "sortBy": Predicate(_sort_by, options=1),
    "sum": Predicate(_sum, optional=True),
}
