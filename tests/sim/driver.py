"""Seeded interleavings of everything that can happen to a Rollout, with safety checked at every write.

A `Driver` plays people, Git, pods, analyses and a controller that dies; what must hold at any time is
asserted here, what must hold once the faults stop in `converges`. One seed is one story.
"""

from __future__ import annotations

import copy
import functools
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from rollouts.api.analysis import AnalysisPhase, AnalysisTemplateSpec
from rollouts.api.rollout import DeclaredAbort, DeclaredPromotion, Rollout
from rollouts.api.rollout_status import Phase, RolloutStatus
from rollouts.api.strategy import CanaryStep
from rollouts.api.webhook import WebhookType
from rollouts.delivery import actions, replicas, view
from rollouts.delivery.snapshot import Experiment, Snapshot
from tests import builders, status_linter
from tests.fakes import FakeCluster
from tests.sim import random_rollouts

TEMPLATES: dict[str, AnalysisTemplateSpec] = {"success-rate": builders.template("success-rate")}
SERVICES = ("active", "preview", "canary", "stable")
PHASES = (AnalysisPhase.SUCCESSFUL, AnalysisPhase.FAILED, AnalysisPhase.ERROR, AnalysisPhase.INCONCLUSIVE)


def _is_over(experiment: Experiment) -> bool:
    return experiment.phase is not None and experiment.phase.completed


def _ready(now: dict[str, bool], version: str) -> bool:
    return now.get(version, True)


