"""Kill -9 of a real controller at every write of one story of each class: it ends the same, by the same steps.

A story that nobody disturbs, played twice, names the boundaries between its writes. Then the controller dies at each
of them: a few in each of several more runs, far apart from each other. One that such a run does not pass gets a run of
its own, which dies at it, or shows that the story does without it: where pods come up together that came up one by one
before, there is one write less.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from rollouts import kube as kubes
from rollouts import sandbox
from rollouts.settings import Settings
from tests import crashing_controller
from tests.conformance.played import Played
from tests.conformance.sandbox import Stage, stage
from tests.conformance.scenario import Scenario, scenarios
from tests.crashing_controller import Life
from tests.e2e import installation

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

REPRESENTATIVES = {
    "steps": "services-follow",
    "people": "retry-after-an-abort",
    "templates": "new-template-in-a-pause",
    "deadlines": "deadline-aborts",
    "analysis": "step-analysis-succeeds",
    "bluegreen": "post-promotion-analysis-succeeds",
    "rolling": "recreate-and-back",
    "roles": "canary-and-stable-metadata",
    "beyond": "bake-of-blue-green",
    "experiments": "experiment-succeeds",
    "traffic": "aborted-canary-stays-up",
    "releases": "blue-green-becomes-a-canary",
}
"""Of each class the story with the most kinds of writes."""
_AT_ONCE = 10
_APART = 8
"""A run dies at every eighth boundary."""
_MOST = 0.8
"""Two runs had these writes in common: a third does without few of them."""


@dataclass(frozen=True, slots=True)
class Theatre:
    """Where stories are played with controllers of their own that die."""

    on: Stage
    kubeconfig: Path
    directory: Path
    turns: asyncio.Semaphore

    async def play(self, scenario: Scenario, deaths: Collection[str] = ()) -> tuple[Played, Life]:
        async with self.turns:
            actors = await self.on.actors(scenario)
            directory = self.directory / actors.namespace
            directory.mkdir()
            settings = Settings(
                kubeconfig=str(self.kubeconfig),
                namespace=actors.namespace,
                leader_elect=False,
                metrics_address="",
                health_address="",
            )
            async with crashing_controller.kept_running(settings, directory, deaths) as life:
                return await actors.play(), life

    async def kill(self, scenario: Scenario) -> list[str]:
        """Everything that is wrong with a story when its controller dies anywhere."""
        (quiet, one), (_, other) = await asyncio.gather(self.play(scenario), self.play(scenario))
        wrong = list(differing(scenario, quiet, quiet, "nobody died"))
        named = sorted(set(one.boundaries) & set(other.boundaries), key=one.boundaries.index)
        assert named, "there is nothing to die at"
        far_apart = await self._die(scenario, [named[first::_APART] for first in range(_APART)])
        missed = [[boundary] for boundary in named if boundary not in _deaths(far_apart)]
        alone = await self._die(scenario, missed)
        for found, life in far_apart + alone:
            wrong += differing(scenario, found, quiet, str(life.deaths))
        died_at = _deaths(far_apart) | _deaths(alone)
        if len(died_at) < _MOST * len(named):
            wrong.append(f"{scenario.name}: never died at {sorted(set(named) - died_at)}")
        return wrong

    async def _die(self, scenario: Scenario, runs: Sequence[Collection[str]]) -> list[tuple[Played, Life]]:
        return await asyncio.gather(*(self.play(scenario, deaths) for deaths in runs if deaths))


def _deaths(ended: Sequence[tuple[Played, Life]]) -> set[str]:
    return {death for _, life in ended for death in life.deaths}


def test_every_class_has_a_story_that_is_killed() -> None:
    assert {s.group for s in scenarios()} == set(REPRESENTATIVES)


def test_killed_at_any_write_a_story_ends_the_same(cluster: sandbox.Sandbox, tmp_path: Path) -> None:
    kubeconfig = installation.install(cluster).kubeconfig

    wrong = asyncio.run(_killed(str(cluster.kubeconfig), kubeconfig, tmp_path))

    assert "\n".join(wrong) == ""


async def _killed(administrator: str, kubeconfig: Path, directory: Path) -> list[str]:
    chosen = [s for s in scenarios() if s.name in REPRESENTATIVES.values()]
    client = await kubes.connect(administrator)
    try:
        async with stage(client) as on:
            theatre = Theatre(on, kubeconfig, directory, asyncio.Semaphore(_AT_ONCE))
            results = await asyncio.gather(*(theatre.kill(scenario) for scenario in chosen))
    finally:
        await client.close()
    return [line for lines in results for line in lines]


def differing(scenario: Scenario, played: Played, quiet: Played, who: str) -> Iterator[str]:
    """States and bounds are as written; what is told may be lost with a process, but is not told twice."""
    for number, (chapter, told) in enumerate(zip(scenario.story, played.chapters, strict=True), start=1):
        where = f"{scenario.name} ({who}), chapter {number}"
        if chapter.then and told.state != chapter.then:
            yield f"{where}: {told.state}, not {chapter.then}"
        if chapter.then and not _passes_over(told.phases, chapter.phases):
            yield f"{where}: phases {told.phases}, not {chapter.phases}"
    if twice := _told(played) - _told(quiet):
        yield f"{scenario.name} ({who}): told again: {dict(twice)}\n{played.story}"
    yield from (f"{scenario.name} ({who}): {broken}" for broken in played.broken)


def _passes_over(found: Sequence[str], expected: Sequence[str]) -> bool:
    """While nobody serves, the world goes on: a phase may be passed over, but none comes that should not."""
    left = iter(expected)
    return all(phase in left for phase in found)


def _told(played: Played) -> Counter[str]:
    return Counter(event for chapter in played.chapters for event in chapter.events)
