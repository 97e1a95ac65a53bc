"""Kill -9 of the controller at every plan boundary of a canary and of a blue-green release.

A release that nobody disturbs tells how many boundaries there are and what the end looks like. Then one
release dies at each of them, and two die over and over. All must end in the same state, by the same steps.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields, replace
from typing import Any

import pytest

from tests import crashing_controller
from tests.api.harness import Object, rollout, service, steps
from tests.crashing_controller import Life
from tests.e2e.world import World, Worlds

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

_AT_ONCE = 8
"""Releases that are killed side by side."""
_DEADLINE_SECONDS = 120.0
_MOMENT = re.compile(r"(?:time|Time|At)$")
_STEPS = re.compile(r"RolloutStepCompleted: Steps? (\d+)(?: to (\d+))? of")

ANALYSIS = {"templates": [{"templateName": "fine"}]}
TEMPLATE: Object = {
    "apiVersion": "rollouts.dev/v1alpha1",
    "kind": "AnalysisTemplate",
    "metadata": {"name": "fine"},
    "spec": {
        "metrics": [
            {
                "name": "fine",
                "interval": "300ms",
                "count": 2,
                "successCondition": "result[0] == 1",
                "provider": {"prometheus": {"query": "vector(1)"}},
            }
        ]
    },
}
CANARY = rollout(
    replicas=4,
    **steps({"setWeight": 25}, {"analysis": ANALYSIS}, {"setWeight": 50}, {"pause": {"duration": "2s"}}),
)
BLUE_GREEN = rollout(
    replicas=2,
    blueGreen={
        "activeService": "web",
        "previewService": "web-preview",
        "autoPromotionSeconds": 2,
        "scaleDownDelaySeconds": 1,
        "prePromotionAnalysis": ANALYSIS,
        "postPromotionAnalysis": ANALYSIS,
    },
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is left of a release, without names of places and without times."""

    status: Any
    pods: Mapping[str, Mapping[str, Any]]
    selected: Mapping[str, str]
    runs: tuple[tuple[str, str], ...]
    """Every AnalysisRun that there ever was, and how it ended."""
    steps: tuple[int, ...]
    """Numbers of the steps that were told as completed."""
    paused: bool
    """It was seen to wait."""
    switches: tuple[str, ...]
    """What the active Service selected, one after the other."""
    sizes: tuple[int, ...]
    """Pods asked for of the new revision, one after the other."""
    went_back: bool
    """The step in the status was once lower than before."""
    told_twice: tuple[str, ...]
    """Events that say what another one says."""


@dataclass(slots=True)
class Film:
    """Everything that a watch shows of a namespace while a release goes on."""

    frames: dict[str, list[Object]] = field(default_factory=dict)
    more: asyncio.Event = field(default_factory=asyncio.Event)

    def of(self, kind: str) -> list[Object]:
        return self.frames.get(kind, [])

    def now(self, kind: str) -> list[Object]:
        """The objects as they were seen last."""
        return list({frame["metadata"]["name"]: frame for frame in self.of(kind)}.values())

    def add(self, kind: str, frame: Object) -> None:
        self.frames.setdefault(kind, []).append(frame)
        self.more.set()

    async def shows(self, question: Callable[[Film], bool]) -> None:
        async with asyncio.timeout(_DEADLINE_SECONDS):
            while not question(self):
                self.more.clear()
                await self.more.wait()


@pytest.mark.parametrize("spec", [CANARY, BLUE_GREEN], ids=["canary", "blue-green"])
async def test_killed_anywhere_a_release_ends_the_same_by_the_same_steps(
    spec: Object, worlds: Worlds
) -> None:
    quiet = await worlds.new()
    expected = await released(quiet, spec, deaths=())
    boundaries = Life(quiet.directory).boundaries
    died_at: list[str] = []
    turns = asyncio.Semaphore(_AT_ONCE)

    async def dies_at(*deaths: int) -> str:
        async with turns:
            world = await worlds.new()
            found = await released(world, spec, deaths=deaths)
        died = Life(world.directory).deaths
        died_at.extend(died)
        return "\n".join(_differences(expected, found, f"{world.namespace} {deaths} {died}"))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(dies_at(n)) for n in range(1, len(boundaries) + 1)]
        tasks.append(group.create_task(dies_at(*range(1, 8))))
    differing = [wrong for task in tasks if (wrong := task.result())]
    # Pods come up one by one or together: a release may pass a boundary or two less than the quiet one.
    assert len(died_at) >= 0.9 * len(boundaries)
    assert not expected.went_back
    assert not expected.told_twice
    assert not differing, "\n".join(differing)