class Driver:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.cluster = self.new_cluster(random_rollouts.rollout(self.rng))
        self.bad_versions: set[str] = set()
        self.plans = 0
        self.waited: set[tuple[str, int, int]] = set()
        self.story: list[str] = []
        self.skipped_by_person = False

    def new_cluster(self, rollout: Rollout) -> FakeCluster:
        return FakeCluster(rollout, services=SERVICES, templates=TEMPLATES)

    # safety: holds after every single write

    def step(self, *, dies_after: int | None = None) -> bool:
        """One decision, carried out with every check; False when there is nothing to do."""
        seen = self.cluster.snapshot()
        decided = self.cluster.decide()
        assert decided == self.cluster.decide(), "the same snapshot, another plan"
        self.plans += 1
        before = self.cluster.status
        for action in decided.actions[:dies_after]:
            self._checked(seen, action)
        if dies_after is not None:
            return True
        self.cluster.apply(replace(decided, actions=()))
        status_linter.lint(self.cluster.rollout)
        self._check_steps(seen, before)
        self.skipped_by_person = False
        assert decided.requeue_at is None or decided.requeue_at > seen.now
        return bool(decided.actions) or decided.status != before

    def _checked(self, seen: Snapshot, action: actions.Action) -> None:
        cluster = self.cluster
        bounds = view.of(seen).limits
        total, available = self._total(), self._available()
        before = {rs.hash: rs.replicas for rs in cluster.sets.values()}
        cluster.act(action)
        if not isinstance(action, actions.PatchReplicaSet | actions.CreateReplicaSet):
            return
        if seen.rollout.spec.strategy.blue_green is not None:
            self._check_active(seen, before)
            return
        if view.of(seen).recreates:
            self._check_alone(before)
        assert self._total() <= max(total, bounds.most), f"above the surge: {action}"
        floor = min(available, bounds.fewest)
        assert self._available() >= floor, f"below what must be available: {action}"

    def _check_active(self, seen: Snapshot, before: dict[str, int]) -> None:
        """The set that users reach is never made smaller than the spec asks for."""
        service = self.cluster.services["active"]
        active = next(
            (rs for rs in self.cluster.sets.values() if service and rs.hash == service.selected_hash), None
        )
        if active is not None:
            floor = min(before.get(active.hash, 0), seen.rollout.spec.replicas)
            assert active.replicas >= floor, "the active set is scaled down"

    def _check_alone(self, before: dict[str, int]) -> None:
        """A set grows only when no other has pods."""
        for rs in self.cluster.sets.values():
            if rs.replicas > before.get(rs.hash, 0):
                others = [other for other in self.cluster.sets.values() if other is not rs]
                assert not any(other.pods or other.replicas for other in others), "two versions run"

    def _total(self) -> int:
        return sum(rs.replicas for rs in self.cluster.sets.values())

    def _available(self) -> int:
        return sum(min(rs.available, rs.replicas) for rs in self.cluster.sets.values())

    def _check_steps(self, seen: Snapshot, before: RolloutStatus) -> None:
        """Every step that is gone past was really reached, once."""
        after, steps = self.cluster.status, view.of(seen).steps
        key = (after.current_pod_hash, after.current_revision, after.attempt)
        index = after.current_step_index
        if after.pause_conditions and index is not None:
            self.waited.add((after.current_pod_hash, after.attempt, index))
        same = key == (before.current_pod_hash, before.current_revision, before.attempt)
        if not same or before.step == "" or index is None or before.current_step_index is None:
            return
        if (
            self.skipped_by_person
            or after.abort
            or view.mode(view.of(seen), before) is not view.Mode.STEPPING
        ):
            return
        assert index >= before.current_step_index, "back to an earlier step"
        for passed in range(before.current_step_index, index):
            self._check_passed(seen, steps[passed], passed)

    def _check_passed(self, seen: Snapshot, step: CanaryStep, index: int) -> None:
        looked = view.of(seen)
        if step.pause is not None:
            assert (looked.hash, seen.rollout.status.attempt, index) in self.waited, "a pause was skipped"
        elif step.analysis is not None:
            runs = [run for run in seen.analysis_runs if run.step_index == index and run.type == "Step"]
            assert any(run.phase is AnalysisPhase.SUCCESSFUL for run in runs), "an analysis was skipped"
        elif step.experiment is not None:
            ended = [e for e in seen.experiments if f"{looked.hash}-{looked.revision}-{index}" in e.name]
            assert any(e.phase is AnalysisPhase.SUCCESSFUL for e in ended), "an Experiment was skipped"
        elif step.set_weight is not None:
            pair = replicas.for_weight(looked.replicas, step.set_weight, surge=looked.limits.surge > 0)
            assert looked.sets.current.available_replicas >= pair.canary, "a weight was skipped"

    # what can happen

    def happen(self) -> None:
        """One random thing: mostly the controller and the cluster at work, sometimes trouble."""
        deeds: list[tuple[int, Callable[[], object]]] = [
            (30, self.step),
            (6, self._die),
            (20, self._replica_set_controller),
            (20, self._pods),
            (5, self._deploy),
            (8, self._time),
            (6, self._verdict),
            (4, self._conducted),
            (5, self._promote),
            (2, self.cluster.promote_full),
            (3, self.cluster.abort),
            (3, self._retry),
            (3, self._scale),
            (2, self._hold),
            (1, self._scaled_by_hand),
            (1, self._selector_by_hand),
            (1, self._set_deleted),
            (1, self._restart),
            (1, self._steps_edited),
            (1, self._declared),
            (6, self._webhook),
            (2, self._admission),
        ]
        deed = self.rng.choices([d for _, d in deeds], [w for w, _ in deeds])[0]
        self.story.append(deed.__name__)
        self.skipped_by_person = self.skipped_by_person or deed in (self._promote, self.cluster.promote_full)
        deed()

    def _die(self) -> None:
        self.step(dies_after=self.rng.randrange(4))

    def _replica_set_controller(self) -> None:
        names = list(self.cluster.sets)
        if names:
            self.cluster.replica_set_controller(self.rng.choice(names))

    def _pods(self) -> None:
        """Each pod may come up or go down; bad versions never come up."""
        for rs in self.cluster.sets.values():
            for pod in rs.pods:
                if self.rng.random() < 0.7:
                    good = rs.hash.removeprefix("hash-") not in self.bad_versions
                    pod.available = good and not pod.deleting and self.rng.random() < 0.85

    def _deploy(self) -> None:
        version = f"v{self.rng.randrange(1, 5)}"
        if version not in self.bad_versions and self.rng.random() < 0.2:
            self.bad_versions.add(version)
        self.cluster.deploy(version)

    def _time(self) -> None:
        self.cluster.now += timedelta(seconds=self.rng.choice((1, 10, 31, 61, 200)))

    def _verdict(self) -> None:
        running = [run.name for run in self.cluster.runs.values() if not run.phase.completed]
        if running:
            self.cluster.finish_run(
                self.rng.choice(running), self.rng.choices(PHASES, (6, 2, 1, 2))[0], value="0.9"
            )

    def _conducted(self) -> None:
        going_on = [name for name, e in self.cluster.experiments.items() if not _is_over(e)]
        if going_on:
            self.cluster.finish_experiment(
                self.rng.choice(going_on), self.rng.choices(PHASES, (6, 2, 1, 2))[0], "told"
            )

    def _promote(self) -> None:
        if self.cluster.status.current_pod_hash != self.cluster.status.stable_rs:
            self.cluster.promote()

    def _retry(self) -> None:
        if self.cluster.status.abort:
            self.cluster.retry()

    def _scale(self) -> None:
        self.cluster.edit(replicas=self.rng.choice((0, 1, 2, 3, 5, 8)))

    def _hold(self) -> None:
        self.cluster.edit(paused=not self.cluster.rollout.spec.paused)

    def _scaled_by_hand(self) -> None:
        for rs in self.cluster.sets.values():
            if self.rng.random() < 0.5:
                rs.replicas, rs.observed = self.rng.randrange(6), False

    def _selector_by_hand(self) -> None:
        name = self.rng.choice(list(self.cluster.services))
        service = self.cluster.services[name]
        assert service is not None
        selected = self.rng.choice(("", "hash-v1", "hash-v2", "hash-other"))
        self.cluster.services[name] = replace(service, selected_hash=selected)

    def _set_deleted(self) -> None:
        if self.cluster.sets:
            del self.cluster.sets[self.rng.choice(list(self.cluster.sets))]

    def _restart(self) -> None:
        self.cluster.edit(restart_at=self.cluster.now)

    def _steps_edited(self) -> None:
        canary = self.cluster.rollout.spec.strategy.canary
        if canary is not None:
            steps = (*canary.steps[:4], random_rollouts.step(self.rng))
            strategy = replace(self.cluster.rollout.spec.strategy, canary=replace(canary, steps=steps))
            self.cluster.edit(strategy=strategy)

    def _admission(self) -> None:
        """The controller has a slot for the update, or has none."""
        self.cluster.admitted = self.rng.random() < 0.6

    def _webhook(self) -> None:
        for call in self.cluster.calls:
            if self.rng.random() < 0.7:
                self.cluster.now = max(self.cluster.now, call.at)
                self.cluster.answer(call, ok=self.rng.random() < 0.6)

    def _declared(self) -> None:
        """Git promotes or aborts a version, which may be another one than that of the spec."""
        concerns = f"hash-v{self.rng.randrange(1, 5)}"
        steps = self.cluster.rollout.spec.strategy.canary
        step = self.rng.randrange(len(steps.steps) + 1) if steps and self.rng.random() < 0.5 else None
        full = step is None and self.rng.random() < 0.3
        self.skipped_by_person = True
        if self.rng.random() < 0.7:
            self.cluster.edit(promote=DeclaredPromotion(concerns, step=step, full=full))
        else:
            self.cluster.edit(abort=DeclaredAbort(concerns))

    # liveness: once the faults stop

    def rests(self, limit: int = 200) -> None:
        """No more faults: good pods come up, controllers work, until nothing changes."""
        for _ in range(limit):
            before = self.cluster.state()
            while self.step():
                pass
            self.cluster.replica_set_controller()
            self.cluster.make_ready(lambda version: version not in self.bad_versions)
            if self.cluster.state() == before:
                return
        raise AssertionError("does not come to rest")

    def passes(self, seconds: float) -> None:
        """Time goes by, with the controller woken when it asked to be."""
        end = self.cluster.now + timedelta(seconds=seconds)
        self.rests()
        while (wake := self.cluster.decide().requeue_at) is not None and wake < end:
            self.cluster.now = wake
            self.rests()
        self.cluster.now = end
        self.rests()

    def _all_succeed(self) -> None:
        for run in list(self.cluster.runs.values()):
            if not run.phase.completed:
                self.cluster.finish_run(run.name, AnalysisPhase.SUCCESSFUL)
        for name, experiment in list(self.cluster.experiments.items()):
            if not _is_over(experiment):
                self.cluster.finish_experiment(name, AnalysisPhase.SUCCESSFUL)

    def prevails(self, version: str = "v9", rounds: int = 360) -> None:
        """A good version, analyses that succeed and people who promote: it must get through."""
        self.cluster.edit(paused=False)
        self.cluster.admitted = True
        for _ in range(rounds):
            if self.cluster.version in self.bad_versions or self.cluster.status.abort:
                self.cluster.deploy(version)
            self.passes(50)  # within every timeout
            if self.cluster.status.phase is Phase.HEALTHY:
                return
            self._all_succeed()
            for call in self.cluster.calls:
                self.cluster.now = max(self.cluster.now, call.at)
                self.cluster.answer(call, ok=call.webhook.type is not WebhookType.ROLLBACK)
            if self.cluster.status.pause_conditions:
                self.cluster.promote()
        raise AssertionError(f"does not get through: {self.cluster.status}")

    def crash_loops(self, rounds: int) -> None:
        """Pods of the current set start, are ready for a moment and die, again and again."""
        self.rests()
        for count in range(rounds):
            self.cluster.now += timedelta(seconds=15)
            self.cluster.replica_set_controller()
            ready_now = {self.cluster.version: count % 2 == 1}
            self.cluster.make_ready(functools.partial(_ready, ready_now))
            while self.step():
                pass

    @property
    def can_go_back(self) -> bool:
        """There is another set that is stable, and its pods come up."""
        stable = self.cluster.status.stable_rs
        exists = any(rs.hash == stable for rs in self.cluster.sets.values())
        good = stable.removeprefix("hash-") not in self.bad_versions
        return exists and good and stable != self.cluster.status.current_pod_hash

    @property
    def is_back(self) -> bool:
        cluster = self.cluster
        stable = cluster.status.stable_rs.removeprefix("hash-")
        replicas = cluster.rollout.spec.replicas
        if not cluster.status.abort or cluster.size(stable) != replicas:
            return False
        if cluster.rollout.spec.strategy.blue_green is None:
            return set(cluster.sizes()) <= {stable}
        return replicas == 0 or cluster.selected("active") == stable

    @property
    def is_over_or_waits(self) -> bool:
        status = self.cluster.status
        running = any(not run.phase.completed for run in self.cluster.runs.values())
        running = running or any(not _is_over(e) for e in self.cluster.experiments.values())
        progressing = status.phase is Phase.PROGRESSING
        asked = bool(self.cluster.calls) or status.queued_at is not None
        return not progressing or running or asked or status.stable_rs == status.current_pod_hash

    def outcome(self) -> object:
        """Everything that is left once the cluster rests."""
        sets = {
            rs.hash: (rs.replicas, rs.available, rs.revision, rs.deadline)
            for rs in self.cluster.sets.values()
        }
        runs = {run.name: (run.phase, run.terminating) for run in self.cluster.runs.values()}
        experiments = {e.name: (e.phase, e.terminating) for e in self.cluster.experiments.values()}
        selected = {
            name: service and service.selected_hash for name, service in self.cluster.services.items()
        }
        status = self.cluster.status
        conditions = tuple((c.type, c.status, c.reason, c.message) for c in status.conditions)
        timeless = replace(status, conditions=(), best_available=0, last_progress_at=None)
        return sets, runs, experiments, selected, timeless, conditions

    def twin(self) -> Driver:
        """The same state, to be led another way."""
        other = copy.copy(self)
        other.cluster = copy.deepcopy(self.cluster)
        other.bad_versions, other.waited, other.story = (
            set(self.bad_versions),
            set(self.waited),
            list(self.story),
        )
        return other
