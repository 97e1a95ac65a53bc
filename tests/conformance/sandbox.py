"""Plays scenarios on a real API server: one controller under the chart's rights, a namespace for each scenario.

All go on side by side. Nothing is decided by the clock: a chapter ends when what it waits for is seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from rollouts.api.meta import POD_TEMPLATE_HASH_LABEL
from rollouts.api.podtemplate import pod_template_hash
from rollouts.errors import Conflict, Transient
from rollouts.kube import Kube, Resource, resources
from rollouts.sandbox.behaviour import READY
from tests.api.harness import becomes
from tests.conformance import invariants, seen
from tests.conformance.film import GROUP, MARK, RESOURCES, Film, Frame
from tests.conformance.people import VERBS, verb
from tests.conformance.played import Played, Stuck, Told, holds
from tests.conformance.scenario import (
    METRICS,
    NAME,
    Chapter,
    Object,
    Scenario,
    patch_of,
    reading,
    workload_patch_of,
)

_NAMESPACE = "story-"
_CHAPTER_SECONDS = 90.0
_AT_ONCE = 32
_BETWEEN_WATCHES_SECONDS = 0.1
_TOLD_SECONDS = 5.0
_QUIET_SECONDS = 1.0
_BUDGETS = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
_KINDS: Mapping[str, Resource] = {
    **RESOURCES,
    "AnalysisTemplate": resources.analysis_template(GROUP),
    "PodDisruptionBudget": _BUDGETS,
}
_numbers = itertools.count(1)


@dataclass(slots=True)
class Readings:
    """The metrics and the gates of all namespaces, over HTTP. A gate says yes to what is good."""

    values: dict[str, dict[str, float | None]] = field(default_factory=lambda: defaultdict(dict))
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        known = self.values[request.match_info["namespace"]]
        value = known.get(request.match_info["metric"], 1.0)
        if request.method == "POST":
            return web.Response(status=200 if value else 403)
        if value is None:
            return web.Response(status=500, text="no answer")
        return web.json_response({"value": value})

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[Readings]:
        app = web.Application()
        app.router.add_route("*", "/{namespace}/{metric}", self.answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()


@dataclass(frozen=True, slots=True)
class Stage:
    """Where scenarios are played: `kube` is the administrator's."""

    kube: Kube
    readings: Readings
    films: dict[str, Film] = field(default_factory=lambda: defaultdict(Film))
    """By namespace."""
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def play(self, scenario: Scenario) -> Played:
        """When its turn has come."""
        async with self.turns:
            return await (await self.actors(scenario)).play()

    async def actors(self, scenario: Scenario) -> Actors:
        """In a namespace of their own."""
        namespace = f"{_NAMESPACE}{next(_numbers)}"
        body: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        await self.kube.create(resources.NAMESPACE, body, field_manager="tests")
        return Actors(self, namespace, scenario, self.films[namespace])


@contextlib.asynccontextmanager
async def stage(kube: Kube) -> AsyncIterator[Stage]:
    """With cameras on all namespaces."""
    async with Readings().served() as readings:
        found = Stage(kube, readings)
        cameras = [asyncio.create_task(_filmed(found, kind)) for kind in RESOURCES]
        try:
            yield found
        finally:
            broken = [camera for camera in cameras if camera.done()]
            assert not broken, f"a watch has ended: {broken}"
            for camera in cameras:
                camera.cancel()
            await asyncio.gather(*cameras, return_exceptions=True)


async def _filmed(on: Stage, kind: str) -> None:
    """From now on; a watch that the server ends goes on where it was."""
    version = await _listed(on, kind)
    while True:
        # A server that has just learned of a kind ends watches of it, or is not ready for new ones.
        try:
            async for event, body in _watch(on, kind, version):
                version = body["metadata"]["resourceVersion"]
                _show(on, event, kind, body)
        except Transient:
            pass
        except Conflict:
            version = await _listed(on, kind)
        await asyncio.sleep(_BETWEEN_WATCHES_SECONDS)


async def _listed(on: Stage, kind: str) -> str:
    """Everything that there is; the version to watch from."""
    page = await on.kube.list(RESOURCES[kind], label_selector=MARK if kind == "Pod" else "")
    for body in page.items:
        _show(on, "ADDED", kind, {**body, "kind": kind})
    return page.resource_version


def _show(on: Stage, event: str, kind: str, body: Object) -> None:
    """What other tests have left in the cluster is in no film."""
    namespace = body["metadata"].get("namespace", "")
    if event != "BOOKMARK" and namespace.startswith(_NAMESPACE) and _is_ours(kind, body):
        on.films[namespace].add(event, kind, body)


def _is_ours(kind: str, body: Object) -> bool:
    """Events about others, and the sets of a Deployment, are not ours to judge."""
    if kind == "ReplicaSet":
        return POD_TEMPLATE_HASH_LABEL in body["metadata"]["labels"]
    return body.get("involvedObject", {}).get("kind") in (None, "Rollout")


