"""Functions that apply a closure to each item of a list: `all(result, # > 1)`.

Decided here: their names and meaning. Called by `evaluator`, which hands in the closure as a plain function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from analysis.language import functions, values
from analysis.language.values import Budget

Closure: TypeAlias = Callable[[object], object]
Items: TypeAlias = Sequence[object]


@dataclass(frozen=True, slots=True)
class Predicate:
    """A function of a list and a closure; some do without the closure."""

    apply: Callable[[Items, Closure, Budget], object]
    optional: bool = False


def _holds(name: str, items: Items, closure: Closure) -> Iterator[bool]:
    return (values.boolean(closure(item), f"the closure of {name}") for item in items)


def _all(items: Items, closure: Closure, _: Budget) -> bool:
    return all(_holds("all", items, closure))


def _any(items: Items, closure: Closure, _: Budget) -> bool:
    return any(_holds("any", items, closure))


def _none(items: Items, closure: Closure, _: Budget) -> bool:
    return not any(_holds("none", items, closure))


def _one(items: Items, closure: Closure, _: Budget) -> bool:
    return sum(_holds("one", items, closure)) == 1


def _count(items: Items, closure: Closure, _: Budget) -> int:
    return sum(_holds("count", items, closure))


def _filter(items: Items, closure: Closure, _: Budget) -> list[object]:
    held = _holds("filter", items, closure)
    return values.bounded_items([item for item, holds in zip(items, held, strict=True) if holds])


def _map(items: Items, closure: Closure, _: Budget) -> list[object]:
    values.check_size(len(items))
    return [closure(item) for item in items]


def _sum(items: Items, closure: Closure, budget: Budget) -> int | float:
    return functions.total([closure(item) for item in items], budget)


def _positions(name: str, items: Items, closure: Closure) -> Iterator[int]:
    held = _holds(name, items, closure)
    return (index for index, holds in enumerate(held) if holds)


def _find(items: Items, closure: Closure, _: Budget) -> object:
    return next((items[index] for index in _positions("find", items, closure)), None)


def _find_index(items: Items, closure: Closure, _: Budget) -> int:
    return next(_positions("findIndex", items, closure), -1)


def _find_last(items: Items, closure: Closure, _: Budget) -> object:
    return next((items[-1 - index] for index in _positions("findLast", items[::-1], closure)), None)


def _find_last_index(items: Items, closure: Closure, _: Budget) -> int:
    found = next(_positions("findLastIndex", items[::-1], closure), len(items))
    return len(items) - 1 - found


PREDICATES: Mapping[str, Predicate] = {
    "all": Predicate(_all),
    "any": Predicate(_any),
    "count": Predicate(_count, optional=True),
    "filter": Predicate(_filter),
    "find": Predicate(_find),
    "findIndex": Predicate(_find_index),
    "findLast": Predicate(_find_last),
    "findLastIndex": Predicate(_find_last_index),
    "map": Predicate(_map),
    "none": Predicate(_none),
    "one": Predicate(_one),
    "sum": Predicate(_sum, optional=True),
}
