"""A simulated cluster that follows a scenario: pods, measurements and people, each at its instant.

Decides when something happens next, never what the controller does about it. Called by `timeline`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from analysis.errors import AnalysisError
from rollouts.api.analysis import AnalysisPhase, AnalysisTemplateRef, AnalysisTemplateSpec
from rollouts.api.experiment_step import SpecRef
from rollouts.api.meta import POD_TEMPLATE_HASH_LABEL, Names
from rollouts.api.podtemplate import pod_template_hash
from rollouts.api.rollout import Rollout
from rollouts.api.rollout_status import PauseReason, Phase
from rollouts.api.webhook import Webhook, WebhookType
from rollouts.delivery import actions, webhooks
from rollouts.delivery.actions import Plan
from rollouts.delivery.snapshot import ExperimentPods
from rollouts.simulate import autoscaler, conducting, lives, measuring
from rollouts.simulate.cluster import Cluster
from rollouts.simulate.conducting import Conducted, Life
from rollouts.simulate.pods import SimulatedPod
from rollouts.simulate.scenario import Action, Deed, PodBehaviour, Scenario

VERSION_ANNOTATION = "simulate.rollouts.dev/version"
UPDATE = 2
_ROUNDS = 1000


def _is_counted(webhook: Webhook) -> bool:
    """After so many refusals it is over."""
    return webhook.type in webhooks.CHECKS or webhook.type is WebhookType.POST_ROLLOUT


def _is_selected(selector: str, pod_template_hash: str) -> bool:
    term = next((t for t in selector.split(",") if t.startswith(f"{POD_TEMPLATE_HASH_LABEL}=")), "")
    return term in ("", f"{POD_TEMPLATE_HASH_LABEL}={pod_template_hash}")


class World(Cluster):
    """`begins_at` is when version 2 is deployed; before that, everything is well."""

    def __init__(
        self,
        rollout: Rollout,
        scenario: Scenario,
        begins_at: datetime,
        *,
        services: tuple[str, ...],
        templates: Mapping[AnalysisTemplateRef, AnalysisTemplateSpec | None],
        names: Names,
    ) -> None:
        self.scenario = scenario
        self.begins_at = begins_at
        self.measured: dict[str, measuring.Run] = {}
        self.running: dict[str, Conducted] = {}
        self.versions: dict[str, int] = {}
        self._written = rollout.spec.template
        self._wake: datetime | None = None
        self._lately = autoscaler.Memory()
        self._looked_at: datetime | None = None
        first = replace(rollout, spec=replace(rollout.spec, template=self._version(1), paused=False))
        super().__init__(first, begins_at, services=services, templates=templates, names=names)

    # versions

    def deploy(self, version: int) -> None:
        self.edit(template=self._version(version))

    def _version(self, version: int) -> Mapping[str, Any]:
        """Version 2 is the template as it is written; the others are told apart by an annotation."""
        template = self._written
        if version != UPDATE:
            metadata = template.get("metadata") or {}
            marks = {**(metadata.get("annotations") or {}), VERSION_ANNOTATION: str(version)}
            template = {**template, "metadata": {**metadata, "annotations": marks}}
        self.versions[pod_template_hash(template)] = version
        return template

    # time

    def decide(self) -> Plan:
        decided = super().decide()
        self._wake = decided.requeue_at
        return decided

    def rest(self) -> None:
        """Until pods, analyses and controller have nothing left to do at this instant."""
        for count in range(_ROUNDS):
            before = self.state()
            self.replica_set_controller()
            self._run_pods()
            self._measure()
            self._conduct()
            self._answer()
            self._scale()
            if count and self.state() == before:
                return
            self.settle()
        raise AssertionError("the simulated cluster does not come to rest")

    @property
    def is_over(self) -> bool:
        """The update has ended, and the controller waits for nothing any more."""
        ended = self.status.phase is Phase.HEALTHY or (self.status.abort and self._is_back)
        return ended and self._wake is None and not any(self._going_on()) and not any(self._looks())

    @property
    def _is_back(self) -> bool:
        stable = [rs for rs in self.sets.values() if rs.hash == self.status.stable_rs]
        return any(rs.available >= self.rollout.spec.replicas for rs in stable)

    def next_instant(self, deeds: tuple[Action, ...]) -> datetime | None:
        """When something happens next, whoever does it."""
        deed = self.begins_at + deeds[0].at if deeds else None
        conducted = (at for experiment in self.running.values() for at in experiment.instants())
        instants = [self._wake, deed, *self._pod_changes(), *self._measurements_due(), *self._replies()]
        instants += self._looks()
        instants += conducted
        return min((at for at in instants if at is not None and at > self.now), default=None)

    # pods

    def _run_pods(self) -> None:
        for rs in self.sets.values():
            behaviour = self._behaviour(rs.hash)
            for pod in rs.pods:
                pod.available = not pod.deleting and self._is_available(behaviour, pod)

    def _pod_changes(self) -> Iterator[datetime]:
        for rs in self.sets.values():
            behaviour = self._behaviour(rs.hash)
            for created_at in {pod.created_at for pod in rs.pods}:
                yield from self._changes(behaviour, created_at)

    def _behaviour(self, pod_hash: str) -> PodBehaviour:
        if self.now < self.begins_at:
            return PodBehaviour()
        return self.scenario.behaviour(self.versions[pod_hash])

    def _is_available(self, behaviour: PodBehaviour, pod: SimulatedPod) -> bool:
        age = self.now - pod.created_at
        life = lives.current(behaviour, age)
        up = life.ends is None or age < life.ends
        return behaviour.ready and up and age >= life.ready + self._lead

    def _changes(self, behaviour: PodBehaviour, created_at: datetime) -> Iterator[datetime]:
        """The next instants at which a pod of that age becomes available, exits or starts again."""
        if not behaviour.ready:
            return
        life = lives.current(behaviour, self.now - created_at)
        yield created_at + life.ready + self._lead
        if life.ends is not None:
            yield created_at + life.ends
            yield created_at + life.again

    @property
    def _lead(self) -> timedelta:
        """From a pod's being ready to its being available."""
        return timedelta(seconds=self.rollout.spec.min_ready_seconds)

    # analyses

    def _create_run(self, action: actions.CreateAnalysisRun) -> None:
        super()._create_run(action)
        if action.name in self.measured:
            return
        try:
            self.measured[action.name] = measuring.begin(action.name, action.spec, self.now)
        except AnalysisError as e:
            self.runs[action.name] = measuring.failed(self.runs[action.name], e)

    def _going_on(self) -> Iterator[measuring.Run]:
        for name, run in self.measured.items():
            if name in self.runs and self.runs[name].phase is AnalysisPhase.RUNNING:
                yield run

    def _measure(self) -> None:
        at = self.now - self.begins_at
        for run in list(self._going_on()):
            seen = self.runs[run.name]
            version = self.versions[seen.pod_template_hash]
            assessment = run.measure(self.now, lambda name, v=version: self.scenario.reading(name, v, at))  # type: ignore[misc]
            if assessment.phase.completed:
                self.runs[run.name] = measuring.seen(seen, run.metrics, assessment)

    def _measurements_due(self) -> Iterator[datetime | None]:
        return (run.next_due(self.now) for run in self._going_on())

    # webhooks

    def _answer(self) -> None:
        """Every webhook that is due answers at once."""
        at = self.now - self.begins_at
        for call in self.calls:
            before = self.answers.get(call.id)
            if call.at <= self.now and (before is None or before.at < call.at):
                self.answer(call, ok=self.scenario.says_yes(call.webhook, at))

    def _replies(self) -> Iterator[datetime]:
        """Webhooks whose answer will count: those that say no again and again are passed over."""
        at = self.now - self.begins_at
        for call in self.calls:
            if call.id not in self.answers or _is_counted(call.webhook):
                yield call.at
                continue
            changes = self.scenario.changes_its_mind(call.webhook, at)
            if changes is not None:
                late = max(timedelta(), self.begins_at + changes - call.at)
                yield call.at + -(-late // call.webhook.interval) * call.webhook.interval

    # autoscaler

    def _scale(self) -> None:
        """Looks every 15 s, and whenever it would matter later what it has seen."""
        scaler = self.scenario.autoscaler
        since = self.now - self.begins_at
        if scaler is None or since < timedelta() or self._looked_at == self.now:
            return
        scale = self._scale_seen()
        asked = autoscaler.recommended(scaler, scale, scaler.percent(since))
        most_lately = self._lately.noted(self.now, asked)
        self._looked_at = self.now
        replicas = autoscaler.next_replicas(scale, asked, most_lately)
        if not since % autoscaler.PERIOD and replicas != scale.wanted:
            self.edit(replicas=replicas)

    def _looks(self) -> Iterator[datetime]:
        scaler = self.scenario.autoscaler
        since = self.now - self.begins_at
        if scaler is None or since < timedelta():
            return
        changes = scaler.changes(since)
        if changes is not None:
            yield self.begins_at + -(-changes // autoscaler.PERIOD) * autoscaler.PERIOD
        scale = self._scale_seen()
        if autoscaler.recommended(scaler, scale, scaler.percent(since)) != scale.wanted:
            yield self.begins_at + (since // autoscaler.PERIOD + 1) * autoscaler.PERIOD

    def _scale_seen(self) -> autoscaler.Scale:
        """The scale subresource, and the pods that its selector matches."""
        status = self.status
        selected = [rs for rs in self.sets.values() if _is_selected(status.selector, rs.hash)]
        ready = sum(rs.available for rs in selected)
        return autoscaler.Scale(self.rollout.spec.replicas, status.hpa_replicas, ready)

    # experiments

    def _create_experiment(self, action: actions.CreateExperiment) -> None:
        super()._create_experiment(action)
        if action.name not in self.running:
            self.running[action.name] = self.conductor(action)

    def conductor(self, action: actions.CreateExperiment) -> Conducted:
        """The Experiment at its beginning, in this cluster."""
        hashes = {SpecRef.CANARY: self.sets[action.canary_set].hash}
        hashes[SpecRef.STABLE] = self.sets[action.stable_set].hash
        version = self.versions[hashes[SpecRef.CANARY]]
        return Conducted(
            conducting.experiment(action, self.rollout),
            action,
            self.now,
            lives=lambda side: self._life(hashes[side]),
            reader=lambda name: self.scenario.reading(name, version, self.now - self.begins_at),
            templates=self.templates,
        )

    def _terminate_experiment(self, name: str) -> None:
        self.experiments[name] = replace(self.experiments[name], terminating=True)
        self.running[name].terminate()

    def _life(self, pod_hash: str) -> Life:
        behaviour = self._behaviour(pod_hash)
        return Life(
            is_available=lambda pod: self._is_available(behaviour, pod),
            changes=lambda created_at: self._changes(behaviour, created_at),
        )

    def _conduct(self) -> None:
        for name, running in list(self.running.items()):
            if name not in self.experiments:
                del self.running[name]
                continue
            running.rest(self.now)
            status = running.status
            pods = tuple(
                ExperimentPods(template.name, template.service_name, template.pod_template_hash)
                for template in status.template_statuses
            )
            self.experiments[name] = replace(
                self.experiments[name], phase=status.phase, message=status.message, pods=pods
            )

    # people

    def do(self, action: Action) -> None:
        match action.do:
            case Deed.PROMOTE:
                self._promote()
            case Deed.PROMOTE_FULL:
                if self.status.current_pod_hash != self.status.stable_rs:
                    self.promote_full()
            case Deed.ABORT:
                self.abort()
            case Deed.RETRY:
                self.retry()
            case Deed.DEPLOY:
                assert action.version is not None  # scenario.read checks
                self.deploy(action.version)
            case _:
                self.edit(**self._edited(action))

    def _edited(self, action: Action) -> Mapping[str, Any]:
        match action.do:
            case Deed.PAUSE:
                return {"paused": True}
            case Deed.RESUME:
                return {"paused": False}
            case Deed.RESTART:
                return {"restart_at": self.now}
            case Deed.SCALE:
                assert action.replicas is not None  # scenario.read checks
                return {"replicas": action.replicas}
            case _:
                raise AssertionError(f"{action.do} is no edit of the spec")

    def _promote(self) -> None:
        """As the plugin: nothing to promote is no error, and an inconclusive step is left behind."""
        if self.status.current_pod_hash == self.status.stable_rs:
            return
        doubt = any(p.reason is PauseReason.INCONCLUSIVE_ANALYSIS for p in self.status.pause_conditions)
        if doubt and self.status.current_step_index is not None:
            index = self.status.current_step_index + 1
            self.patch_status(pause_conditions=(), controller_pause=False, current_step_index=index)
        elif self.status.pause_conditions or self.status.current_step_index is not None:
            self.promote()
        else:
            self.edit(paused=False)
