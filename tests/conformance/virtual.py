"""Plays a scenario in the simulator: virtual time, the controller's own decisions, no server.

A controller may be told to die at a boundary: after the n-th write of the m-th plan that it carries out. What
is in memory is lost with it; there is nothing, so the next decision simply sees what is in the cluster.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from analysis.model import Phase
from rollouts.api.analysis import AnalysisTemplateRef, AnalysisTemplateSpec
from rollouts.api.meta import POD_TEMPLATE_HASH_LABEL, Names, ObjectMeta
from rollouts.api.parse import dump, parse
from rollouts.api.podtemplate import pod_template_hash
from rollouts.api.rollout import Rollout, RolloutSpec
from rollouts.api.rollout_status import RolloutStatus
from rollouts.delivery import workload as workloads
from rollouts.delivery.actions import Action, Event, EvictPod, Plan
from rollouts.delivery.snapshot import Workload
from rollouts.simulate.conducting import Conducted
from rollouts.simulate.pods import SimulatedPod
from rollouts.simulate.scenario import PodBehaviour, Reading, Reply, WebhookBehaviour
from rollouts.simulate.scenario import Scenario as Surroundings
from rollouts.simulate.world import World
from tests.conformance import invariants, seen
from tests.conformance.film import MARK
from tests.conformance.people import VERBS, verb
from tests.conformance.played import Played, Stuck, Told, holds
from tests.conformance.scenario import METRICS, NAME, Chapter, Object, Scenario, library, patch_of, reading
from tests.conformance.seen import Run, Seen, Set

BEGIN = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
_BETWEEN = timedelta(seconds=1)
"""People are not faster than the time stamps of the API."""
_PATIENCE = timedelta(hours=1)
_BEHAVIOUR = "sandbox.rollouts.dev/"


Watcher = Callable[["Virtual", int], None]
After = Callable[["Virtual", int], bool]
"""Called after each chapter; True: that is enough."""


class Virtual(World):
    """The simulated cluster in which a scenario takes place."""

    def __init__(self, scenario: Scenario) -> None:
        self.story = scenario
        self.body = json.loads(json.dumps(scenario.rollout()).replace(METRICS, "http://metrics"))
        self.by_hash = {pod_template_hash(scenario.template(v)): v for v in range(1, 10)}
        self.unready: set[str] = set()
        self.budget = 0
        self.refused: datetime | None = None
        self.film: list[Seen] = []
        self.watcher: Watcher | None = None
        """Called with the cluster and the number of writes before a plan is carried out."""
        self.dies_after: int | None = None
        """The controller dies after so many writes of its next plan."""
        self._about: Rollout | None = None
        self._about_told: frozenset[Event] = frozenset()
        self._json: tuple[Rollout, Object] | None = None
        written = parse(RolloutSpec, self.body["spec"], "spec")
        workload = None if scenario.workload is None else self._deployment(1, scenario.workload)
        spec = workloads.resolved(written, workload)
        metadata = ObjectMeta(name=NAME, namespace="conformance", uid="uid", generation=1)
        super().__init__(
            Rollout(metadata, spec),
            _surroundings(scenario.readings),
            BEGIN,
            services=scenario.services,
            templates={
                AnalysisTemplateRef(name): parse(AnalysisTemplateSpec, library()[name], "spec")
                for name in scenario.templates
            },
            names=Names(),
        )
        self.workload = workload
        self.versions = dict(self.by_hash)
        if spec.paused:
            self.edit(paused=True)  # which `World` starts without

    # what people do

    def done(self, deed: Mapping[str, Any]) -> None:
        patch = patch_of(self.story, deed)
        if patch:
            self._patched(patch)
        if "deploy" in deed and self.workload:
            self._redeploy(deed["deploy"], self.workload)
        for name in VERBS & deed.keys():
            for each in verb(name, self.json(), self.now):
                self._patched(each.body)
        others: Mapping[str, Callable[[Any], None]] = {
            "measure": self._measure_from_now_on,
            "unready": self._lose,
            "ready": lambda _: self.unready.clear(),
            "budget": self._allow,
            "select": self._select,
        }
        for name in others.keys() & deed.keys():
            others[name](deed[name])

    def _patched(self, patch: Mapping[str, Any]) -> None:
        if "spec" in patch:
            self.body["spec"] = merged(self.body["spec"], patch["spec"])
            spec = workloads.resolved(parse(RolloutSpec, self.body["spec"], "spec"), self.workload)
            if spec != self.rollout.spec:
                self.edit(**{f.name: getattr(spec, f.name) for f in fields(RolloutSpec)})
        if "status" in patch:
            status = parse(RolloutStatus, merged(dump(self.status), patch["status"]), "status")
            self.rollout = replace(self.rollout, status=status)

    def _deployment(self, version: int, replicas: int) -> Workload:
        """As it is when it has just been created."""
        found = workloads.of(self.story.deployment(replicas, version))
        return replace(found, generation=1, resource_version="1")

    def _redeploy(self, version: int, before: Workload) -> None:
        assert before.replicas is not None
        self.workload = replace(
            self._deployment(version, before.replicas),
            generation=before.generation + 1,
            resource_version=str(int(before.resource_version) + 1),
        )
        self.edit(template=self.workload.template)

    def _measure_from_now_on(self, words: Mapping[str, object]) -> None:
        values = {r.metric: r.value for r in self.scenario.readings}
        values.update({metric: reading(word) for metric, word in words.items()})
        self.scenario = _surroundings(values)

    def _lose(self, counts: Mapping[int, int]) -> None:
        for version, count in counts.items():
            rs = next(s for s in self.sets.values() if s.hash == self._hash(version))
            self.unready |= {pod.name for pod in rs.pods[:count]}

    def _allow(self, budget: int) -> None:
        self.budget = budget

    def _select(self, wanted: Mapping[str, int]) -> None:
        for service, version in wanted.items():
            found = self.services[service]
            assert found is not None
            self.services[service] = replace(found, selected_hash=self._hash(version))

    def _hash(self, version: object) -> str:
        return next((h for h, v in self.by_hash.items() if v == version), "")

    # pods, as the sandbox lets them behave

    def _version(self, version: int) -> Mapping[str, Any]:
        return self.story.template(version)

    def _behaviour(self, pod_hash: str) -> PodBehaviour:
        written = self.story.pods.get(self.by_hash[pod_hash], {})
        body = {"ready": written.get("ready") != "never", "version": self.by_hash[pod_hash]}
        for key, name in (("ready-after", "readyAfter"), ("crash-after", "crashAfter")):
            if key in written:
                body[name] = written[key]
        return parse(PodBehaviour, body, "pods")

    def _is_available(self, behaviour: PodBehaviour, pod: SimulatedPod) -> bool:
        return pod.name not in self.unready and super()._is_available(behaviour, pod)

    def evict(self, name: str) -> None:
        available = sum(rs.available for rs in self.sets.values())
        if available > self.budget:
            super().evict(name)
        else:
            self.refused = self.now

    def decide(self) -> Plan:
        """An eviction that was refused comes back at the plan's time, not at once."""
        decided = super().decide()
        if self.refused != self.now:
            return decided
        kept = tuple(action for action in decided.actions if not isinstance(action, EvictPod))
        return replace(decided, actions=kept)

    # what the controller does

    def act(self, action: Action) -> None:
        super().act(action)
        self.film.append(self.seen())

    def apply(self, decided: Plan, *, upto: int | None = None) -> None:
        del upto
        writes = len(decided.actions) + len(decided.events)
        if self.watcher and writes:
            self.watcher(self, writes)
        dies_after, self.dies_after = self.dies_after, None
        for action in decided.actions[:dies_after]:
            self.act(action)
        told = None if dies_after is None else max(0, dies_after - len(decided.actions))
        self._tell(decided.events[:told])
        if dies_after is None:
            super().apply(replace(decided, actions=(), events=()))
            self._release_services()
        self.film.append(self.seen())

    def _release_services(self) -> None:
        """Those that the spec does not name any more."""
        named = self.rollout.spec.strategy.service_names
        for name, service in self.services.items():
            if service and service.managed_by and name not in named:
                self.services[name] = replace(service, selected_hash="", managed_by="")

    def _tell(self, events: tuple[Event, ...]) -> None:
        """An event is named by the version of the Rollout that it was decided on: it is there once."""
        if self._about is not self.rollout:
            self._about, self._about_told = self.rollout, frozenset()
        new = [event for event in events if event not in self._about_told]
        self.told += [event for event in new if not (event.is_unique and event in self.told)]
        self._about_told |= set(events)

    def twin(self) -> Virtual:
        """The same state, to be led another way."""
        other = copy.copy(self)
        other.sets = {name: replace(rs, pods=[replace(p) for p in rs.pods]) for name, rs in self.sets.items()}
        other.runs, other.services = dict(self.runs), dict(self.services)
        other.run_specs, other.versions = dict(self.run_specs), dict(self.versions)
        other.answers, other.routes = dict(self.answers), copy.deepcopy(self.routes)
        other.measured = {name: replace(run) for name, run in self.measured.items()}
        other.experiments, other.conducted = dict(self.experiments), dict(self.conducted)
        other.running = {name: other.conduct(name, found) for name, found in self.running.items()}
        other.told, other.ended, other.film = list(self.told), list(self.ended), self.film[-1:]
        other.body = dict(self.body)
        other.unready, other.watcher = set(self.unready), None
        return other

    def conduct(self, name: str, found: Conducted) -> Conducted:
        """The same Experiment, in this cluster."""
        twin = self.conductor(self.conducted[name])
        twin.experiment, twin.now = found.experiment, found.now
        twin.sets = {n: replace(rs, pods=[replace(p) for p in rs.pods]) for n, rs in found.sets.items()}
        twin.services, twin.runs, twin.created = dict(found.services), dict(found.runs), dict(found.created)
        twin.measured = {n: replace(run) for n, run in found.measured.items()}
        twin.told, twin.wake, twin.serial = list(found.told), found.wake, found.serial
        return twin

    # what is to be seen

    def json(self) -> Object:
        if self._json is None or self._json[0] is not self.rollout:
            metadata = {"name": NAME, "generation": self.rollout.metadata.generation}
            body = {"metadata": metadata, "spec": self.body["spec"], "status": dump(self.status)}
            self._json = self.rollout, body
        return self._json[1]

    def _routed(self) -> Mapping[str, str]:
        """The Service that is a router."""
        canary = self.rollout.spec.strategy.canary
        root = canary.traffic_routing.services if canary and canary.traffic_routing else None
        if root is None:
            return {}
        selector = self.routes.objects.get("services", {}).get("spec", {}).get("selector", {})
        return {root.root_service: selector.get(POD_TEMPLATE_HASH_LABEL, "")}

    def seen(self) -> Seen:
        sets = {
            rs.name: Set(
                hash=rs.hash,
                replicas=rs.replicas,
                current=len(rs.pods),
                available=rs.available,
                revision=rs.revision,
                leaving=rs.deadline is not None,
                apart=rs.away_from,
            )
            for rs in self.sets.values()
        }
        services = {name: s.selected_hash for name, s in self.services.items() if s} | self._routed()
        runs = {
            run.name: Run(run.name, seen.what(run.type, run.step_index), run.phase.value)
            for run in self.runs.values()
        }
        marks = {
            pod.name: (rs.hash, pod.labels[MARK])
            for rs in self.sets.values()
            for pod in rs.pods
            if MARK in pod.labels
        }
        runs |= {e.name: seen.experiment(e.name, e.phase) for e in self.experiments.values()}
        workload = self.workload and seen.Workload(self.workload.replicas or 0, self.workload.generation)
        return Seen(self.json(), sets, services, runs, marks, workload)


