"""A Plan of an Application -> writes to its objects.

Decides nothing but what an answer means. Each answer goes into the live objects at once, so that the next
look sees what was written. What the API server found equal, though it looked different (a quantity written
otherwise, a default inside an atomic list, an admission webhook's touch), is remembered, so that it is
neither drift nor a fight.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from rollouts.api.meta import Names
from rollouts.controller.applications.live import LiveObjects
from rollouts.errors import Conflict, NotFound, Rejected, RolloutsError
from rollouts.gitops.actions import ApplyObjects, RunHooks
from rollouts.gitops.resources import discretion, live, order
from rollouts.gitops.resources.diff import Change
from rollouts.gitops.resources.live import FIELD_MANAGER, Live
from rollouts.gitops.resources.manifests import ObjectKey
from rollouts.kube import Kube, Ref, Resource, resources

__all__ = ["Applied", "Applier"]

log = logging.getLogger(__name__)

_AT_ONCE = 8
_SHOWN = 3
_IMMUTABLE = ("immutable", "Forbidden: updates to")
"""How the API server says that a field cannot be changed in place."""

Recompare = Callable[[Change, Live], Change | None]


@dataclass(slots=True)
class Applied:
    """What came of it."""

    written: list[Change] = field(default_factory=list)
    """Objects that are different now."""
    equal: list[tuple[str, str]] = field(default_factory=list)
    """Fingerprints of differences that are none."""
    refused: list[str] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    confidential: bool = False

    def refuse(self, who: str, error: Exception, body: Mapping[str, Any]) -> None:
        """What the API server says, without what nobody may read."""
        told = discretion.without_values(str(error), body, confidential=self.confidential)
        self.refused.append(f"{who}: {told}")

    @property
    def complaint(self) -> str:
        more = len(self.refused) - _SHOWN
        return "; ".join(self.refused[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")


@dataclass(frozen=True, slots=True)
class Applier:
    """Carries out what plans of Applications ask for."""

    kube: Kube
    live: LiveObjects
    names: Names

    async def apply(
        self, action: ApplyObjects, of: Callable[[Change], Resource], recompare: Recompare
    ) -> Applied:
        """Apply changes in order; with `as_one`, none of them unless all pass a dry run."""
        done = Applied(confidential=action.confidential)
        if action.create_namespace:
            await self._create_namespace(action.create_namespace)
        if action.as_one:
            await self._each(action.changes, lambda change: self._try(change, of(change), done))
            if done.refused or done.conflicts:
                return done
        by_rank = sorted(action.changes, key=lambda c: (order.rank(c.manifest.key.kind), c.manifest.key))
        for _, group in groupby(by_rank, key=lambda c: order.rank(c.manifest.key.kind)):
            await self._each(list(group), lambda change: self._write(change, of(change), recompare, done))
        return done

    async def run_hooks(self, action: RunHooks, of: Callable[[ObjectKey], Resource]) -> Applied:
        """Delete, then create; what is refused here refuses the attempt."""
        done = Applied(confidential=action.confidential)
        if action.create_namespace and action.bodies:
            await self._create_namespace(action.create_namespace)
        for found in action.remove:
            with contextlib.suppress(NotFound):
                await self.kube.delete(of(found.key).ref(found.key.name, found.key.namespace), uid=found.uid)
        for body in action.bodies:
            key = live.key_of(body)
            try:
                resource = of(key)
                ref = resource.ref(key.name, key.namespace)
                self.live.put(resource, await self.kube.apply(ref, body, field_manager=FIELD_MANAGER))
            except (Rejected, NotFound) as e:
                done.refuse(f"hook {key}", e, body)
        return done

    async def prune(
        self, objects: Iterable[Live], of: Callable[[Live], Resource]
    ) -> tuple[tuple[ObjectKey, ...], str]:
        """Delete one after the other: what is gone, and what the API server says about the rest."""
        gone: list[ObjectKey] = []
        complaints: list[str] = []
        for found in objects:
            ref = of(found).ref(found.key.name, found.key.namespace)
            try:
                await self.kube.delete(ref, uid=found.uid)
            except NotFound:
                pass
            except Rejected as e:
                complaints.append(f"{found.key} cannot be deleted: {e}")
                continue
            gone.append(found.key)
        return tuple(gone), "; ".join(complaints[:_SHOWN])

    async def _each(self, changes: Sequence[Change], act: Callable[[Change], Any]) -> None:
        """`act` on every change, a few at a time."""
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one(change: Change) -> None:
            async with slots:
                await act(change)

        if len(changes) == 1:
            return await act(changes[0])  # type: ignore[no-any-return]
        try:
            async with asyncio.TaskGroup() as group:
                for change in changes:
                    group.create_task(one(change))
        except* RolloutsError as errors:
            raise errors.exceptions[0] from None
        return None

    async def _try(self, change: Change, resource: Resource, done: Applied) -> None:
        """One dry run. What is refused here has changed nothing."""
        try:
            await self.kube.apply(
                _ref(change, resource), change.body, field_manager=FIELD_MANAGER, dry_run=True
            )
        except Conflict as e:
            done.conflicts.append(e)
        except (Rejected, NotFound) as e:
            if not _is_immutable(change, e):
                done.refuse(_who(change), e, change.body)
            elif change.live is None:
                done.conflicts.append(_being_deleted(change))

    async def _write(self, change: Change, resource: Resource, recompare: Recompare, done: Applied) -> None:
        try:
            known = await self._applied(change, resource, recompare)
        except Conflict as e:
            done.conflicts.append(e)
            return
        except (Rejected, NotFound) as e:
            if _is_immutable(change, e):
                await self._make_way(change, resource, done)
            else:
                done.refuse(_who(change), e, change.body)
            return
        if change.live is None or known.resource_version != change.live.resource_version:
            done.written.append(change)
        if left := recompare(change, known):
            done.equal.append(left.fingerprint)

    async def _make_way(self, change: Change, resource: Resource, done: Applied) -> None:
        """Delete what cannot be changed in place. That it is missing then, the next look sees."""
        if change.live is not None:
            with contextlib.suppress(NotFound):
                await self.kube.delete(_ref(change, resource), uid=change.live.uid)
            done.written.append(change)
        done.conflicts.append(_being_deleted(change))

    async def _applied(self, change: Change, resource: Resource, recompare: Recompare) -> Live:
        """Apply, and make fields that kubectl declares beside us ours first, so that they can go."""
        ref = _ref(change, resource)
        body = change.body
        if change.live and change.live.usurped and change.takes_over:
            body = await self._taken_over(change, ref, recompare)
        if change.live and change.options.replaces:
            await self._replace(ref, change)
            body = _unpinned(body)
        answer = await self.kube.apply(ref, body, field_manager=FIELD_MANAGER)
        known = live.trim(answer, self.names)
        if known.usurped and change.takes_over and recompare(change, known):
            body = await self._taken_over(change, ref, recompare)
            answer = await self.kube.apply(ref, body, field_manager=FIELD_MANAGER)
            known = live.trim(answer, self.names)
        self.live.put(resource, answer)
        return known

    async def _replace(self, ref: Ref, change: Change) -> None:
        """The whole object as declared, so that nothing of others is left; the apply after it makes it ours."""
        found = await self.kube.get(ref)
        version = {"resourceVersion": found["metadata"]["resourceVersion"]}
        body = {**change.body, "metadata": {**change.body["metadata"], **version}}
        await self.kube.replace(ref, body, field_manager=FIELD_MANAGER)

    async def _taken_over(self, change: Change, ref: Ref, recompare: Recompare) -> Any:
        """The body to send once what kubectl declares is ours: with what is ignored as it is."""
        taken = await self._take_over(ref)
        if taken is None:
            return change.body
        again = recompare(change, taken)
        return _unpinned(again.body if again else change.body)

    async def _take_over(self, ref: Ref) -> Live | None:
        body = await self.kube.get(ref)
        metadata = body["metadata"]
        fields = live.taken_over(metadata.get("managedFields") or [])
        if fields is None:
            return None
        patch = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
            {"op": "replace", "path": "/metadata/managedFields", "value": fields},
        ]
        answer = await self.kube.json_patch(ref, patch, field_manager=FIELD_MANAGER)
        return live.trim(answer, self.names)

    async def _create_namespace(self, name: str) -> None:
        ref = resources.NAMESPACE.ref(name)
        try:
            await self.kube.get(ref)
        except NotFound:
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            await self.kube.apply(ref, body, field_manager=FIELD_MANAGER)


def _is_immutable(change: Change, error: Exception) -> bool:
    """A field cannot be changed in place, and the object says that it may be made again."""
    return change.options.recreates and any(text in str(error) for text in _IMMUTABLE)


def _being_deleted(change: Change) -> Conflict:
    """On its way out it still cannot be changed, and its name is taken."""
    return Conflict(f"{change.manifest.key} is deleted and made again")


def _ref(change: Change, resource: Resource) -> Ref:
    return resource.ref(change.manifest.key.name, change.manifest.key.namespace)


def _unpinned(body: Any) -> Any:
    """Our own take-over has moved the object on."""
    metadata = {k: v for k, v in body["metadata"].items() if k != "resourceVersion"}
    return {**body, "metadata": metadata}


def _who(change: Change) -> str:
    origin = f" ({change.manifest.origin})" if change.manifest.origin else ""
    return f"{change.manifest.key}{origin}"
