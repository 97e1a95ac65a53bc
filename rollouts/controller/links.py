"""Who names whom: Rollouts and the Services and templates in their specs, both ways.

So that a change of a shared object rings exactly those that name it. Decides nothing; fed by listeners.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Generic, TypeVar

__all__ = ["Links"]

S = TypeVar("S", bound=Hashable)
T = TypeVar("T", bound=Hashable)


class Links(Generic[S, T]):
    """A relation that can be asked from both sides."""

    def __init__(self) -> None:
        self._targets: dict[S, frozenset[T]] = {}
        self._sources: dict[T, set[S]] = {}

    def set(self, source: S, targets: Iterable[T]) -> frozenset[T]:
        """`source` names these and no others from now on; returns those that were added or removed."""
        old, new = self._targets.pop(source, frozenset()), frozenset(targets)
        if new:
            self._targets[source] = new
        for target in new - old:
            self._sources.setdefault(target, set()).add(source)
        for target in old - new:
            self._sources[target].discard(source)
            if not self._sources[target]:
                del self._sources[target]
        return old ^ new

    def __iter__(self) -> Iterator[T]:
        """Everything that is named."""
        return iter(tuple(self._sources))

    def targets(self, source: S) -> frozenset[T]:
        return self._targets.get(source, frozenset())

    def sources(self, target: T) -> frozenset[S]:
        return frozenset(self._sources.get(target, ()))
