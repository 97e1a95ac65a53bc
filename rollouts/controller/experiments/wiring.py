"""Experiments in the process: who rings whom, and their controller.

Decides which change concerns which Experiment. Their stores are shared with Rollouts, but for their own.
"""

from __future__ import annotations

from dataclasses import dataclass

from rollouts.api.analysis import AnalysisTemplateSpec
from rollouts.controller import gauges, runs
from rollouts.controller.cache import Change, Key
from rollouts.controller.events import Recorder
from rollouts.controller.experiments import reconcile
from rollouts.controller.experiments.apply import Applier
from rollouts.controller.experiments.records import KnownExperiment
from rollouts.controller.links import Links
from rollouts.controller.loop import Controller
from rollouts.controller.observe import Stores
from rollouts.controller.parts import Environment, Part
from rollouts.controller.queue import Queue
from rollouts.controller.runs import KnownRun
from rollouts.controller.writes import Checkpoint, Writer, no_checkpoint
from rollouts.delivery import snapshot
from rollouts.errors import SpecError
from rollouts.kube import resources

__all__ = ["part"]


def part(environment: Environment, stores: Stores, checkpoint: Checkpoint = no_checkpoint) -> Part:
    bell = _Bell(stores, Queue(now=environment.now), Links())
    bell.listen()
    environment.metrics.gather(lambda: gauges.experiments(stores.experiments))
    kube, names = environment.kube, environment.names
    applier = Applier(
        stores=stores,
        writer=Writer(kube, origin=reconcile.ORIGIN, field_manager=reconcile.FIELD_MANAGER),
        recorder=Recorder(kube, resources.experiment(names.group), environment.metrics),
        names=names,
        instance_id=environment.settings.instance_id,
        now=environment.now,
        checkpoint=checkpoint,
    )
    reconciler = reconcile.Reconciler(stores, bell.templates_named, applier, names, environment.now)
    return Part(
        stores=(stores.experiments,),
        controllers=(
            Controller(
                reconcile.ORIGIN,
                bell.experiments,
                reconciler.reconcile,
                environment.settings.workers,
                stores.experiments,
            ),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Bell:
    """Listens on the stores and rings the Experiments that a change concerns."""

    stores: Stores
    experiments: Queue
    templates_named: Links[Key, Key]

    def listen(self) -> None:
        self.stores.experiments.listen(self._experiment)
        self.stores.replica_sets.listen(self._replica_set)
        self.stores.services.listen(self._service)
        self.stores.runs.listen(self._run)
        self.stores.templates.listen(self._template)
        self.stores.cluster_templates.listen(self._template)

    def _experiment(self, change: Change[KnownExperiment]) -> None:
        if change.origin != reconcile.ORIGIN:
            self.experiments.add(change.key)

    def _replica_set(self, change: Change[snapshot.ReplicaSet]) -> None:
        self._ring_owners(change)

    def _service(self, change: Change[snapshot.Service]) -> None:
        self._ring_owners(change)

    def _run(self, change: Change[KnownRun]) -> None:
        if runs.verdict(change.old) != runs.verdict(change.new):
            self._ring_owners(change)

    def _template(self, change: Change[AnalysisTemplateSpec | SpecError]) -> None:
        for key in self.templates_named.sources(change.key):
            self.experiments.add(key)

    def _ring_owners(
        self, change: Change[snapshot.ReplicaSet] | Change[snapshot.Service] | Change[KnownRun]
    ) -> None:
        """An owner that is not known yet rings itself when it comes."""
        if change.origin == reconcile.ORIGIN:
            return
        for record in (change.old, change.new):
            key = Key(change.key.namespace, record.owner_name) if record and record.owner_uid else None
            owner = self.stores.experiments.get(key) if key else None
            if key and record and owner and owner.uid == record.owner_uid:
                self.experiments.add(key)