async def released(world: World, spec: Object, *, deaths: Iterable[int]) -> Outcome:
    """Deploy a first version and release a second one, with a controller that dies at these boundaries."""
    settings = replace(world.settings, prometheus_address=world.installation.cluster.prometheus_url)
    await world.create(TEMPLATE)
    for name in ("web", "web-preview"):
        await world.create(service(name))
    async with filmed(world) as film, crashing_controller.kept_running(settings, world.directory, deaths):
        await world.create(spec)
        await film.shows(_is_healthy)
        await world.set_image("web", "web:2")
        await film.shows(lambda f: f.now("Rollout")[0]["metadata"]["generation"] == 2 and _is_healthy(f))
    return await _outcome(world, film)


@asynccontextmanager
async def filmed(world: World) -> AsyncIterator[Film]:
    """Watch what happens, from now on."""
    film = Film()

    async def watch(kind: str) -> None:
        resource = world.resource(kind)
        start = (await world.kube.list(resource, world.namespace)).resource_version
        async for event, body in world.kube.watch(resource, world.namespace, resource_version=start):
            if event in ("ADDED", "MODIFIED"):
                film.add(kind, body)

    kinds = ("Rollout", "Service", "ReplicaSet", "AnalysisRun")
    cameras = [asyncio.create_task(watch(kind), name=kind) for kind in kinds]
    try:
        yield film
    finally:
        broken = [camera.get_name() for camera in cameras if camera.done()]
        for camera in cameras:
            camera.cancel()
        await asyncio.gather(*cameras, return_exceptions=True)
    assert not broken, f"the watch of {broken} has ended"


def _is_healthy(film: Film) -> bool:
    """The Rollout is healthy, its old pods are gone, and its status says all that."""
    for found in film.now("Rollout"):
        status = found.get("status") or {}
        counted = status.get("replicas") == found["spec"]["replicas"]
        observed = status.get("observedGeneration") == str(found["metadata"]["generation"])
        running = [s for s in film.now("ReplicaSet") if s["spec"]["replicas"] or s["status"].get("replicas")]
        return status.get("phase") == "Healthy" and counted and observed and len(running) == 1
    return False


async def _outcome(world: World, film: Film) -> Outcome:
    status = (await world.get("Rollout", "web"))["status"]
    new = status["currentPodHash"]
    events = await world.told("web")
    update = [r["status"] for r in film.of("Rollout") if r.get("status", {}).get("currentPodHash") == new]
    indices = [step.get("currentStepIndex", 0) for step in update]
    runs = {
        r["metadata"]["uid"]: (r["metadata"]["name"], r.get("status", {}).get("phase"))
        for r in film.of("AnalysisRun")
    }
    return Outcome(
        status=_timeless(status),
        pods={s["metadata"]["name"]: _size(s) for s in await world.list("ReplicaSet")},
        selected={s["metadata"]["name"]: _selected(s) for s in await world.list("Service")},
        runs=tuple(sorted(runs.values())),
        steps=tuple(_told_steps(events)),
        paused=any(step.get("pauseConditions") for step in update),
        switches=_changes(_selected(s) for s in film.of("Service") if s["metadata"]["name"] == "web"),
        sizes=_changes(
            s["spec"]["replicas"] for s in film.of("ReplicaSet") if s["metadata"]["name"].endswith(new)
        ),
        went_back=indices != sorted(indices),
        told_twice=tuple(event for event, count in Counter(events).items() if count > 1),
    )


def _differences(expected: Outcome, found: Outcome, who: str) -> Iterator[str]:
    for part in fields(Outcome):
        here, there = getattr(expected, part.name), getattr(found, part.name)
        if here != there:
            yield f"{who}: {part.name} is {there}, not {here}"


def _size(replica_set: Object) -> Mapping[str, Any]:
    annotations = replica_set["metadata"]["annotations"]
    return {"replicas": replica_set["spec"]["replicas"], "annotations": annotations}


def _selected(found: Object) -> str:
    return str(found["spec"]["selector"].get("rollouts-pod-template-hash", ""))


def _changes(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(value for value, _ in itertools.groupby(values))


def _told_steps(events: Iterable[str]) -> Iterator[int]:
    for event in events:
        if told := _STEPS.match(event):
            first, last = int(told[1]), int(told[2] or told[1])
            yield from range(first, last + 1)


def _timeless(value: Any) -> Any:
    if isinstance(value, list):
        return [_timeless(v) for v in value]
    if isinstance(value, dict):
        return {k: _timeless(v) for k, v in value.items() if not _MOMENT.search(k)}
    return value
