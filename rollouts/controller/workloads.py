"""The objects that Rollouts take their pod template from: kept while a Rollout refers to them, and no longer.

Decides what is watched. A kind is watched only while some Rollout refers to one of its objects; what others
do to other objects of the kind is not kept, and never listed. An object is read once, when it is first
referred to and when a watch had to begin anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rollouts.api.rollout import ObjectRef
from rollouts.controller.cache import Change, Key, Record, Store
from rollouts.controller.links import Links
from rollouts.delivery import workload
from rollouts.delivery.snapshot import Workload
from rollouts.errors import Conflict, NotFound, RolloutsError
from rollouts.kube import Kube, Ref, Resource, resources

__all__ = ["Workloads"]

log = logging.getLogger(__name__)

_RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0)
_RESOURCES = {r.kind: r for r in (resources.DEPLOYMENT, resources.REPLICA_SET, resources.POD_TEMPLATE)}


@dataclass(frozen=True, slots=True)
class _Watched:
    """A kind under watch."""

    store: Store[Workload]
    task: asyncio.Task[None]


class Workloads:
    """Templates by reference. `ring` is told the Rollouts that a change concerns."""

    def __init__(self, kube: Kube, namespace: str, ring: Callable[[Key], None]) -> None:
        self._kube = kube
        self._namespace = namespace
        self._ring = ring
        self._users: Links[Key, Ref] = Links()
        self._watched: dict[Resource, _Watched] = {}

    def follow(self, rollout: Key, ref: ObjectRef | None) -> None:
        """From now on this Rollout refers to this object (None: to none), and to no other."""
        target = _target(rollout.namespace, ref) if ref else None
        for changed in self._users.set(rollout, (target,) if target else ()):
            if not self._users.sources(changed):
                self._drop(changed)
        if target and target.resource not in self._watched:
            self._watch(target.resource)

    async def find(self, namespace: str, ref: ObjectRef) -> Workload | None:
        """The object, if there is one. It has to be followed."""
        target = _target(namespace, ref)
        if target is None:
            return None
        store = self._watched[target.resource].store
        if store.get(_key(target)) is None:
            await self.look_again(target)
        record = store.get(_key(target))
        return record.value if record else None

    async def look_again(self, target: Ref) -> None:
        """Read an object that may be another than we know."""
        watched = self._watched.get(target.resource)
        if watched is None:
            return
        known = watched.store.get(_key(target))
        try:
            watched.store.put(await self._kube.get(target))
        except NotFound:
            if known:
                watched.store.drop(_key(target), known.version)

    async def close(self) -> None:
        tasks = [watched.task for watched in self._watched.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _watch(self, resource: Resource) -> None:
        store: Store[Workload] = Store(resource, _trim)
        store.listen(lambda change: self._changed(resource, change))
        task = asyncio.create_task(self._keep(resource, store), name=f"watch of {resource.plural}")
        self._watched[resource] = _Watched(store, task)

    def _drop(self, target: Ref) -> None:
        watched = self._watched[target.resource]
        watched.store.forget(_key(target))
        if not any(user.resource == target.resource for user in self._users):
            watched.task.cancel()
            del self._watched[target.resource]

    def _changed(self, resource: Resource, change: Change[Workload]) -> None:
        """The status of a Deployment changes often, and says nothing to us."""
        old, new = (record.value if record else None for record in (change.old, change.new))
        if old and new and (old.uid, old.generation) == (new.uid, new.generation):
            return
        for rollout in self._users.sources(resource.ref(change.key.name, change.key.namespace)):
            self._ring(rollout)

    async def _keep(self, resource: Resource, store: Store[Workload]) -> None:
        failures = 0
        while True:
            try:
                version = await self._begin(resource)
                failures = 0
                while True:
                    version = await self._follow(resource, store, version)
            except Conflict:
                log.info("the watch of %s is too old to go on: beginning anew", resource.plural)
            except RolloutsError as e:
                log.warning("watch of %s broke: %s", resource.plural, e)
            await asyncio.sleep(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])
            failures += 1

    async def _begin(self, resource: Resource) -> str:
        """The version to watch from; what is referred to is read once more after it."""
        page = await anext(self._kube.pages(resource, self._namespace, page_size=1))
        for target in tuple(self._users):
            if target.resource == resource:
                await self.look_again(target)
        return page.resource_version

    async def _follow(self, resource: Resource, store: Store[Workload], version: str) -> str:
        async for type_, body in self._kube.watch(resource, self._namespace, resource_version=version):
            metadata = body["metadata"]
            version = metadata["resourceVersion"]
            if type_ == "BOOKMARK":
                continue
            target = resource.ref(metadata["name"], metadata["namespace"])
            if type_ == "DELETED":
                store.drop(_key(target), int(version))
            elif self._users.sources(target):
                store.put(body)
        return version


def _target(namespace: str, ref: ObjectRef) -> Ref | None:
    return _RESOURCES[ref.kind].ref(ref.name, namespace) if ref.kind in workload.KINDS else None


def _key(target: Ref) -> Key:
    return Key(target.namespace, target.name)


def _trim(body: Mapping[str, Any], old: Record[Workload] | None) -> Workload:
    del old
    return workload.of(body)
