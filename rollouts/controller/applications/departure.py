"""An Application that is being deleted: its objects go first, where that was asked for.

Decides from the finalizers alone, so that an Application whose spec cannot be read can go as well. Called by the
reconciler.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from rollouts.api.application import FINALIZER, DeletionPolicy
from rollouts.api.application_status import ApplicationReason
from rollouts.api.meta import ObjectMeta
from rollouts.controller.applications.apply import Applier
from rollouts.controller.applications.live import LiveObjects
from rollouts.controller.applications.places import Places
from rollouts.controller.applications.records import KnownApplication
from rollouts.controller.cache import Key, Store
from rollouts.controller.events import Recorder
from rollouts.controller.writes import Writer
from rollouts.errors import Rejected
from rollouts.gitops import events
from rollouts.gitops.actions import Event, EventType
from rollouts.gitops.resources import inventory

__all__ = ["Departure"]

_ARGO_CD = "resources-finalizer.argocd.argoproj.io"


@dataclass(frozen=True, slots=True)
class Departure:
    store: Store[KnownApplication]
    places: Places
    live: LiveObjects
    applier: Applier
    writer: Writer
    recorder: Recorder
    now: Callable[[], datetime]

    async def prepare(self, key: Key, known: KnownApplication) -> bool:
        """Keep our finalizer on those whose objects go with them, and on no other; whether that took a write."""
        wanted = known.application.spec.deletion_policy is DeletionPolicy.DELETE
        if wanted is (FINALIZER in known.metadata.finalizers):
            return False
        others = [f for f in known.metadata.finalizers if f != FINALIZER]
        await self._keep(key, known.metadata, [*others, FINALIZER] if wanted else others)
        return True

    async def go(self, key: Key, known: KnownApplication) -> None:
        """One step of the way; what is deleted rings again. A suspended Application leaves everything."""
        finalizers = known.metadata.finalizers
        if not any(map(_is_ours, finalizers)):
            self.live.need(key, ())
            return
        if not (known.spec and known.spec.suspend) and not await self._is_alone(key, known):
            return
        await self._keep(key, known.metadata, [f for f in finalizers if not _is_ours(f)])
        self.live.need(key, ())

    async def _is_alone(self, key: Key, known: KnownApplication) -> bool:
        """Delete what is ours; True once all of it is gone."""
        placed = await self.places.of_inventory(inventory.parse(known.status.inventory))
        self.live.need(key, placed.watched)
        if self.live.waits_for(placed.watched):
            return False
        if problem := self.live.problem(placed.watched):
            raise Rejected(problem)
        owned = self.live.of_owner((key.namespace, key.name)).values()
        left = [found for found in owned if not inventory.is_protected(found)]
        doomed = inventory.in_pruning_order(found for found in left if not found.deleting)
        gone, complaint = await self.applier.prune(doomed, lambda found: placed.resource(found.key))
        if gone:
            await self.recorder.post(known.metadata, events.pruned_event(gone), self.now())
        if complaint:
            told = Event(ApplicationReason.RECONCILIATION_FAILED, complaint, EventType.WARNING)
            await self.recorder.post(known.metadata, told, self.now())
            raise Rejected(complaint)
        return not left

    async def _keep(self, key: Key, metadata: ObjectMeta, finalizers: list[str]) -> None:
        precondition = {"uid": metadata.uid, "resourceVersion": metadata.resource_version}
        await self.writer.patch(self.store, key, {"metadata": {**precondition, "finalizers": finalizers}})


def _is_ours(finalizer: str) -> bool:
    return finalizer == FINALIZER or finalizer.startswith(_ARGO_CD)
