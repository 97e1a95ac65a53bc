"""Functions of lists and maps. Pure. Called through the table in `functions`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analysis.language import values
from analysis.language.values import Budget, Fault


def length(value: object) -> int:
    if isinstance(value, str | list | tuple | Mapping):
        return len(value)
    raise Fault(f"len needs a string, a list or a map, got {values.described(value)}")


def first(arguments: Sequence[object], _: Budget) -> object:
    found = values.items(arguments[0], "first")
    return found[0] if found else None


def last(arguments: Sequence[object], _: Budget) -> object:
    found = values.items(arguments[0], "last")
    return found[-1] if found else None


def take(arguments: Sequence[object], budget: Budget) -> list[object]:
    found, size = values.items(arguments[0], "take"), values.integer(arguments[1], "take")
    if size < 0:
        raise Fault("take cannot take a negative number of items")
    budget.spend(min(size, len(found)))
    return list(found[:size])


def get(arguments: Sequence[object], _: Budget) -> object:
    """The item or nil: indexing that never fails on what is not there."""
    subject, key = arguments
    if subject is None:
        return None
    if isinstance(subject, Mapping):
        return subject.get(key) if values.is_key(key) else None
    found, index = values.items(subject, "get"), values.integer(key, "get")
    return found[index] if -len(found) <= index < len(found) else None


def keys(arguments: Sequence[object], budget: Budget) -> list[object]:
    return list(_mapping(arguments[0], "keys", budget))


def values_of(arguments: Sequence[object], budget: Budget) -> list[object]:
    return list(_mapping(arguments[0], "values", budget).values())


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


def reverse(arguments: Sequence[object], budget: Budget) -> list[object]:
    return list(reversed(_listed("reverse", arguments, budget)))


def sort(arguments: Sequence[object], budget: Budget) -> list[object]:
    """Numbers or strings, ascending; a second argument "desc" turns it round."""
    found = _listed("sort", arguments, budget)
    return [found[index] for index in order("sort", found, arguments[1:])]


def order(name: str, by: Sequence[object], direction: Sequence[object]) -> Sequence[int]:
    """The positions of numbers or strings as they are sorted; equal ones keep their order."""
    wanted = values.text(direction[0], name) if direction else "asc"
    if wanted not in {"asc", "desc"}:
        raise Fault(f'{name} needs "asc" or "desc", got {values.show(wanted)}')
    positions = range(len(by))
    if all(isinstance(item, str) for item in by):
        return sorted(positions, key=lambda index: str(by[index]), reverse=wanted == "desc")
    numbers = [values.number(item, name) for item in by]
    return sorted(positions, key=numbers.__getitem__, reverse=wanted == "desc")


def flatten(arguments: Sequence[object], budget: Budget) -> list[object]:
    values.items(arguments[0], "flatten")
    return values.bounded_items(list(values.leaves(arguments[:1], budget)))


def concat(arguments: Sequence[object], budget: Budget) -> list[object]:
    found: list[object] = []
    for argument in arguments:
        found.extend(values.items(argument, "concat"))
        values.check_size(len(found))
        budget.spend(len(found))
    return found


def uniq(arguments: Sequence[object], budget: Budget) -> list[object]:
    """Each value once, where it stands first."""
    found: list[object] = []
    for item in _listed("uniq", arguments, budget):
        if not any(values.equal(item, kept, budget) for kept in found):
            found.append(item)
    return found