def _watch(on: Stage, kind: str, version: str) -> AsyncIterator[tuple[str, Object]]:
    selector = MARK if kind == "Pod" else ""
    return on.kube.watch(RESOURCES[kind], resource_version=version, label_selector=selector)


@dataclass(slots=True)
class Actors:
    """One scenario in its namespace."""

    stage: Stage
    namespace: str
    scenario: Scenario
    film: Film
    begins: list[int] = field(default_factory=list)
    """At which version of the storage each chapter began, and the end."""

    @property
    def versions(self) -> Mapping[str, int]:
        written = {pod_template_hash(self.scenario.template(v)): v for v in range(1, 10)}
        # The API server fills in what the template of a Deployment leaves out: it has another hash.
        return {**written, **self.film.versions} if self.scenario.workload is not None else written

    async def play(self) -> Played:
        self.stage.readings.values[self.namespace].update(self.scenario.readings)
        for body in self.scenario.objects():
            await self._create(body)
        states = []
        for chapter in self.scenario.story:
            before = states[-1] if states else None
            states.append(await self._chapter(chapter, before))
        self.begins.append(await self._end())
        return self._told(states)

    def what_happened(self) -> str:
        lines = [f"{frame.version} {frame.kind} {_brief(frame)}" for frame in self.film.in_order()]
        return "\n".join(lines)

    async def _end(self) -> int:
        """Watches are not in step with each other: everything before this event has been shown with it."""
        about = {"kind": "Rollout", "name": NAME, "namespace": self.namespace}
        metadata = {"name": "the-end", "namespace": self.namespace}
        body = {"apiVersion": "v1", "kind": "Event", "metadata": metadata, "involvedObject": about}
        body |= {"reason": "TheEnd", "message": "The story is over", "type": "Normal"}
        told = await self.stage.kube.create(resources.EVENT, body, field_manager="tests")
        version = int(told["metadata"]["resourceVersion"])
        await self.film.shows("Event", version)
        return version

    async def _chapter(self, chapter: Chapter, before: Object | None) -> Object:
        self.begins.append(self.film.version + 1)
        if before is None:
            await self._create(self.scenario.rollout())
        for deed in chapter.deeds:
            await self._done(deed)
        if chapter.then == before:
            await self._is_quiet()
        return await self._followed(chapter)

    async def _followed(self, chapter: Chapter) -> Object:
        """The state in which what the chapter waits for is there."""
        state: Object = {}
        try:
            async with asyncio.timeout(_CHAPTER_SECONDS):
                while True:
                    self.film.more.clear()
                    if self.film.now.rollout:
                        state = seen.state(self.film.now, self.versions)
                        if seen.settled(self.film.now) and holds(chapter, state):
                            break
                    await self.film.more.wait()
        except TimeoutError:
            wanted = chapter.then or chapter.until
            raise Stuck(
                f"{self.scenario.name} in {self.namespace}, {[*chapter.deeds]}: {state}, not {wanted}\n"
                f"{self.what_happened()}"
            ) from None
        await self._are_told(chapter)
        return state

    async def _are_told(self, chapter: Chapter) -> None:
        """Events come after what they tell; which of them do not come, the comparison says."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TOLD_SECONDS):
                while Counter(chapter.events) - Counter(self._told_since(self.begins[-1])):
                    self.film.more.clear()
                    await self.film.more.wait()

    def _told_since(self, version: int) -> tuple[str, ...]:
        events = (f.body for f in self.film.frames if f.kind == "Event" and f.version >= version)
        return seen.reasons((event["reason"], event["message"]) for event in events)

    async def _is_quiet(self) -> None:
        """What should change nothing has had its time to change something."""
        with contextlib.suppress(TimeoutError):
            while True:
                self.film.more.clear()
                async with asyncio.timeout(_QUIET_SECONDS):
                    await self.film.more.wait()

    # what people do

    async def _done(self, deed: Mapping[str, Any]) -> None:
        patch = patch_of(self.scenario, deed)
        if "deploy" in deed:
            # Nobody is faster than the time stamps of the API.
            await asyncio.sleep(1)
        if patch:
            await self._patch("Rollout", NAME, patch)
        if workload_patch := workload_patch_of(self.scenario, deed):
            await self._patch("Deployment", NAME, workload_patch)
        for name in VERBS & deed.keys():
            rollout = await self.stage.kube.get(RESOURCES["Rollout"].ref(NAME, self.namespace))
            for each in verb(name, rollout, datetime.now(UTC)):
                await self._patch("Rollout", NAME, each.body, each.subresource)
        others: Mapping[str, Callable[[Any], Awaitable[None]]] = {
            "measure": self._measure,
            "unready": self._lose,
            "ready": lambda version: self._ready(version, 100, is_ready=True),
            "budget": self._budget,
            "select": self._select,
        }
        for name in others.keys() & deed.keys():
            await others[name](deed[name])

    async def _measure(self, words: Mapping[str, object]) -> None:
        found = {metric: reading(word) for metric, word in words.items()}
        self.stage.readings.values[self.namespace].update(found)

    async def _lose(self, counts: Mapping[int, int]) -> None:
        for version, count in counts.items():
            await self._ready(version, count, is_ready=False)

    async def _select(self, wanted: Mapping[str, int]) -> None:
        for service, version in wanted.items():
            selected = next((h for h, v in self.versions.items() if v == version), None)
            selector = {POD_TEMPLATE_HASH_LABEL: selected}
            await self._patch("Service", service, {"spec": {"selector": selector}})

    async def _ready(self, version: int, count: int, *, is_ready: bool) -> None:
        """Pods change under way: `never` holds for those that are not ready."""
        pods = (await self.stage.kube.list(resources.POD, self.namespace)).items
        image = f"{NAME}:{version}"
        living = (p for p in pods if "deletionTimestamp" not in p["metadata"])
        of_version = [p for p in living if p["spec"]["containers"][0]["image"] == image]
        for pod in of_version[:count]:
            name = pod["metadata"]["name"]
            annotations = {READY: None if is_ready else "never"}
            await self._patch("Pod", name, {"metadata": {"annotations": annotations}})
            if not is_ready:
                conditions = [
                    {**c, "status": "False"} if _tells(c) else c for c in pod["status"]["conditions"]
                ]
                await self._patch("Pod", name, {"status": {"conditions": conditions}}, "status")

    async def _budget(self, count: int) -> None:
        spec = {"minAvailable": count, "selector": {"matchLabels": {"app": NAME}}}
        body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": NAME}}
        ref = _BUDGETS.ref(NAME, self.namespace)
        if count:
            await self._create({**body, "spec": spec})
            # It refuses every eviction until its controller has counted the pods.
            await becomes(self.stage.kube, ref, _is_counted)
        else:
            await self.stage.kube.delete(ref)

    async def _create(self, body: Object) -> None:
        written = json.loads(json.dumps(body).replace(METRICS, f"{self.stage.readings.url}/{self.namespace}"))
        written["metadata"]["namespace"] = self.namespace
        await self.stage.kube.create(_KINDS[body["kind"]], written, field_manager="tests")

    async def _patch(self, kind: str, name: str, body: Mapping[str, Any], subresource: str = "") -> None:
        """What is written is seen before anything is looked for; of pods not all are filmed."""
        ref = _KINDS[kind].ref(name, self.namespace)
        answer = await self.stage.kube.merge_patch(ref, body, field_manager="tests", subresource=subresource)
        if kind != "Pod":
            await self.film.shows(kind, int(answer["metadata"]["resourceVersion"]))

    # what was to be seen

    def _told(self, states: Iterable[Object]) -> Played:
        frames = self.film.in_order()
        played = Played(story=self.what_happened())
        for state, (begin, end) in zip(states, itertools.pairwise(self.begins), strict=True):
            within = [frame for frame in frames if frame.version < end]
            before = [f.body.get("status") or {} for f in _of(within, "Rollout") if f.version < begin]
            statuses = [f.body.get("status") or {} for f in _of(within, "Rollout") if f.version >= begin]
            phases = seen.phases([*before[-1:], *statuses])
            events = [f.body for f in _of(within, "Event") if f.version >= begin]
            told = [(e["reason"], e["message"]) for e in events]
            played.chapters.append(Told(state, phases[1:] if before else phases, seen.reasons(told)))
        played.broken += invariants.all_broken(self.film.observations())
        return played


def _is_counted(budget: Object) -> bool:
    return bool(budget.get("status", {}).get("expectedPods"))


def _tells(condition: Mapping[str, Any]) -> bool:
    return condition["type"] in ("Ready", "ContainersReady")


def _of(frames: Iterable[Frame], kind: str) -> list[Frame]:
    return [frame for frame in frames if frame.kind == kind and not frame.gone]


def _brief(frame: Frame) -> str:
    body = frame.body
    name = body["metadata"]["name"]
    if frame.gone:
        return f"{name} gone"
    match frame.kind:
        case "Rollout":
            status = body.get("status") or {}
            return f"{name} {status.get('phase')} {status.get('step')} {status.get('message', '')}"
        case "Event":
            return f"{body['reason']}: {body['message']}"
        case "ReplicaSet":
            status = body.get("status") or {}
            return f"{name} {body['spec']['replicas']} {status.get('replicas')} {status.get('availableReplicas')}"
        case _:
            return f"{name} {body.get('spec', {}).get('selector', '')} {(body.get('status') or {}).get('phase', '')}"
