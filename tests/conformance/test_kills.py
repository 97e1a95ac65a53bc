"""Every scenario with a controller that dies, once for each place between two writes: it ends the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.conformance import virtual
from tests.conformance.played import Played
from tests.conformance.scenario import Scenario, scenarios
from tests.conformance.virtual import Virtual


@dataclass(frozen=True, slots=True)
class Boundary:
    """The cluster before a plan is carried out, in a chapter; and after how many writes the controller dies."""

    world: Virtual
    chapter: int
    writes: int


@dataclass(slots=True)
class Undisturbed:
    """A scenario in which nobody dies."""

    scenario: Scenario
    boundaries: list[Boundary] = field(default_factory=list)
    ends: list[object] = field(default_factory=list)
    """The whole state of the cluster after each chapter."""
    played: Played = field(default_factory=Played)

    def play(self) -> None:
        world = Virtual(self.scenario)
        world.watcher = self._watch
        self.played = virtual.play_on(world, self.scenario, begun=False, after=self._ended)

    def _watch(self, world: Virtual, writes: int) -> None:
        twin = world.twin()
        self.boundaries += [Boundary(twin, len(self.ends), count) for count in range(1, writes + 1)]

    def _ended(self, world: Virtual, chapter: int) -> bool:
        assert chapter == len(self.ends)
        self.ends.append((world.now, world.state()))
        return False


@pytest.mark.parametrize("scenario", scenarios(), ids=lambda s: s.name)
def test_killed_after_any_write_it_ends_the_same(scenario: Scenario) -> None:
    quiet = Undisturbed(scenario)
    quiet.play()

    wrong = [line for boundary in quiet.boundaries for line in _disturbed(quiet, boundary)]

    assert quiet.boundaries
    assert "\n".join(wrong) == ""


def _disturbed(quiet: Undisturbed, boundary: Boundary) -> Iterator[str]:
    """How a story differs in which the controller dies there. What came before is the same."""
    world = boundary.world.twin()
    world.dies_after = boundary.writes
    # Once the cluster is as it was undisturbed, so is everything that follows.
    again = virtual.play_on(
        world,
        quiet.scenario,
        boundary.chapter,
        after=lambda found, chapter: (found.now, found.state()) == quiet.ends[chapter],
    )
    where = f"{quiet.scenario.name}, killed after {boundary.writes} writes in chapter {boundary.chapter + 1}"
    for number, (here, there) in enumerate(
        zip(again.chapters, quiet.played.chapters[boundary.chapter :], strict=False), start=boundary.chapter
    ):
        if here.state != there.state:
            yield f"{where}: chapter {number + 1}: {here.state}, not {there.state}"
        # What a decision tells may be lost with it, but for a status; nothing is told twice.
        if twice := Counter(here.events) - Counter(there.events):
            yield f"{where}: chapter {number + 1}: told again: {dict(twice)}"
    yield from (f"{where}: {broken}" for broken in again.broken)
