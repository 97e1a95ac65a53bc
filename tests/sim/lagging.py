"""The driver of `driver`, with a controller that sees the past.

What changes is told by events that come late, twice, in another order, or never; the controller decides on what it
was told, monotonically by version as its stores are, and learns the truth where a precondition of a write fails. A
write of its own it sees at once. When it dies, the next one lists everything.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rollouts.api.rollout import Rollout
from rollouts.delivery import actions, plan, rolling, view
from rollouts.delivery.snapshot import PodTemplate, ReplicaSet, Snapshot
from tests import status_linter
from tests.fakes import FakeCluster
from tests.sim.driver import SERVICES, TEMPLATES, Driver

Key = tuple[str, str]
"""Kind and name."""


class Conflicting(Exception):
    """A precondition does not hold: the object is another one by now, or gone."""

    def __init__(self, key: Key) -> None:
        super().__init__(*key)
        self.key = key


class VersionedCluster(FakeCluster):
    """A template's identity is in its image, so that a template of the past has one, too."""

    def identity(self, template: Mapping[str, Any]) -> PodTemplate:
        version = template["spec"]["containers"][0]["image"].partition(":")[2]
        return PodTemplate(digest=f"digest-{version}", hash=f"hash-{version}")

    def created_from(self, template: PodTemplate, action: actions.CreateReplicaSet) -> None:
        """By a controller that knows this template, be it of the past."""
        now, self._template = self._template, template
        self.act(action)
        self._template = now

    def truth(self) -> Iterator[tuple[Key, Any]]:
        yield ("Rollout", "web"), self.rollout
        yield from ((("ReplicaSet", rs.name), rs.seen()) for rs in self.sets.values())
        yield from ((("Service", name), service) for name, service in self.services.items())
        yield from ((("AnalysisRun", name), run) for name, run in self.runs.items())

    def stamp(self, key: Key, record: Any, version: int) -> Any:
        """The object with a new resourceVersion."""
        kind, name = key
        if kind == "Rollout":
            metadata = replace(self.rollout.metadata, resource_version=str(version))
            self.rollout = replace(self.rollout, metadata=metadata)
            return self.rollout
        if kind == "ReplicaSet":
            self.sets[name].version = version
            return self.sets[name].seen()
        stamped = replace(record, resource_version=str(version))
        (self.services if kind == "Service" else self.runs)[name] = stamped
        return stamped


@dataclass(slots=True)
class Store:
    """What the controller knows. Never goes back to an older version of an object."""

    records: dict[Key, Any]
    versions: dict[Key, int]

    def put(self, key: Key, version: int, record: Any) -> None:
        if version <= self.versions.get(key, 0):
            return
        self.versions[key] = version
        if record is None:
            self.records.pop(key, None)
        else:
            self.records[key] = record

    def of(self, kind: str) -> dict[str, Any]:
        return {name: record for (k, name), record in self.records.items() if k == kind}


