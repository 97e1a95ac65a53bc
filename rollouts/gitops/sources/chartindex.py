"""The index.yaml of a Helm repository: what it says about one chart, without holding the rest.

Decides how much of an index is read. Some have tens of megabytes for hundreds of charts; a whole tree of one would
take a gigabyte. Scalars stay text: versions, addresses and digests are nothing else. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

__all__ = ["IndexUnreadable", "entries"]

_MAX_VALUES = 200_000
"""Of one chart."""
_MAX_DEPTH = 50
_Events = Iterator[yaml.Event]


class IndexUnreadable(Exception):
    """The text is no index; the sentence says why."""


def entries(text: bytes, chart: str) -> tuple[Mapping[str, Any], ...]:
    """The entries of a chart; none where it is not there. Raises `IndexUnreadable`."""
    try:
        events = iter(yaml.parse(text, Loader=yaml.CSafeLoader))
        for _ in range(2):  # the beginnings of the stream and of the document
            next(events)
        found = _entries(events, chart)
    except yaml.MarkedYAMLError as e:
        mark = e.problem_mark
        raise IndexUnreadable(f"line {mark.line + 1 if mark else 1}: {e.problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError, StopIteration):
        raise IndexUnreadable("is not YAML") from None
    return tuple(e for e in found if isinstance(e, Mapping)) if isinstance(found, list) else ()


def _entries(events: _Events, chart: str) -> Any:
    start: yaml.Event | None = next(events)
    for key in ("entries", chart):
        start = _at(events, start, key)
    return _Reader(events).value(start, 0) if start else None


def _at(events: _Events, start: yaml.Event | None, key: str) -> yaml.Event | None:
    """The event that begins the value of a key of the mapping that `start` begins."""
    if not isinstance(start, yaml.MappingStartEvent):
        return None
    while not isinstance(name := next(events), yaml.MappingEndEvent):
        _skip(events, name)
        value = next(events)
        if isinstance(name, yaml.ScalarEvent) and name.value == key:
            return value
        _skip(events, value)
    return None


def _skip(events: _Events, start: yaml.Event) -> None:
    depth = int(isinstance(start, yaml.CollectionStartEvent))
    while depth:
        event = next(events)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)


class _Reader:
    """The value that an event begins, within limits."""

    def __init__(self, events: _Events) -> None:
        self._events = events
        self._left = _MAX_VALUES

    def value(self, start: yaml.Event, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth > _MAX_DEPTH:
            problem = f"says more than {_MAX_VALUES} things about one chart, or nests them too deeply"
            raise IndexUnreadable(problem)
        if isinstance(start, yaml.ScalarEvent):
            return start.value
        if isinstance(start, yaml.SequenceStartEvent):
            items = []
            while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
                items.append(self.value(event, depth + 1))
            return items
        if isinstance(start, yaml.MappingStartEvent):
            return self._mapping(depth)
        return None  # an alias: no index has one where it matters

    def _mapping(self, depth: int) -> dict[str, Any]:
        found = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self.value(event, depth + 1)
            found[str(key)] = self.value(next(self._events), depth + 1)
        return found
