"""Rollouts and AnalysisRuns in the process: their stores, who rings whom, their two controllers.

Decides which change concerns which key. A reconciler's own writes do not ring its own keys; they ring the
other's.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from analysis import providers
from analysis.pool import Pool
from rollouts import routing
from rollouts.api.analysis import AnalysisTemplateSpec
from rollouts.controller import gauges, measure, observe, reconcile, records, runs
from rollouts.controller.admission import Admissions
from rollouts.controller.apply import Applier
from rollouts.controller.cache import Change, Key, Store
from rollouts.controller.configs import Configs
from rollouts.controller.events import Recorder
from rollouts.controller.experiments import records as records_of_experiments
from rollouts.controller.experiments.records import KnownExperiment
from rollouts.controller.jobs import Jobs
from rollouts.controller.links import Links
from rollouts.controller.loop import Controller
from rollouts.controller.measure import Measurer
from rollouts.controller.metrics import Metrics
from rollouts.controller.observe import Stores
from rollouts.controller.parts import Environment, Part
from rollouts.controller.queue import Queue
from rollouts.controller.records import KnownRollout, Malformed
from rollouts.controller.routes import Routes
from rollouts.controller.runs import KnownRun
from rollouts.controller.webhooks import Caller
from rollouts.controller.workloads import Workloads
from rollouts.controller.writes import Checkpoint, Writer, no_checkpoint
from rollouts.delivery import snapshot
from rollouts.errors import SpecError
from rollouts.kube import resources

__all__ = ["new_stores", "part"]


def new_stores(environment: Environment) -> Stores:
    names, instance_id = environment.names, environment.settings.instance_id
    templates: Store[AnalysisTemplateSpec | SpecError] = Store(
        resources.analysis_template(names.group), records.template
    )
    cluster_templates: Store[AnalysisTemplateSpec | SpecError] = Store(
        resources.cluster_analysis_template(names.group), records.template
    )
    return Stores(
        rollouts=records.rollouts(names, instance_id),
        replica_sets=records.replica_sets(names),
        services=records.services(names),
        runs=runs.runs(names, instance_id),
        templates=templates,
        cluster_templates=cluster_templates,
        experiments=records_of_experiments.experiments(names, instance_id),
        services_named=Links(),
    )


def part(environment: Environment, stores: Stores, checkpoint: Checkpoint = no_checkpoint) -> Part:
    settings = environment.settings
    bell = _Bell(stores, Queue(now=environment.now), Queue(now=environment.now), Links(), Links())
    bell.listen()
    beside = _beside(environment, bell)
    _count(environment.metrics, stores, beside.admissions)
    reconciler = _reconciler(environment, bell, beside, checkpoint)
    measurer = _measurer(environment, bell)
    return Part(
        stores=(
            stores.rollouts,
            stores.replica_sets,
            stores.services,
            stores.runs,
            stores.templates,
            stores.cluster_templates,
        ),
        controllers=(
            Controller(
                reconcile.ORIGIN, bell.rollouts, reconciler.reconcile, settings.workers, stores.rollouts
            ),
            Controller(measure.ORIGIN, bell.runs, measurer.reconcile, settings.analysis_workers, stores.runs),
        ),
        close=functools.partial(_close, measurer, beside),
    )


def _count(metrics: Metrics, stores: Stores, admissions: Admissions) -> None:
    """What is served on /metrics."""
    metrics.gather(lambda: gauges.rollouts(stores.rollouts))
    metrics.gather(admissions.gauges)
    metrics.gather(lambda: gauges.analysis_runs(stores.runs))
    metrics.gather(lambda: gauges.templates(stores.templates, stores.cluster_templates))


@dataclass(frozen=True, slots=True)
class Beside:
    """What works beside the stores: watches of their own, and calls."""

    workloads: Workloads
    configs: Configs
    caller: Caller
    admissions: Admissions

    async def close(self) -> None:
        await self.workloads.close()
        await self.configs.close()
        await self.caller.close()


def _beside(environment: Environment, bell: _Bell) -> Beside:
    settings, kube, names = environment.settings, environment.kube, environment.names
    admissions = Admissions(settings.max_concurrent_rollouts, names, bell.rollouts.add)
    bell.stores.rollouts.listen(admissions.changed)
    return Beside(
        workloads=Workloads(kube, settings.namespace, bell.rollouts.add),
        configs=Configs(kube, names, bell.rollouts.add),
        caller=Caller(bell.rollouts, environment.now),
        admissions=admissions,
    )


def _measurer(environment: Environment, bell: _Bell) -> Measurer:
    settings, kube = environment.settings, environment.kube
    registry = providers.registry(prometheus_address=settings.prometheus_address or None)
    return Measurer(
        bell.stores.runs,
        bell.runs,
        Writer(kube, origin=measure.ORIGIN, field_manager=measure.FIELD_MANAGER),
        Pool(settings.analysis_workers, registry),
        Jobs(kube, environment.names, measure.FIELD_MANAGER, environment.now),
        environment.now,
        namespace=settings.lease_namespace or settings.namespace,
        metrics=environment.metrics,
    )


def _reconciler(
    environment: Environment, bell: _Bell, beside: Beside, checkpoint: Checkpoint
) -> reconcile.Reconciler:
    kube, names = environment.kube, environment.names
    writer = Writer(kube, origin=reconcile.ORIGIN, field_manager=reconcile.FIELD_MANAGER)
    routes = Routes(
        kube,
        routing.registry(),
        bell.stores.services,
        names,
        environment.now,
        field_manager=reconcile.FIELD_MANAGER,
    )
    applier = Applier(
        stores=bell.stores,
        writer=writer,
        recorder=Recorder(kube, resources.rollout(names.group), environment.metrics),
        names=names,
        instance_id=environment.settings.instance_id,
        workloads=beside.workloads,
        configs=beside.configs,
        now=environment.now,
        routes=routes,
        checkpoint=checkpoint,
    )
    return reconcile.Reconciler(
        stores=bell.stores,
        templates_named=bell.templates_named,
        managed_services=bell.managed_services,
        workloads=beside.workloads,
        configs=beside.configs,
        writer=writer,
        applier=applier,
        caller=beside.caller,
        routes=routes,
        admissions=beside.admissions,
        names=names,
        now=environment.now,
    )


@dataclass(frozen=True, slots=True)
class _Bell:
    """Listens on the stores and rings the keys that a change concerns."""

    stores: Stores
    rollouts: Queue
    runs: Queue
    templates_named: Links[Key, Key]
    managed_services: Links[Key, Key]

    def listen(self) -> None:
        self.stores.rollouts.listen(self._rollout)
        self.stores.replica_sets.listen(self._replica_set)
        self.stores.services.listen(self._service)
        self.stores.runs.listen(self._run)
        self.stores.experiments.listen(self._experiment)
        self.stores.templates.listen(self._template)
        self.stores.cluster_templates.listen(self._template)

    def _rollout(self, change: Change[KnownRollout | Malformed]) -> None:
        known = change.new.value if change.new else None
        spec = known.rollout.spec if isinstance(known, KnownRollout) else None
        services = observe.service_names(spec) if spec else ()
        keys = (Key(change.key.namespace, name) for name in services)
        for service in self.stores.services_named.set(change.key, keys):
            # A rival came or went.
            for rival in self.stores.services_named.sources(service) - {change.key}:
                self.rollouts.add(rival)
        if change.origin != reconcile.ORIGIN:
            self.rollouts.add(change.key)

    def _replica_set(self, change: Change[snapshot.ReplicaSet]) -> None:
        if change.origin != reconcile.ORIGIN:
            self._ring_owners(change)

    def _service(self, change: Change[snapshot.Service]) -> None:
        manager = change.new.value.managed_by if change.new else ""
        managers = (Key(change.key.namespace, manager),) if manager else ()
        changed = self.managed_services.set(change.key, managers)
        if change.origin != reconcile.ORIGIN:
            for key in self.stores.services_named.sources(change.key) | changed:
                self.rollouts.add(key)

    def _run(self, change: Change[KnownRun]) -> None:
        if change.origin != measure.ORIGIN:
            self.runs.add(change.key)
        if change.origin != reconcile.ORIGIN and runs.verdict(change.old) != runs.verdict(change.new):
            self._ring_owners(change)

    def _experiment(self, change: Change[KnownExperiment]) -> None:
        """A Rollout looks at verdicts; how the pods of an Experiment come up does not ring it."""
        before, after = (record and (record.uid, record.value.view) for record in (change.old, change.new))
        if change.origin != reconcile.ORIGIN and before != after:
            self._ring_owners(change)

    def _template(self, change: Change[AnalysisTemplateSpec | SpecError]) -> None:
        for key in self.templates_named.sources(change.key):
            self.rollouts.add(key)

    def _ring_owners(
        self, change: Change[snapshot.ReplicaSet] | Change[KnownRun] | Change[KnownExperiment]
    ) -> None:
        """An owner of another kind may have the same name; one that is not known yet rings itself when it comes."""
        for record in (change.old, change.new):
            key = Key(change.key.namespace, record.owner_name) if record and record.owner_uid else None
            owner = self.stores.rollouts.get(key) if key else None
            if key and record and owner and owner.uid == record.owner_uid:
                self.rollouts.add(key)


async def _close(measurer: Measurer, beside: Beside) -> None:
    await beside.close()
    await measurer.close()
