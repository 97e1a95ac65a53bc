"""One Experiment in memory: carries its plans out, plays the ReplicaSet controller.

Deterministic; time moves only when the caller says so. Not decided here: which pods become ready, what analyses
measure. `world` adds both from a scenario; tests drive it directly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from rollouts.api.analysis import AnalysisPhase, AnalysisTemplateRef, AnalysisTemplateSpec
from rollouts.api.experiment import Experiment, ExperimentStatus
from rollouts.api.meta import SCALE_DOWN_DEADLINE_ANNOTATION, Names
from rollouts.api.parse import timestamp
from rollouts.delivery import actions as shared
from rollouts.delivery import snapshot
from rollouts.delivery.experiments import plan
from rollouts.delivery.experiments.actions import (
    Action,
    CreateService,
    CreateTemplateSet,
    DeleteService,
    Plan,
)
from rollouts.delivery.experiments.snapshot import Snapshot
from rollouts.simulate.pods import SimulatedPod, SimulatedSet


class ExperimentCluster:
    """An Experiment and everything that its controller would see and do."""

    def __init__(
        self,
        experiment: Experiment,
        now: datetime,
        *,
        templates: Mapping[AnalysisTemplateRef, AnalysisTemplateSpec | None] | None = None,
        names: Names | None = None,
    ) -> None:
        self.experiment = experiment
        self.now = now
        self.names = names or Names()
        self.created_at = now
        self.templates = dict(templates or {})
        self.sets: dict[str, SimulatedSet] = {}
        self.services: dict[str, snapshot.Service] = {}
        self.runs: dict[str, snapshot.AnalysisRun] = {}
        self.created: dict[str, shared.CreateAnalysisRun] = {}
        self.told: list[shared.Event] = []
        self.wake: datetime | None = None
        self.serial = 0

    @property
    def status(self) -> ExperimentStatus:
        return self.experiment.status

    # what the controller sees and does

    def snapshot(self) -> Snapshot:
        return Snapshot(
            experiment=self.experiment,
            now=self.now,
            hashes={t.name: f"hash-{t.name}" for t in self.experiment.spec.templates},
            replica_sets=tuple(rs.seen() for rs in self.sets.values()),
            services=tuple(self.services.values()),
            analysis_runs=tuple(self.runs.values()),
            templates=self.templates,
            names=self.names,
        )

    def decide(self) -> Plan:
        decided = plan.decide(self.snapshot())
        self.wake = decided.requeue_at
        return decided

    def apply(self, decided: Plan, *, upto: int | None = None) -> None:
        """Carries a plan out; with `upto` the controller dies after so many actions."""
        for action in decided.actions[:upto]:
            self.act(action)
        if upto is None:
            self.told += decided.events
            self.experiment = replace(self.experiment, status=decided.status)

    def settle(self, limit: int = 100) -> int:
        """Decide and apply until nothing changes; how many plans it took."""
        for count in range(limit):
            decided = self.decide()
            if not decided.actions and decided.status == self.status:
                return count
            self.apply(decided)
        raise AssertionError(f"no fixpoint after {limit} plans: {self.decide()}")

    def act(self, action: Action) -> None:
        match action:
            case CreateTemplateSet(name=name, pod_template_hash=pod_hash, replicas=replicas):
                assert name not in self.sets
                uid = f"uid-{name}"
                self.sets[name] = SimulatedSet(name, uid, pod_hash, "", 0, replicas, self.now)
            case shared.PatchReplicaSet():
                self._patch(action)
            case CreateService(name=name, pod_template_hash=pod_hash):
                assert name not in self.services
                self.services[name] = snapshot.Service(name, f"uid-{name}", "1", pod_hash)
            case DeleteService(name=name):
                del self.services[name]
            case shared.CreateAnalysisRun():
                self.create_run(action)
            case shared.TerminateAnalysisRun(name=name):
                self.runs[name] = replace(
                    self.runs[name], terminating=True, phase=AnalysisPhase.SUCCESSFUL, message="terminated"
                )

    def create_run(self, action: shared.CreateAnalysisRun) -> None:
        assert action.name not in self.created, f"{action.name} was created before"
        self.created[action.name] = action
        self.runs[action.name] = snapshot.AnalysisRun(
            name=action.name,
            uid=f"uid-{action.name}",
            resource_version="1",
            created_at=self.now,
            type="",
            pod_template_hash="",
            step_index=None,
            phase=AnalysisPhase.RUNNING,
        )

    def state(self) -> object:
        sets = [(rs.seen(), [(p.name, p.available) for p in rs.pods]) for rs in self.sets.values()]
        return sets, dict(self.runs), dict(self.services), self.status

    # ReplicaSet controller, and people

    def replica_set_controller(self) -> None:
        for rs in self.sets.values():
            del rs.pods[rs.replicas :]
            while len(rs.pods) < rs.replicas:
                self.serial += 1
                rs.pods.append(SimulatedPod(f"{rs.name}-{self.serial}", self.now))
            rs.observed = True

    def terminate(self) -> None:
        spec = replace(self.experiment.spec, terminate=True)
        self.experiment = replace(self.experiment, spec=spec)

    def retry(self) -> None:
        self.experiment = replace(self.experiment, status=ExperimentStatus())

    def _patch(self, action: shared.PatchReplicaSet) -> None:
        rs = self.sets[action.name]
        assert action.resource_version == str(rs.version), "two patches of one set in one plan"
        assert action.replicas is not None or action.annotations, "an empty patch"
        rs.version += 1
        if action.replicas is not None:
            rs.replicas, rs.observed = action.replicas, False
        for key, value in action.annotations.items():
            assert key == SCALE_DOWN_DEADLINE_ANNOTATION, f"unknown annotation {key}"
            rs.deadline = timestamp(value, key) if value else None