class LaggingDriver(Driver):
    """Counts what it does, so that a run can say how much it has seen."""

    cluster: VersionedCluster

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self.transitions = self.conflicts = self.stale = 0
        self._numbers = itertools.count(10)
        self._noted: dict[Key, Any] = {}
        self._events: list[tuple[Key, int, Any]] = []
        self._store = Store({}, {})
        self._note()
        self._sweep()

    def new_cluster(self, rollout: Rollout) -> VersionedCluster:
        return VersionedCluster(rollout, services=SERVICES, templates=TEMPLATES)

    # what the controller is told

    def happen(self) -> None:
        self.transitions += 1
        if self.rng.random() < 0.35:
            self._deliver()
        else:
            super().happen()
            self._note()

    def _note(self) -> None:
        """Whatever has changed gets a version, and events that tell it."""
        truth = dict(self.cluster.truth())
        for key, record in truth.items():
            before = self._noted.get(key)
            if before is not record and before != record:
                self._told(key, self.cluster.stamp(key, record, version := next(self._numbers)), version)
        for key in [key for key in self._noted if key not in truth]:
            self._told(key, None, next(self._numbers))

    def _told(self, key: Key, record: Any, version: int) -> None:
        self._events.append((key, version, record))
        if record is None:
            del self._noted[key]
        else:
            self._noted[key] = record

    def _deliver(self) -> None:
        """Some events, in any order; one is lost now and then, one comes again."""
        for _ in range(min(len(self._events), self.rng.randrange(1, 5))):
            index = self.rng.randrange(len(self._events))
            chance = self.rng.random()
            if chance > 0.1:
                self._store.put(*self._events[index])
            if chance < 0.9:
                del self._events[index]

    def _sweep(self) -> None:
        """A list of everything: what a start does, and what repairs what the watches hid."""
        self._events.clear()
        self._store = Store({}, {})
        for key, record in self.cluster.truth():
            self._store.put(key, next(self._numbers), record)

    def _look_again(self, key: Key) -> None:
        self._store.put(key, next(self._numbers), self._noted.get(key))

    # what the controller sees and does

    def _snapshot(self) -> Snapshot:
        rollout: Rollout = self._store.records["Rollout", "web"]
        at, now = rollout.spec.restart_at, self.cluster.now
        restarts = at is not None and at <= now and at != rollout.status.restarted_at
        listed = restarts or rolling.recreated(rollout.spec.strategy)
        return replace(
            self.cluster.snapshot(),
            rollout=rollout,
            template=self.cluster.identity(rollout.spec.template),
            replica_sets=tuple(self._store.of("ReplicaSet").values()),
            services=self._store.of("Service"),
            analysis_runs=tuple(self._store.of("AnalysisRun").values()),
            pods=self.cluster.pods() if listed else (),
        )

    def step(self, *, dies_after: int | None = None) -> bool:
        """One decision on what is known; it ends where a precondition fails."""
        self._note()
        seen = self._snapshot()
        decided = plan.decide(seen)
        assert decided == plan.decide(seen), "the same snapshot, another plan"
        self.plans += 1
        self.stale += seen.rollout is not self.cluster.rollout or bool(self._events)
        try:
            for action in decided.actions[:dies_after]:
                self._checked(seen, action)
            if dies_after is None:
                self._write_status(seen, decided)
        except Conflicting as e:
            self.conflicts += 1
            self._look_again(e.key)
            return True
        if dies_after is not None:
            self._sweep()
            return True
        assert decided.requeue_at is None or decided.requeue_at > seen.now
        return bool(decided.actions) or decided.status != seen.rollout.status

    def _write_status(self, seen: Snapshot, decided: plan.Plan) -> None:
        key = ("Rollout", "web")
        changed = decided.status != seen.rollout.status
        if changed and seen.rollout is not self.cluster.rollout:
            raise Conflicting(key)
        if seen.rollout is not self.cluster.rollout:
            return
        self.cluster.apply(replace(decided, actions=()))
        self._note()
        self._look_again(key)
        status_linter.lint(self.cluster.rollout)
        self._check_steps(seen, seen.rollout.status)
        self.skipped_by_person = False

    def _checked(self, seen: Snapshot, action: actions.Action) -> None:
        """Bounds hold for what is known; in truth but for what the controller could not know."""
        bounds = view.of(seen).limits
        key = self._written(action)
        total, available = self._total(), self._available()
        known_total, known_available = self._known()
        before = {rs.pod_template_hash: rs.replicas for rs in self._store.of("ReplicaSet").values()}
        self._act(seen, action)
        self._note()
        self._look_again(key)
        if not isinstance(action, actions.PatchReplicaSet | actions.CreateReplicaSet):
            return
        if seen.rollout.spec.strategy.blue_green is not None:
            self._check_known_active(seen, before)
            return
        if view.of(seen).recreates:
            return
        unseen, lost = max(0, total - known_total), max(0, known_available - available)
        assert self._total() <= max(total, bounds.most + unseen), f"above the surge: {action}"
        assert self._available() >= min(available, bounds.fewest - lost), f"below the fewest: {action}"
        now_total, now_available = self._known()
        assert now_total <= max(known_total, bounds.most), f"knowingly above the surge: {action}"
        assert now_available >= min(known_available, bounds.fewest), f"knowingly below the fewest: {action}"

    def _check_known_active(self, seen: Snapshot, before: Mapping[str, int]) -> None:
        service = self._store.of("Service")["active"]
        sets: list[ReplicaSet] = list(self._store.of("ReplicaSet").values())
        active = next((rs for rs in sets if service and rs.pod_template_hash == service.selected_hash), None)
        if active is not None:
            floor = min(before.get(active.pod_template_hash, 0), seen.rollout.spec.replicas)
            assert active.replicas >= floor, "the active set is scaled down"

    def _known(self) -> tuple[int, int]:
        sets: list[ReplicaSet] = list(self._store.of("ReplicaSet").values())
        return sum(rs.replicas for rs in sets), sum(min(rs.available_replicas, rs.replicas) for rs in sets)

    def _act(self, seen: Snapshot, action: actions.Action) -> None:
        match action:
            case actions.CreateReplicaSet():
                if action.name in self.cluster.sets:
                    assert self.cluster.sets[action.name].digest == seen.template.digest
                    return  # it exists, as wanted
                self.cluster.created_from(seen.template, action)
            case actions.EvictPod() | actions.TerminateExperiment() | actions.DeleteExperiment():
                self.cluster.act(action)
            case actions.CreateExperiment():
                self.cluster.act(action)  # Experiments are seen as they are
            case _:
                self._require(action)
                self.cluster.act(action)

    def _require(self, action: actions.Action) -> None:
        """The object is there, and where the write names a version it has that."""
        key = self._written(action)
        there = self._noted.get(key)
        if isinstance(action, actions.CreateAnalysisRun):
            return
        wanted = getattr(action, "resource_version", None)
        if there is None or (wanted is not None and there.resource_version != wanted):
            raise Conflicting(key)

    @staticmethod
    def _written(action: actions.Action) -> Key:
        kind = type(action).__name__
        for known in ("ReplicaSet", "Service", "AnalysisRun"):
            if kind.endswith(known):
                return known, action.name
        return "Pod", action.name

    # once the faults stop

    def rests(self, limit: int = 200) -> None:
        """Everything is told in the end."""
        for _ in range(limit):
            before = self.cluster.state()
            self._note()
            self._sweep()
            while self.step():
                pass
            self.cluster.replica_set_controller()
            self.cluster.make_ready(lambda version: version not in self.bad_versions)
            if self.cluster.state() == before:
                return
        raise AssertionError("does not come to rest")
