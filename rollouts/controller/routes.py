"""The objects that carry a Rollout's routes: read, kept in memory, patched.

Decides nothing but how long a router may take and when one that has failed is asked again. Routes are read after
a plan is carried out, never before one is made: a router that hangs holds up no abort. What fails becomes
part of the next snapshot and is told there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from rollouts.api.meta import Names
from rollouts.api.rollout import Rollout
from rollouts.api.traffic import TrafficRouting
from rollouts.controller.cache import Key, Store
from rollouts.delivery import snapshot
from rollouts.delivery.actions import SetWeights
from rollouts.delivery.snapshot import Route
from rollouts.delivery.weights import RETRY
from rollouts.errors import Conflict, LostLease, RolloutsError
from rollouts.kube import Kube, Resource
from rollouts.kube.resources import Ref
from rollouts.routing import Object, Owner, Patch, Place, Router, Sides

__all__ = ["Routes"]

log = logging.getLogger(__name__)

SECONDS = 5.0
"""How long one router may take."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of one router's objects; None before they have been read, and while they cannot be."""

    objects: tuple[Object, ...] | None = None
    error: str = ""
    retry_at: datetime | None = None


class Routes:
    """Routes of all Rollouts, as last read or written."""

    def __init__(
        self,
        kube: Kube,
        registry: Mapping[str, Router],
        services: Store[snapshot.Service],
        names: Names,
        now: Callable[[], datetime],
        *,
        field_manager: str,
    ) -> None:
        self._kube = kube
        self._registry = registry
        self._services = services
        self._names = names
        self._now = now
        self._field_manager = field_manager
        self._known: dict[Key, dict[str, _Known]] = {}

    def seen(self, key: Key, rollout: Rollout) -> tuple[Route, ...]:
        """For a snapshot: what is known of each router that the spec names."""
        routing = _routing(rollout)
        if routing is None:
            return ()
        sides = self._sides(key, rollout, routing)
        return tuple(self._seen(key, name, config, sides) for name, config in routing.routers())

    async def refresh(self, key: Key, rollout: Rollout) -> bool:
        """Read the routes again; whether anything is not as it was known."""
        routing = _routing(rollout)
        named = dict(routing.routers()) if routing else {}
        self._keep(key, named)
        changed = False
        for name, config in named.items():
            before = self._of(key, name)
            if before.retry_at and before.retry_at > self._now():
                continue
            after = await self._read(key, name, config)
            self._known.setdefault(key, {})[name] = after
            changed = changed or _differs(before, after)
        return changed

    async def set(self, rollout: Rollout, action: SetWeights) -> bool:
        """Carry out an action; whether there is something new to look at."""
        key = Key(rollout.metadata.namespace, rollout.metadata.name)
        before = self._of(key, action.router)
        if before.objects is None:
            return False
        try:
            async with asyncio.timeout(SECONDS):
                after = await self._set(rollout, action, before.objects)
        except LostLease:
            raise
        except Conflict:
            del self._known[key][action.router]  # somebody was faster: read it again
            return True
        except Exception as e:  # noqa: BLE001 - a router may be anybody's code, and an abort must not wait for it
            self._known[key][action.router] = failed = self._failed(before, e, f"{key}: {action.router}")
            return failed.error != before.error
        self._known[key][action.router] = after
        return _differs(before, after)

    def forget(self, key: Key) -> None:
        self._keep(key, {})

    def _keep(self, key: Key, named: Mapping[str, Any]) -> None:
        kept = {name: known for name, known in self._known.pop(key, {}).items() if name in named}
        if kept:
            self._known[key] = kept

    def _of(self, key: Key, name: str) -> _Known:
        return self._known.get(key, {}).get(name) or _Known()

    def _seen(self, key: Key, name: str, config: Mapping[str, Any], sides: Sides) -> Route:
        if name not in self._registry:
            return Route(name, available=False, read=False)
        known = self._of(key, name)
        unread = Route(name, read=False, error=known.error, retry_at=known.retry_at)
        try:
            router = self._registry[name]
            able = replace(unread, features=router.features, by_pods=router.by_pods)
            if known.objects is None:
                return able
            read = router.read(known.objects, sides, config)
        except Exception as e:  # noqa: BLE001 - a router may be anybody's code
            return replace(unread, error=_text(e))
        return replace(
            able,
            read=True,
            shares=read.shares,
            shared=read.shared,
            verified=read.verified,
            verify_error=read.verify_error,
        )

    async def _read(self, key: Key, name: str, config: Mapping[str, Any]) -> _Known:
        if name not in self._registry:
            return _Known()
        try:
            async with asyncio.timeout(SECONDS):
                places = self._registry[name].places(config)
                return _Known(tuple([await self._kube.get(_ref(place, key)) for place in places]))
        except LostLease:
            raise
        except Exception as e:  # noqa: BLE001 - a router may be anybody's code
            return self._failed(_Known(), e, f"{key}: {name}")

    async def _set(self, rollout: Rollout, action: SetWeights, objects: tuple[Object, ...]) -> _Known:
        metadata = rollout.metadata
        routing = _routing(rollout)
        assert routing is not None, "a Rollout without routers sets no weights"
        config = dict(routing.routers())[action.router]
        router = self._registry[action.router]
        owner = Owner(metadata.name, metadata.namespace, self._names.managed_by_annotation)
        patches = router.render(objects, action.shares, owner, config)
        refs = [_ref(place, Key(metadata.namespace, metadata.name)) for place in router.places(config)]
        return _Known(await self._patched(refs, objects, patches))

    async def _patched(
        self, refs: Sequence[Ref], objects: Sequence[Object], patches: Sequence[Patch | None]
    ) -> tuple[Object, ...]:
        after: list[Object] = []
        for ref, each, patch in zip(refs, objects, patches, strict=True):
            if patch is None:
                after.append(each)
                continue
            body = _with_precondition(patch, each)
            after.append(await self._kube.merge_patch(ref, body, field_manager=self._field_manager))
        return tuple(after)

    def _failed(self, before: _Known, error: Exception, where: str) -> _Known:
        text = _text(error)
        if text != before.error:
            log.warning("router failed: %s: %s", where, text)
        return replace(before, error=text, retry_at=self._now() + RETRY)

    def _sides(self, key: Key, rollout: Rollout, routing: TrafficRouting) -> Sides:
        canary = rollout.spec.strategy.canary
        assert canary is not None
        return Sides(
            canary_service=canary.canary_service,
            stable_service=canary.stable_service,
            canary_hash=self._selected(key, canary.canary_service),
            stable_hash=self._selected(key, canary.stable_service),
            maximum=routing.max_traffic_weight or 100,
        )

    def _selected(self, key: Key, service: str) -> str:
        record = self._services.get(Key(key.namespace, service))
        return record.value.selected_hash if record else ""


def _routing(rollout: Rollout) -> TrafficRouting | None:
    canary = rollout.spec.strategy.canary
    return canary.traffic_routing if canary else None


def _ref(place: Place, key: Key) -> Ref:
    return Resource(place.group, place.version, place.plural, place.kind).ref(place.name, key.namespace)


def _with_precondition(patch: Patch, each: Object) -> Patch:
    metadata = each["metadata"]
    precondition = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
    return {**patch, "metadata": {**patch.get("metadata", {}), **precondition}}


def _differs(before: _Known, after: _Known) -> bool:
    return before.error != after.error or _versions(before) != _versions(after)


def _versions(known: _Known) -> list[str] | None:
    if known.objects is None:
        return None
    return [each["metadata"]["resourceVersion"] for each in known.objects]


def _text(error: Exception) -> str:
    """One line for people. What is not ours may hold anything: only its name is told."""
    if isinstance(error, TimeoutError):
        return f"no answer within {SECONDS:g} s"
    return str(error) if isinstance(error, RolloutsError) else f"failed with {type(error).__name__}"
