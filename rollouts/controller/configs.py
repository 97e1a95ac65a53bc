"""The ConfigMaps and Secrets that pods of Rollouts read: what their content hashes to, and the copies of them.

Decides when an object is read again. Watches are per kind and namespace, run only while a Rollout there copies its
config, and carry metadata alone. Content is read to be hashed or copied, and let go at once; it is never logged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rollouts.api.meta import Names, ObjectMeta
from rollouts.api.rollout import Rollout
from rollouts.api.rollout_status import ConfigCopy
from rollouts.controller import bodies
from rollouts.controller.cache import Key, controlling_owner
from rollouts.controller.links import Links
from rollouts.controller.writes import Writer
from rollouts.delivery import configs
from rollouts.delivery.actions import CopyConfig, DeleteConfigCopy
from rollouts.delivery.snapshot import Config, ExistingCopy
from rollouts.errors import Conflict, LostLease, NotFound, Rejected, RolloutsError
from rollouts.kube import Kube, Ref, Resource, resources

__all__ = ["Configs"]

log = logging.getLogger(__name__)

_RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0)
_RESOURCES = {r.kind: r for r in (resources.CONFIG_MAP, resources.SECRET)}
_ABSENT = ""


@dataclass(frozen=True, slots=True)
class _Source:
    """A ConfigMap or Secret as last read, and what pods of a Rollout read in place of it (empty: itself)."""

    version: int
    copy: str = ""


@dataclass(frozen=True, slots=True)
class _Copy:
    uid: str
    owner: str


class Configs:
    """What the pods of Rollouts read. `ring` is told the Rollouts that a change concerns."""

    def __init__(self, kube: Kube, names: Names, ring: Callable[[Key], None]) -> None:
        self._kube = kube
        self._names = names
        self._ring = ring
        self._users: Links[Key, Ref] = Links()
        self._places: Links[Key, tuple[Resource, str]] = Links()
        self._watches: dict[tuple[Resource, str], asyncio.Task[None]] = {}
        self._sources: dict[Ref, dict[str, _Source]] = {}
        self._newest: dict[Ref, int] = {}
        self._copies: dict[Ref, _Copy] = {}
        self._listed: set[tuple[Resource, str]] = set()

    def follow(self, rollout: Key, wanted: Iterable[Config] | None) -> None:
        """From now on this Rollout reads these and no others; None: it copies nothing and has no copies."""
        targets = [_target(rollout.namespace, config) for config in wanted or ()]
        for changed in self._users.set(rollout, targets):
            self._sources.get(changed, {}).pop(rollout.name, None)
            if not self._users.sources(changed):
                self._sources.pop(changed, None)
                self._newest.pop(changed, None)
        places = () if wanted is None else tuple((r, rollout.namespace) for r in _RESOURCES.values())
        for place in self._places.set(rollout, places):
            if not self._places.sources(place):
                self._watches.pop(place).cancel()
                self._listed.discard(place)
                for ref in [ref for ref in self._copies if (ref.resource, ref.namespace) == place]:
                    del self._copies[ref]
            elif place not in self._watches:
                self._watches[place] = asyncio.create_task(
                    self._keep(*place), name=f"watch of {place[0].plural}"
                )

    async def wanted(self, rollout: Key, remembered: Iterable[ConfigCopy]) -> tuple[ConfigCopy, ...]:
        """The copies of what it reads. What cannot be read, or is gone, has not changed: the last copy stays."""
        before = configs.known(remembered)
        found: list[ConfigCopy] = []
        for target in sorted(self._users.targets(rollout), key=str):
            kind = target.resource.kind
            last = before.get(Config(kind, target.name), _ABSENT)
            name = await self._name(rollout.name, target, last)
            if name != _ABSENT:
                found.append(ConfigCopy(kind, target.name, name))
        return tuple(found)

    def existing(self, namespace: str, owner: str) -> tuple[ExistingCopy, ...]:
        found = (
            (ref, copy)
            for ref, copy in self._copies.items()
            if copy.owner == owner and ref.namespace == namespace
        )
        return tuple(
            ExistingCopy(ref.resource.kind, ref.name, copy.uid)
            for ref, copy in sorted(found, key=lambda each: str(each[0]))
        )

    async def copy(self, writer: Writer, rollout: Rollout, action: CopyConfig) -> None:
        """Make a copy. `Conflict` when the content has changed since it was decided on."""
        about, resource = rollout.metadata, _RESOURCES[action.kind]
        source = await self._kube.get(resource.ref(action.source, about.namespace))
        if (
            configs.copy_name(action.source, configs.content_hash(about.name, source, self._names))
            != action.name
        ):
            self._sources.pop(resource.ref(action.source, about.namespace), None)
            raise Conflict(f"{action.kind} {about.namespace}/{action.source} has just changed")
        if await self._finds(resource, about, action):
            return
        body = bodies.config_copy(action, source, rollout, self._names)
        try:
            made = await writer.kube.create(resource, body, field_manager=writer.field_manager)
        except Conflict:
            made = await self._kube.get(resource.ref(action.name, about.namespace))
            if _owner(made["metadata"]) != about.uid:
                raise Rejected(
                    f"{action.kind} {about.namespace}/{action.name} exists and belongs to somebody else; delete it"
                ) from None
        self._saw(resource, made["metadata"])

    async def _finds(self, resource: Resource, about: ObjectMeta, action: CopyConfig) -> bool:
        """Whether a process before this one has made the copy.

        Those that there are may not have been listed yet, or only after it was decided to make one.
        """
        known = self._copies.get(resource.ref(action.name, about.namespace))
        if (resource, about.namespace) in self._listed:
            return known is not None and known.owner == about.uid
        try:
            made = await self._kube.get(resource.ref(action.name, about.namespace))
        except NotFound:
            return False
        if _owner(made["metadata"]) != about.uid:
            return False
        self._saw(resource, made["metadata"])
        return True

    async def delete(self, writer: Writer, about: ObjectMeta, action: DeleteConfigCopy) -> None:
        ref = _RESOURCES[action.kind].ref(action.name, about.namespace)
        try:
            await writer.kube.delete(ref, uid=action.uid)
        except (NotFound, Conflict):
            log.debug("%s is gone already", ref)
        self._copies.pop(ref, None)

    async def close(self) -> None:
        tasks = tuple(self._watches.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _name(self, rollout: str, target: Ref, last: str) -> str:
        """What pods read in place of it; empty: itself."""
        try:
            source = await self._source(rollout, target)
        except LostLease:
            raise
        except NotFound:
            return last
        except RolloutsError as e:
            if not last:
                raise
            log.warning("%s cannot be read, so it has not changed: %s", target, e)
            return last
        return source.copy

    async def _source(self, rollout: str, target: Ref) -> _Source:
        known = self._sources.get(target, {}).get(rollout)
        if known is None:
            known = self._read(rollout, await self._kube.get(target))
            if known.version >= self._newest.get(target, 0):  # else somebody was faster, and has rung us
                self._sources.setdefault(target, {})[rollout] = known
        return known

    def _read(self, rollout: str, body: Mapping[str, Any]) -> _Source:
        metadata = body["metadata"]
        version, labels = int(metadata["resourceVersion"]), metadata.get("labels") or {}
        if not configs.is_copied(body, self._names):
            # a template that somebody took from a ReplicaSet names copies: they stay in use
            return _Source(version, metadata["name"] if self._names.config_copy_label in labels else "")
        content = configs.content_hash(rollout, body, self._names)
        return _Source(version, configs.copy_name(metadata["name"], content))

    async def _keep(self, resource: Resource, namespace: str) -> None:
        failures = 0
        while True:
            try:
                version = await self._begin(resource, namespace)
                failures = 0
                while True:
                    version = await self._follow(resource, namespace, version)
            except Conflict:
                log.info("the watch of %s is too old to go on: beginning anew", resource.plural)
            except RolloutsError as e:
                log.warning("watch of %s in %s broke: %s", resource.plural, namespace, e)
            await asyncio.sleep(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])
            failures += 1

    async def _begin(self, resource: Resource, namespace: str) -> str:
        """The copies that there are, and the version to watch from; what is referred to is read once more."""
        found: set[Ref] = set()
        version = ""
        async for page in self._kube.pages(
            resource, namespace, label_selector=self._names.config_copy_label, metadata_only=True
        ):
            for body in page.items:
                self._saw(resource, body["metadata"])
                found.add(resource.ref(body["metadata"]["name"], namespace))
            version = page.resource_version
        for ref in [r for r in self._copies if (r.resource, r.namespace) == (resource, namespace)]:
            if ref not in found:
                del self._copies[ref]
        self._listed.add((resource, namespace))
        for target in tuple(self._users):
            if (target.resource, target.namespace) == (resource, namespace):
                self._changed(target)
        for rollout in self._places.sources((resource, namespace)):
            self._ring(rollout)
        return version

    async def _follow(self, resource: Resource, namespace: str, version: str) -> str:
        """What is not read yet is rung for, too: it may have been absent."""
        events = self._kube.watch(resource, namespace, resource_version=version, metadata_only=True)
        async for type_, body in events:
            metadata = body["metadata"]
            version = metadata["resourceVersion"]
            if type_ == "BOOKMARK":
                continue
            ref = resource.ref(metadata["name"], namespace)
            if type_ == "DELETED":
                gone = self._copies.pop(ref, None)
                if gone:
                    self._ring_owner(metadata, namespace)
            else:
                self._saw(resource, metadata)
            if self._users.sources(ref):
                self._newest[ref] = int(version)
            known = self._sources.get(ref, {}).values()
            if not known or any(source.version < int(version) for source in known):
                self._changed(ref)
        return version

    def _saw(self, resource: Resource, metadata: Mapping[str, Any]) -> None:
        if self._names.config_copy_label in (metadata.get("labels") or {}):
            ref = resource.ref(metadata["name"], metadata["namespace"])
            self._copies[ref] = _Copy(metadata["uid"], _owner(metadata))

    def _changed(self, target: Ref) -> None:
        """To be read again, by whoever looks next."""
        self._sources.pop(target, None)
        for rollout in self._users.sources(target):
            self._ring(rollout)

    def _ring_owner(self, metadata: Mapping[str, Any], namespace: str) -> None:
        for owner in metadata.get("ownerReferences") or ():
            self._ring(Key(namespace, owner["name"]))


def _target(namespace: str, config: Config) -> Ref:
    return _RESOURCES[config.kind].ref(config.name, namespace)


def _owner(metadata: Mapping[str, Any]) -> str:
    return str(controlling_owner(metadata).get("uid", ""))
