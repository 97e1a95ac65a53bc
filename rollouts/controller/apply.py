"""A Plan -> writes, in the plan's order: actions, events, status last.

Decides nothing but what an answer means: what exists already as wanted is success, what exists as somebody
else's is a name collision. A crash after any write leaves a state from which the next decision ends in the
same place; `checkpoint` is called at each of these places.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, assert_never

from rollouts.api import injected, podtemplate
from rollouts.api.experiment_step import SpecRef
from rollouts.api.meta import Names, ObjectMeta
from rollouts.api.rollout import Rollout
from rollouts.api.rollout_status import RolloutStatus
from rollouts.controller import bodies
from rollouts.controller.cache import Key, Store
from rollouts.controller.configs import Configs
from rollouts.controller.events import Recorder
from rollouts.controller.experiments import bodies as experiment_bodies
from rollouts.controller.observe import Stores
from rollouts.controller.records import KnownRollout, Malformed
from rollouts.controller.routes import Routes
from rollouts.controller.workloads import Workloads
from rollouts.controller.writes import Checkpoint, NameTaken, Writer, no_checkpoint
from rollouts.delivery.actions import (
    Action,
    CopyConfig,
    CreateAnalysisRun,
    CreateExperiment,
    CreateReplicaSet,
    DeleteAnalysisRun,
    DeleteConfigCopy,
    DeleteExperiment,
    DeleteReplicaSet,
    Event,
    EvictPod,
    PatchPod,
    PatchReplicaSet,
    Plan,
    ScaleWorkload,
    SetWeights,
    SwitchService,
    TerminateAnalysisRun,
    TerminateExperiment,
    Write,
)
from rollouts.errors import Conflict, NotFound, Rejected, Transient
from rollouts.kube import resources

__all__ = ["Applier", "Collision", "PodsRefused"]

log = logging.getLogger(__name__)


class Collision(Exception):
    """The name of the new ReplicaSet belongs to a set that is not ours, or of another template."""


class PodsRefused(Rejected):
    """The new ReplicaSet is refused: only the template can be at fault, the rest of the body is ours."""


@dataclass(frozen=True, slots=True)
class Applier:
    """Carries out plans of Rollouts."""

    stores: Stores
    writer: Writer
    recorder: Recorder
    names: Names
    instance_id: str
    workloads: Workloads
    configs: Configs
    now: Callable[[], datetime]
    routes: Routes
    checkpoint: Checkpoint = no_checkpoint

    async def apply(self, known: KnownRollout | Malformed, plan: Plan) -> bool:
        """Carry out a plan; whether anything was written. Raises `Collision` for a new ReplicaSet's name."""
        metadata = known.metadata
        self.checkpoint("plan")
        if plan.annotations:
            metadata = await self._annotate(metadata, plan.annotations)
            self.checkpoint("Annotations")
        await self._carry_out(known, plan)
        await self._tell(metadata, plan.events)
        # Status last: a crash before it repeats the decision, never the step.
        wrote = await self._write_status(metadata, known.status, plan.status)
        self.recorder.settle(metadata.key)
        steered = [await self._steer(known, a) for a in plan.actions if isinstance(a, SetWeights)]
        # An eviction may have been refused: it comes back at the plan's time, not at once.
        acted = any(not isinstance(a, EvictPod | SetWeights) for a in plan.actions)
        return wrote or acted or bool(plan.annotations) or any(steered)

    async def _steer(self, known: KnownRollout | Malformed, action: SetWeights) -> bool:
        """After the status: a router may be slow, and what it does is read back before anything follows."""
        assert isinstance(known, KnownRollout), "nothing is done for a spec that does not parse"
        news = await self.routes.set(known.rollout, action)
        self.checkpoint(type(action).__name__)
        return news

    async def _carry_out(self, known: KnownRollout | Malformed, plan: Plan) -> None:
        done: set[str] = set()
        try:
            for action in plan.actions:
                if isinstance(action, SetWeights):
                    continue
                assert isinstance(known, KnownRollout), "nothing is done for a spec that does not parse"
                await self._act(known, action)
                done.add(action.name)
                self.checkpoint(_written(action))
        except (Conflict, NotFound, Rejected, Transient):
            # What is done is not decided again: it is told now or never.
            await self._tell(known.metadata, [event for event in plan.events if event.about in done])
            raise

    async def _tell(self, metadata: ObjectMeta, events: Iterable[Event]) -> None:
        for event in events:
            await self.recorder.post(metadata, event, self.now())
            self.checkpoint(f"Event {event.reason}")

    async def _write_status(self, metadata: ObjectMeta, old: RolloutStatus, new: RolloutStatus) -> bool:
        wrote = await self.writer.patch_status(self.stores.rollouts, metadata, old, new)
        if wrote:
            self.checkpoint(f"Status {new.phase} {new.step}".rstrip())
        return wrote

    async def _annotate(self, metadata: ObjectMeta, changed: Mapping[str, str | None]) -> ObjectMeta:
        """The metadata that the status is written for; if somebody was faster it is a `Conflict`."""
        key = Key(metadata.namespace, metadata.name)
        patch = bodies.rollout_patch(changed, metadata)
        answer = await self.writer.patch(self.stores.rollouts, key, patch)
        return replace(metadata, resource_version=answer["metadata"]["resourceVersion"])

    async def _patch_pod(self, metadata: ObjectMeta, action: PatchPod) -> None:
        pod = resources.POD.ref(action.name, metadata.namespace)
        try:
            await self.writer.write(pod, bodies.pod_patch(action))
        except (NotFound, Conflict):
            log.debug("%s is gone already", pod)

    async def _scale(self, metadata: ObjectMeta, action: ScaleWorkload) -> None:
        ref = resources.DEPLOYMENT.ref(action.name, metadata.namespace)
        try:
            await self.writer.write(ref, bodies.scale_patch(action), subresource="scale")
        finally:
            await self.workloads.look_again(ref)

    async def _act(  # noqa: C901, PLR0911, PLR0912 - one arm an action
        self, known: KnownRollout, action: Write
    ) -> None:
        stores, metadata = self.stores, known.rollout.metadata
        match action:
            case CreateReplicaSet():
                return await self._create_replica_set(known, action)
            case PatchReplicaSet():
                key = Key(metadata.namespace, action.name)
                await self.writer.patch(
                    stores.replica_sets, key, bodies.replica_set_patch(action, known.rollout)
                )
                return None
            case CopyConfig():
                return await self.configs.copy(self.writer, known.rollout, action)
            case DeleteConfigCopy():
                return await self.configs.delete(self.writer, metadata, action)
            case DeleteReplicaSet():
                return await self._delete(stores.replica_sets, metadata, action)
            case SwitchService():
                key = Key(metadata.namespace, action.name)
                patch = bodies.service_patch(action, metadata.name, self.names)
                await self.writer.patch(stores.services, key, patch)
                return None
            case CreateAnalysisRun():
                body = bodies.analysis_run(action, known.rollout, self.names, self.instance_id)
                await self.writer.create_once(stores.runs, body)
                return None
            case TerminateAnalysisRun():
                key = Key(metadata.namespace, action.name)
                await self.writer.patch(stores.runs, key, bodies.termination(action))
                return None
            case DeleteAnalysisRun():
                return await self._delete(stores.runs, metadata, action)
            case PatchPod():
                return await self._patch_pod(metadata, action)
            case CreateExperiment():
                return await self._create_experiment(known.rollout, action)
            case TerminateExperiment():
                key = Key(metadata.namespace, action.name)
                await self.writer.patch(stores.experiments, key, bodies.termination(action))
                return None
            case DeleteExperiment():
                return await self._delete(stores.experiments, metadata, action)
            case ScaleWorkload():
                return await self._scale(metadata, action)
            case EvictPod():
                return await self._evict(metadata, action)
        assert_never(action)

    async def _create_replica_set(self, known: KnownRollout, action: CreateReplicaSet) -> None:
        rollout, store = known.rollout, self.stores.replica_sets
        try:
            found = await self.writer.create_once(store, bodies.replica_set(action, rollout, self.names))
        except NameTaken as e:
            raise Collision from e
        except Rejected as e:
            raise PodsRefused(str(e)) from e
        if found and not _is_of_template(found, rollout, self.names):
            raise Collision

    async def _create_experiment(self, rollout: Rollout, action: CreateExperiment) -> None:
        """From the pods as the API server has them: stable's template is nowhere else."""
        sets, namespace = self.stores.replica_sets, rollout.metadata.namespace
        sources = {
            SpecRef.CANARY: await self.writer.kube.get(sets.ref(Key(namespace, action.canary_set))),
            SpecRef.STABLE: await self.writer.kube.get(sets.ref(Key(namespace, action.stable_set))),
        }
        body = experiment_bodies.experiment(action, rollout, sources, self.names, self.instance_id)
        await self.writer.create_once(self.stores.experiments, body)

    async def _delete(
        self,
        store: Store[Any],
        metadata: ObjectMeta,
        action: DeleteReplicaSet | DeleteAnalysisRun | DeleteExperiment,
    ) -> None:
        record = store.get(Key(metadata.namespace, action.name))
        if record and record.uid == action.uid:
            version = action.resource_version if isinstance(action, DeleteReplicaSet) else ""
            await self.writer.delete(store, record, resource_version=version)

    async def _evict(self, metadata: ObjectMeta, action: EvictPod) -> None:
        pod = resources.POD.ref(action.name, metadata.namespace)
        try:
            await self.writer.kube.evict(pod, uid=action.uid)
        except (NotFound, Conflict):
            log.debug("%s is gone already", pod)
        except Transient as e:
            # A PodDisruptionBudget forbids it for now; the rest of the plan must not wait for it.
            log.info("%s not evicted yet: %s", pod, e, extra={"fields": {"rollout": metadata.key}})


def _is_of_template(found: Mapping[str, Any], rollout: Rollout, names: Names) -> bool:
    """Beside what the set was given for its role, which may have taken the place of a label of the template."""
    annotations = found["metadata"].get("annotations") or {}
    role = injected.read(annotations.get(names.ephemeral_metadata_annotation))
    templates = (found["spec"]["template"], rollout.spec.template)
    theirs, ours = (podtemplate.digest(injected.without_metadata(t, role)) for t in templates)
    return theirs == ours


def _written(action: Action) -> str:
    """What a checkpoint calls it: the same write has the same name whenever it is done."""
    name = (
        type(action).__name__ if isinstance(action, SetWeights) else f"{type(action).__name__} {action.name}"
    )
    sized = action.replicas if isinstance(action, PatchReplicaSet) else None
    return name if sized is None else f"{name} {sized}"
