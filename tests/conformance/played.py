"""What a player has seen of a scenario, and how it differs from what is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.conformance.scenario import Chapter, Object, Scenario

_WRITES = ("SwitchService", "NewReplicaSetCreated")


class Stuck(AssertionError):
    """A chapter does not come to what is waited for."""


@dataclass(frozen=True, slots=True)
class Told:
    """One chapter as it was seen."""

    state: Object
    phases: tuple[str, ...]
    events: tuple[str, ...]


@dataclass(slots=True)
class Played:
    chapters: list[Told] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """Invariants."""
    story: str = ""
    """Everything that was seen, for people."""


def holds(chapter: Chapter, state: Mapping[str, Any]) -> bool:
    """What the chapter waits for."""
    awaited = all(state.get(key) == value for key, value in chapter.until.items())
    return awaited and (not chapter.then or state == chapter.then)


def differences(scenario: Scenario, played: Played) -> Iterator[str]:
    """None, if all is as written."""
    for number, (chapter, told) in enumerate(zip(scenario.story, played.chapters, strict=True), start=1):
        where = f"{scenario.name}, chapter {number} {[*chapter.deeds]}"
        if not chapter.then:
            continue
        if told.state != chapter.then:
            yield f"{where}: {told.state}, not {chapter.then}"
        if told.phases != chapter.phases:
            yield f"{where}: phases {list(told.phases)}, not {list(chapter.phases)}"
        if _in_order(told.events) != _in_order(chapter.events):
            yield f"{where}: events {list(told.events)}, not {list(chapter.events)}"
    yield from (f"{scenario.name}: {wrong}" for wrong in played.broken)


def _in_order(events: tuple[str, ...]) -> tuple[str, ...]:
    """A conflict between two writes parts what was done from what is said of it; each keeps its order."""
    return tuple(sorted(events, key=lambda event: event in _WRITES))
