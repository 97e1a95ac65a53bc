"""Live objects of Applications: one watch for each kind that some Application declares, while it does.

Decides when a kind is watched and which Application a change concerns. Watches are filtered on the server
by our owner label, and records are trimmed, so what is not managed costs nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rollouts.api.application import HealthCheckExpr
from rollouts.api.meta import Names
from rollouts.controller.cache import Change, Key, Record, Store
from rollouts.errors import Conflict, NotFound, Rejected, RolloutsError, Transient
from rollouts.gitops.resources import live
from rollouts.gitops.resources.live import Live
from rollouts.gitops.resources.manifests import ObjectKey
from rollouts.kube import Kube, Resource

__all__ = ["LiveObjects"]

log = logging.getLogger(__name__)

ORIGIN = "application"
_RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0)
_UNUSED_SECONDS = 120.0

_TEMPLATES = frozenset({"Deployment", "ReplicaSet", "PodTemplate"})
"""Kinds whose generation says something to the Rollouts that take their template from them."""

Ring = Callable[[Key], None]


@dataclass(slots=True)
class _Kind:
    """A kind under watch."""

    store: Store[Live]
    users: set[Key] = field(default_factory=set)
    is_synced: bool = False
    problem: str = ""
    task: asyncio.Task[None] | None = None
    unused_since: float = 0.0


class LiveObjects:
    """All live objects that carry our owner label, of the kinds in use."""

    def __init__(self, kube: Kube, names: Names, namespace: str, ring: Ring) -> None:
        self._kube = kube
        self._names = names
        self._namespace = namespace
        self._ring = ring
        self._kinds: dict[Resource, _Kind] = {}
        self._by_owner: dict[tuple[str, str], set[tuple[Resource, Key]]] = {}
        self._rules: dict[Key, tuple[HealthCheckExpr, ...]] = {}

    async def run(self) -> None:
        """Stop the watches that nobody needs any more; for ever."""
        try:
            while True:
                await asyncio.sleep(_UNUSED_SECONDS / 4)
                self._stop_unused(asyncio.get_running_loop().time())
        finally:
            await self.close()

    async def close(self) -> None:
        tasks = [kind.task for kind in self._kinds.values() if kind.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def need(self, user: Key, wanted: Iterable[Resource]) -> None:
        """From now on `user` needs these kinds, and no others."""
        needed = set(wanted)
        for resource in needed:
            if resource not in self._kinds:
                self._start(resource)
            self._kinds[resource].users.add(user)
        now = asyncio.get_running_loop().time()
        for resource, kind in self._kinds.items():
            if user in kind.users and resource not in needed:
                kind.users.discard(user)
                kind.unused_since = now

    def judge(self, user: Key, rules: tuple[HealthCheckExpr, ...]) -> None:
        """From now on objects of `user` are healthy by these rules; what is known of their kinds is read again."""
        old = self._rules.get(user, ())
        if rules == old:
            return
        self._rules.pop(user, None)
        if rules:
            self._rules[user] = rules
        kinds = {rule.kind for rule in (*old, *rules)}
        for resource, kind in tuple(self._kinds.items()):
            if resource.kind in kinds and user in kind.users:
                self._stop(resource, kind)
                self._start(resource)
                self._kinds[resource].users |= kind.users

    def waits_for(self, wanted: Iterable[Resource]) -> bool:
        """Whether one of the kinds has not been listed yet."""
        return any(not self._kinds[r].is_synced and not self._kinds[r].problem for r in wanted)

    def problem(self, wanted: Iterable[Resource]) -> str:
        """Why one of the kinds cannot be watched."""
        return next((self._kinds[r].problem for r in wanted if self._kinds[r].problem), "")

    def of_owner(self, owner: tuple[str, str]) -> Mapping[ObjectKey, Live]:
        """Everything that carries this owner's labels."""
        found = {}
        for resource, key in self._by_owner.get(owner, ()):
            if record := self._kinds[resource].store.get(key):
                found[record.value.key] = record.value
        return found

    def get(self, resource: Resource, key: ObjectKey) -> Live | None:
        kind = self._kinds.get(resource)
        record = kind.store.get(Key(key.namespace, key.name)) if kind else None
        return record.value if record else None

    def put(self, resource: Resource, body: Mapping[str, Any]) -> Live | None:
        """Take over the API server's answer to our own write, and give back what is known now."""
        if kind := self._kinds.get(resource):
            kind.store.put(body, origin=ORIGIN)
        return self.get(resource, live.key_of(body))

    def __iter__(self) -> Iterator[Resource]:
        return iter(tuple(self._kinds))

    def _start(self, resource: Resource) -> None:
        selector = self._names.application_name_label
        store: Store[Live] = Store(resource, self._trim, label_selector=selector)
        kind = self._kinds[resource] = _Kind(store)
        store.listen(lambda change: self._changed(resource, change))
        kind.task = asyncio.create_task(self._watch(resource, kind), name=f"watch of {resource.plural}")

    def _stop_unused(self, now: float) -> None:
        for resource, kind in tuple(self._kinds.items()):
            if not kind.users and now - kind.unused_since > _UNUSED_SECONDS:
                self._stop(resource, kind)

    def _stop(self, resource: Resource, kind: _Kind) -> None:
        if kind.task:
            kind.task.cancel()
        for record in kind.store:
            self._disown(resource, record)
        del self._kinds[resource]

    def _trim(self, body: Mapping[str, Any], old: Record[Live] | None) -> Live:
        del old
        owner = Key(*live.owner_of(body, self._names))
        return live.trim(body, self._names, self._rules.get(owner, ()))

    async def _watch(self, resource: Resource, kind: _Kind) -> None:
        failures = 0
        while True:
            try:
                version = await self._list(resource, kind)
                self._listed(kind)
                failures = 0
                while True:
                    version = await self._follow(resource, kind, version)
            except Conflict:
                log.info("the watch of %s is too old to go on: listing again", resource.plural)
            except (NotFound, Rejected) as e:
                self._fail(kind, f"{resource.plural} cannot be watched: {e}")
            except Transient as e:
                log.info("watch of %s broke: %s", resource.plural, e)
            except RolloutsError:
                log.exception("watch of %s", resource.plural)
            await asyncio.sleep(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])
            failures += 1

    async def _list(self, resource: Resource, kind: _Kind) -> str:
        seen: set[Key] = set()
        version = ""
        complete = False
        kind.store.begin_sweep()
        try:
            scope = self._namespace if resource.namespaced else ""
            async for page in self._kube.pages(resource, scope, label_selector=kind.store.label_selector):
                for body in page.items:
                    kind.store.put(body)
                    seen.add(Key(body["metadata"].get("namespace", ""), body["metadata"]["name"]))
                version = page.resource_version
            complete = True
        finally:
            kind.store.end_sweep(seen, int(version) if complete else None)
        return version

    async def _follow(self, resource: Resource, kind: _Kind, version: str) -> str:
        scope = self._namespace if resource.namespaced else ""
        events = self._kube.watch(
            resource, scope, resource_version=version, label_selector=kind.store.label_selector
        )
        async for type_, body in events:
            version = body["metadata"]["resourceVersion"]
            if type_ == "DELETED":
                key = Key(body["metadata"].get("namespace", ""), body["metadata"]["name"])
                kind.store.drop(key, int(version))
            elif type_ != "BOOKMARK":
                kind.store.put(body)
        return version

    def _listed(self, kind: _Kind) -> None:
        was_waiting = not kind.is_synced or kind.problem
        kind.is_synced, kind.problem = True, ""
        if was_waiting:
            self._ring_users(kind)

    def _fail(self, kind: _Kind, problem: str) -> None:
        if kind.problem != problem:
            kind.problem = problem
            self._ring_users(kind)

    def _ring_users(self, kind: _Kind) -> None:
        for user in kind.users:
            self._ring(user)

    def _changed(self, resource: Resource, change: Change[Live]) -> None:
        if change.old:
            self._disown(resource, change.old)
        if change.new:
            self._by_owner.setdefault(change.new.value.owner, set()).add((resource, change.key))
        if change.origin != ORIGIN and _matters(change):
            for record in (change.old, change.new):
                if record:
                    self._ring(Key(*record.value.owner))

    def _disown(self, resource: Resource, record: Record[Live]) -> None:
        owned = self._by_owner.get(record.value.owner)
        if owned is not None:
            owned.discard((resource, record.key))
            if not owned:
                del self._by_owner[record.value.owner]


def _matters(change: Change[Live]) -> bool:
    """Whether anything that a decision looks at is different."""
    if change.old is None or change.new is None:
        return True
    return _seen(change.old.value) != _seen(change.new.value)


def _seen(found: Live) -> tuple[object, ...]:
    return (
        found.uid,
        found.owner,
        found.owned_hash,
        found.usurped,
        found.health.status,
        found.health.failure,
        found.health.promoted,
        found.health.message if found.health.failure else "",
        found.is_autoscaled,
        found.deleting,
        found.options,
        found.generation if found.key.kind in _TEMPLATES else 0,
        found.takes_from,
    )
