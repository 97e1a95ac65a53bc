"""A cluster in memory: carries plans out, plays the ReplicaSet controller, people and Git.

Deterministic; time moves only when the caller says so. Not decided here: which pods become ready, what
analyses measure. `world` adds both from a scenario; tests drive it directly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from rollouts.api import podtemplate
from rollouts.api.analysis import AnalysisPhase, AnalysisTemplateRef, AnalysisTemplateSpec
from rollouts.api.meta import (
    CANARY_STEP_INDEX_LABEL,
    POD_TEMPLATE_HASH_LABEL,
    ROLLOUT_TYPE_LABEL,
    Names,
)
from rollouts.api.rollout import Rollout
from rollouts.api.rollout_status import ConfigCopy, RolloutStatus
from rollouts.delivery import actions, plan, podmetadata, rolling
from rollouts.delivery.actions import Plan
from rollouts.delivery.snapshot import (
    AnalysisRun,
    ExistingCopy,
    Experiment,
    ExperimentPods,
    Pod,
    PodTemplate,
    Service,
    Snapshot,
    WebhookAnswer,
    Workload,
)
from rollouts.simulate.pods import SimulatedPod, SimulatedSet, merged
from rollouts.simulate.routes import Routes


class Cluster:
    """One Rollout and everything that its controller would see and do."""

    def __init__(
        self,
        rollout: Rollout,
        now: datetime,
        *,
        services: Iterable[str] = (),
        templates: Mapping[AnalysisTemplateRef, AnalysisTemplateSpec | None] | None = None,
        names: Names | None = None,
    ) -> None:
        self.rollout = rollout
        self.now = now
        self.names = names or Names()
        self.sets: dict[str, SimulatedSet] = {}
        self.runs: dict[str, AnalysisRun] = {}
        self.experiments: dict[str, Experiment] = {}
        self.conducted: dict[str, actions.CreateExperiment] = {}
        self.services: dict[str, Service | None] = {
            name: Service(name, f"uid-{name}", "1", selector=rollout.spec.selector.match_labels)
            for name in services
        }
        self.templates = dict(templates or {})
        self.workload: Workload | None = None
        self.routes = Routes()
        self.fast_rollback = False
        self.writes = 0
        self.status_writes = 0
        self.told: list[actions.Event] = []
        self.admitted = True
        self.wanted_copies: tuple[ConfigCopy, ...] = ()
        self.copies: dict[tuple[str, str], ExistingCopy] = {}
        self.answers: dict[str, WebhookAnswer] = {}
        self.calls: tuple[actions.WebhookCall, ...] = ()
        self.ended: list[str] = []
        self.run_specs: dict[str, actions.CreateAnalysisRun] = {}
        self._serial = 0
        self._template = self.identity(rollout.spec.template)

    # what the controller sees and does

    def identity(self, template: Mapping[str, Any]) -> PodTemplate:
        return PodTemplate(digest=podtemplate.digest(template), hash=podtemplate.pod_template_hash(template))

    def snapshot(self) -> Snapshot:
        rollout = self.rollout
        restart = rollout.spec.restart_at
        due = restart is not None and restart <= self.now and restart != rollout.status.restarted_at
        seen = Snapshot(
            rollout=rollout,
            template=self._template,
            now=self.now,
            replica_sets=tuple(rs.seen() for rs in self.sets.values()),
            services=dict(self.services),
            analysis_runs=tuple(self.runs.values()),
            experiments=tuple(self.experiments.values()),
            templates=dict(self.templates),
            fast_rollback=self.fast_rollback,
            pods=self.pods() if due or rolling.recreated(rollout.spec.strategy) else (),
            workload=self.workload,
            webhook_answers=dict(self.answers),
            admitted=self.admitted,
            wanted_copies=self.wanted_copies,
            existing_copies=tuple(self.copies.values()),
            routes=self.routes.seen(rollout, self.services),
            names=self.names,
        )
        return replace(seen, pods=self.pods()) if podmetadata.needs_pods(seen) else seen

    def pods(self) -> tuple[Pod, ...]:
        return tuple(
            Pod(
                pod.name,
                pod.name,
                pod.created_at,
                rs.hash,
                pod.available,
                pod.deleting,
                pod.labels,
                pod.annotations,
            )
            for rs in self.sets.values()
            for pod in rs.pods
        )

    def decide(self) -> Plan:
        return plan.decide(self.snapshot())

    def apply(self, decided: Plan, *, upto: int | None = None) -> None:
        """Carries a plan out; with `upto` the controller dies after so many actions."""
        if decided.annotations:
            self.writes += 1
            self._annotate_rollout(decided.annotations)
        for action in decided.actions[:upto]:
            self.act(action)
        if upto is not None:
            return
        self.told += decided.events
        self.calls = decided.calls
        wanted = {call.id for call in decided.calls}
        self.answers = {call_id: said for call_id, said in self.answers.items() if call_id in wanted}
        if decided.ended and decided.ended.completion_status:
            self.ended.append(decided.ended.completion_status.value)
        if decided.status != self.rollout.status:
            self.writes += 1
            self.status_writes += 1
            self.rollout = replace(self.rollout, status=decided.status)

    def act(self, action: actions.Action) -> None:  # noqa: C901, PLR0912 - one arm an action
        self.writes += 1
        match action:
            case actions.CreateReplicaSet():
                self._create_set(action)
            case actions.PatchReplicaSet():
                self.sets[action.name].patch(action, self.names)
            case actions.DeleteReplicaSet(name=name):
                assert not self.sets[name].replicas
                del self.sets[name]
            case actions.SwitchService(name=name, pod_template_hash=selected):
                service = self.services[name]
                assert service is not None
                self.services[name] = replace(
                    service, selected_hash=selected, managed_by=self.rollout.metadata.name
                )
            case actions.SetWeights():
                self.routes.set(self.rollout, action, self.names, self.now)
            case actions.CreateAnalysisRun():
                self._create_run(action)
            case actions.TerminateAnalysisRun(name=name):
                self.runs[name] = replace(
                    self.runs[name], terminating=True, phase=AnalysisPhase.SUCCESSFUL, message="terminated"
                )
            case actions.DeleteAnalysisRun(name=name):
                del self.runs[name]
            case actions.CreateExperiment():
                self._create_experiment(action)
            case actions.TerminateExperiment(name=name):
                self._terminate_experiment(name)
            case actions.DeleteExperiment(name=name):
                del self.experiments[name]
            case actions.EvictPod(name=name):
                self.evict(name)
            case actions.PatchPod():
                self._patch_pod(action)
            case actions.CopyConfig(kind=kind, name=name):
                assert (kind, name) not in self.copies
                self.copies[kind, name] = ExistingCopy(kind, name, f"uid-{name}")
            case actions.DeleteConfigCopy(kind=kind, name=name):
                del self.copies[kind, name]
            case actions.ScaleWorkload():
                self._scale_workload(action)

    def answer(self, call: actions.WebhookCall, *, ok: bool, message: str = "") -> None:
        """What a webhook says that was due."""
        before = self.answers.get(call.id)
        calls = 1 + (before.calls if before else 0)
        self.answers[call.id] = WebhookAnswer(
            calls, ok, message or ("HTTP 200" if ok else "HTTP 403"), self.now
        )

    def settle(self, limit: int = 100) -> int:
        """Decide and apply until nothing changes; how many plans it took."""
        for count in range(limit):
            decided = self.decide()
            if not decided.actions and not decided.annotations and decided.status == self.rollout.status:
                self.calls = decided.calls
                return count
            self.apply(decided)
        raise AssertionError(f"no fixpoint after {limit} plans: {self.decide()}")

    def state(self) -> object:
        sets = [
            (rs.seen(), [(p.name, p.available, p.deleting) for p in rs.pods]) for rs in self.sets.values()
        ]
        owned = dict(self.runs), dict(self.experiments)
        routes = self.routes.state()
        return sets, owned, dict(self.services), dict(self.answers), routes, self.rollout.status

    # ReplicaSet controller and kubelet

    def replica_set_controller(self, name: str | None = None) -> None:
        for rs in self.sets.values():
            if name in (None, rs.name):
                rs.pods = [pod for pod in rs.pods if not pod.deleting]
                # not ready pods go first
                rs.pods.sort(key=lambda pod: not pod.available)
                del rs.pods[rs.replicas :]
                while len(rs.pods) < rs.replicas:
                    made = SimulatedPod(self._name(rs.name), self.now)
                    made.labels, made.annotations = rs.carried.labels, rs.carried.annotations
                    rs.pods.append(made)
                rs.observed = True

    def evict(self, name: str) -> None:
        for rs in self.sets.values():
            for pod in rs.pods:
                if pod.name == name:
                    pod.available, pod.deleting = False, True

    # people and Git

    def edit(self, **fields: Any) -> None:
        """A change of the spec, as one write."""
        metadata = replace(self.rollout.metadata, generation=self.rollout.metadata.generation + 1)
        self.rollout = replace(self.rollout, metadata=metadata, spec=replace(self.rollout.spec, **fields))
        self._template = self.identity(self.rollout.spec.template)

    def patch_status(self, **fields: Any) -> None:
        self.rollout = replace(self.rollout, status=replace(self.status, **fields))

    def promote(self) -> None:
        """As the plugin does: clears the pause, or goes to the next step."""
        self.edit(paused=False)
        if self.status.pause_conditions:
            self.patch_status(pause_conditions=())
        else:
            index = self.status.current_step_index or 0
            self.patch_status(current_step_index=index + 1)

    def promote_full(self) -> None:
        self.patch_status(promote_full=True)

    def abort(self) -> None:
        self.patch_status(abort=True)

    def retry(self) -> None:
        self.patch_status(abort=False)

    # answers

    @property
    def status(self) -> RolloutStatus:
        return self.rollout.status

    def _name(self, prefix: str) -> str:
        self._serial += 1
        return f"{prefix}-{self._serial}"

    def _create_set(self, action: actions.CreateReplicaSet) -> None:
        assert action.name not in self.sets
        assert action.pod_template_hash == self._template.hash
        self.sets[action.name] = SimulatedSet(
            name=action.name,
            uid=f"uid-{action.name}",
            hash=action.pod_template_hash,
            digest=self._template.digest,
            revision=action.revision,
            replicas=action.replicas,
            created_at=self.now,
            desired=action.desired_replicas,
            git_revision=action.git_revision,
            min_ready_seconds=self.rollout.spec.min_ready_seconds,
            injected=action.pod_metadata,
            carried=action.pod_metadata,
            away_from=action.away_from,
            config_copies=action.config_copies,
        )

    def _patch_pod(self, action: actions.PatchPod) -> None:
        for pod in (pod for rs in self.sets.values() for pod in rs.pods if pod.name == action.name):
            pod.labels = merged(pod.labels, action.labels)
            pod.annotations = merged(pod.annotations, action.annotations)

    def _annotate_rollout(self, changed: Mapping[str, str | None]) -> None:
        metadata = self.rollout.metadata
        annotations = merged(metadata.annotations, changed)
        self.rollout = replace(self.rollout, metadata=replace(metadata, annotations=annotations))

    def _scale_workload(self, action: actions.ScaleWorkload) -> None:
        found = self.workload
        assert found is not None
        assert (found.uid, found.resource_version) == (action.uid, action.resource_version)
        self.workload = replace(
            found,
            replicas=action.replicas,
            generation=found.generation + 1,
            resource_version=str(int(found.resource_version) + 1),
        )

    def _create_experiment(self, action: actions.CreateExperiment) -> None:
        if action.name in self.experiments:
            return  # AlreadyExists with our owner
        assert action.name not in self.conducted, f"{action.name} was created before"
        self.conducted[action.name] = action
        self.experiments[action.name] = Experiment(
            name=action.name,
            uid=f"uid-{action.name}",
            created_at=self.now,
            pod_template_hash=action.labels[POD_TEMPLATE_HASH_LABEL],
            phase=AnalysisPhase.PENDING,
            pods=tuple(
                ExperimentPods(template.name, f"{action.name}-{template.name}", f"hash-{template.name}")
                for template in action.step.templates
            ),
        )

    def _terminate_experiment(self, name: str) -> None:
        self.experiments[name] = replace(
            self.experiments[name], terminating=True, phase=AnalysisPhase.SUCCESSFUL, message="terminated"
        )

    def _create_run(self, action: actions.CreateAnalysisRun) -> None:
        if action.name in self.runs:
            return  # AlreadyExists with our owner
        assert action.name not in self.run_specs, f"{action.name} was created before"
        self.run_specs[action.name] = action
        index = action.labels.get(CANARY_STEP_INDEX_LABEL)
        self.runs[action.name] = AnalysisRun(
            name=action.name,
            uid=f"uid-{action.name}",
            resource_version="1",
            created_at=self.now,
            type=action.labels[ROLLOUT_TYPE_LABEL],
            pod_template_hash=action.labels[POD_TEMPLATE_HASH_LABEL],
            step_index=int(index) if index else None,
            phase=AnalysisPhase.RUNNING,
        )