def play(scenario: Scenario) -> Played:
    """The whole story."""
    return play_on(Virtual(scenario), scenario, begun=False)


def play_on(
    world: Virtual, scenario: Scenario, first: int = 0, *, begun: bool = True, after: After | None = None
) -> Played:
    """The story from a chapter on; `begun`: what is done in it has been done."""
    played = Played()
    for index, chapter in list(enumerate(scenario.story))[first:]:
        if index != first or not begun:
            world.now += _BETWEEN
            for deed in chapter.deeds:
                world.done(deed)
        played.chapters.append(_followed(world, chapter))
        if after and after(world, index):
            break
    played.broken += invariants.all_broken(world.film)
    return played


def _followed(world: Virtual, chapter: Chapter) -> Told:
    """Time goes by until what the chapter waits for is there."""
    begins_at, frames, events = world.now, len(world.film), len(world.told)
    while True:
        world.rest()
        found = world.seen()
        state = seen.state(found, world.by_hash)
        if seen.settled(found) and holds(chapter, state):
            break
        at = world.next_instant(())
        if at is None or at > begins_at + _PATIENCE:
            raise Stuck(
                f"{world.story.name}, {[*chapter.deeds]}: {state}, not {chapter.until or chapter.then}"
            )
        world.now = at
    statuses = [frame.status for frame in world.film[max(0, frames - 1) :]]
    phases = seen.phases(statuses)
    told = ((event.reason.value, event.message) for event in world.told[events:])
    return Told(state, phases[1:] if frames else phases, seen.reasons(told))


def merged(target: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7386), applied."""
    if not isinstance(patch, Mapping):
        return patch
    before = target if isinstance(target, Mapping) else {}
    found = {key: value for key, value in before.items() if key not in patch}
    found.update({k: merged(before.get(k), v) for k, v in patch.items() if v is not None})
    return found


def _surroundings(values: Mapping[str, float | None]) -> Surroundings:
    """What is measured, and what gates say."""
    readings = tuple(
        Reading(name, outcome=Phase.ERROR) if value is None else Reading(name, value=value)
        for name, value in values.items()
    )
    gates = tuple(WebhookBehaviour(name, (Reply(ok=bool(value)),)) for name, value in values.items())
    return Surroundings(readings=readings, webhooks=gates)
