"""A Plan of an Experiment -> writes, in the plan's order: actions, events, status last.

Decides nothing but what an answer means: what exists already as ours is success, what exists as somebody else's
is told to the caller. A crash after any write leaves a state from which the next decision ends in the same place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from rollouts.api.experiment import Experiment, ExperimentStatus
from rollouts.api.meta import Names, ObjectMeta
from rollouts.controller.bodies import analysis_run, replica_set_patch, termination
from rollouts.controller.cache import Key
from rollouts.controller.events import Recorder
from rollouts.controller.experiments import bodies
from rollouts.controller.experiments.records import KnownExperiment
from rollouts.controller.observe import Stores
from rollouts.controller.writes import Checkpoint, NameTaken, Writer, no_checkpoint
from rollouts.delivery.actions import CreateAnalysisRun, PatchReplicaSet, TerminateAnalysisRun
from rollouts.delivery.experiments.actions import (
    Action,
    CreateService,
    CreateTemplateSet,
    DeleteService,
    Plan,
)
from rollouts.errors import Rejected

__all__ = ["Applier", "Collision", "TemplateRefused"]


class Collision(Exception):
    """The name of a template's new ReplicaSet belongs to somebody else's."""

    def __init__(self, template: str) -> None:
        super().__init__(template)
        self.template = template


class TemplateRefused(Exception):
    """The API server does not take a template's ReplicaSet or Service."""

    def __init__(self, template: str, message: str) -> None:
        super().__init__(message)
        self.template = template


@dataclass(frozen=True, slots=True)
class Applier:
    """Carries out plans of Experiments."""

    stores: Stores
    writer: Writer
    recorder: Recorder
    names: Names
    instance_id: str
    now: Callable[[], datetime]
    checkpoint: Checkpoint = no_checkpoint

    async def apply(self, known: KnownExperiment, plan: Plan) -> bool:
        """Carry out a plan; whether anything was written. Raises `Collision` and `TemplateRefused`."""
        self.checkpoint("plan")
        for action in plan.actions:
            assert known.experiment is not None, "nothing is done for a spec that does not parse"
            await self._act(known.experiment, action)
            self.checkpoint(type(action).__name__)
        for event in plan.events:
            await self.recorder.post(known.metadata, event, self.now())
            self.checkpoint("Event")
        # Status last: a crash before it repeats the decision, never what was decided.
        wrote = await self._write_status(known.metadata, known.status, plan.status)
        self.recorder.settle(known.metadata.key)
        return wrote or bool(plan.actions)

    async def _write_status(self, metadata: ObjectMeta, old: ExperimentStatus, new: ExperimentStatus) -> bool:
        wrote = await self.writer.patch_status(self.stores.experiments, metadata, old, new)
        if wrote:
            self.checkpoint("Status")
        return wrote

    async def _act(self, experiment: Experiment, action: Action) -> None:
        stores, namespace = self.stores, experiment.metadata.namespace
        match action:
            case CreateTemplateSet():
                await self._create_replica_set(experiment, action)
            case PatchReplicaSet():
                key = Key(namespace, action.name)
                await self.writer.patch(stores.replica_sets, key, replica_set_patch(action))
            case CreateService():
                await self._create_service(experiment, action)
            case DeleteService():
                record = stores.services.get(Key(namespace, action.name))
                if record and record.uid == action.uid:
                    await self.writer.delete(stores.services, record)
            case CreateAnalysisRun():
                body = analysis_run(action, experiment, self.names, self.instance_id)
                await self.writer.create_once(stores.runs, body)
            case TerminateAnalysisRun():
                key = Key(namespace, action.name)
                await self.writer.patch(stores.runs, key, termination(action))
            case _:
                assert_never(action)

    async def _create_replica_set(self, experiment: Experiment, action: CreateTemplateSet) -> None:
        try:
            body = bodies.replica_set(action, experiment, self.names)
            await self.writer.create_once(self.stores.replica_sets, body)
        except NameTaken as e:
            raise Collision(action.template) from e
        except Rejected as e:
            message = f"ReplicaSet {action.name} for template '{action.template}' cannot be created: {e}"
            raise TemplateRefused(action.template, message) from e

    async def _create_service(self, experiment: Experiment, action: CreateService) -> None:
        what = f"Service {action.name} for template '{action.template}'"
        try:
            await self.writer.create_once(
                self.stores.services, bodies.service(action, experiment, self.names)
            )
        except NameTaken as e:
            message = f"{what} exists and belongs to somebody else; name another in templates[].service"
            raise TemplateRefused(action.template, message) from e
        except Rejected as e:
            raise TemplateRefused(action.template, f"{what} cannot be created: {e}") from e
