"""The routers of a simulated cluster: what they are told is done at once, unless a test says otherwise.

Plain Services are played by their own router, every other one by the one that records.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rollouts.api.meta import Names
from rollouts.api.rollout import Rollout
from rollouts.api.traffic import TrafficRouting
from rollouts.delivery.actions import SetWeights
from rollouts.delivery.snapshot import Route, Service
from rollouts.delivery.weights import RETRY
from rollouts.routing import Owner, Router, RouterError, Sides
from rollouts.routing.recording import Recording
from rollouts.routing.services import Services


class Routes:
    """Objects that carry routes, by router."""

    def __init__(self) -> None:
        self.objects: dict[str, Mapping[str, Any]] = {}
        self.missing: set[str] = set()
        """Routers that this controller does not have."""
        self.unread: set[str] = set()
        """Routers that have not been read yet."""
        self._errors: dict[str, tuple[str, datetime]] = {}

    def seen(self, rollout: Rollout, services: Mapping[str, Service | None]) -> tuple[Route, ...]:
        routing = _routing(rollout)
        if routing is None:
            return ()
        sides = _sides(rollout, services, routing)
        return tuple(self._seen(name, config, sides) for name, config in routing.routers())

    def set(self, rollout: Rollout, action: SetWeights, names: Names, now: datetime) -> None:
        metadata = rollout.metadata
        owner = Owner(metadata.name, metadata.namespace, names.managed_by_annotation)
        before = self.objects.get(action.router, {})
        try:
            (patch,) = _router(action.router).render([before], action.shares, owner, {})
        except RouterError as e:
            self._errors[action.router] = (str(e), now + RETRY)
            return
        self._errors.pop(action.router, None)
        self.objects[action.router] = _merged(before, patch or {})

    def steer(self, router: str, **data: str | None) -> None:
        """What the recording router is told by a test; None takes it back."""
        self.objects[router] = _merged(self.objects.get(router, {}), {"data": data})

    def history(self, router: str) -> list[int]:
        """Every weight that the canary was given."""
        data = self.objects.get(router, {}).get("data") or {}
        weights: list[int] = json.loads(data.get("history", "[]"))
        return weights

    def state(self) -> object:
        return dict(self.objects), dict(self._errors)

    def _seen(self, name: str, config: Mapping[str, Any], sides: Sides) -> Route:
        router = _router(name)
        if name in self.missing:
            return Route(name, available=False, read=False)
        if name in self.unread:
            return Route(name, features=router.features, by_pods=router.by_pods, read=False)
        error, retry_at = self._errors.get(name, ("", None))
        read = router.read([self.objects.get(name, {})], sides, config)
        return Route(
            name,
            features=router.features,
            by_pods=router.by_pods,
            shares=read.shares,
            shared=read.shared,
            verified=read.verified,
            verify_error=read.verify_error,
            error=error,
            retry_at=retry_at,
        )


def _routing(rollout: Rollout) -> TrafficRouting | None:
    canary = rollout.spec.strategy.canary
    return canary.traffic_routing if canary else None


def _sides(rollout: Rollout, services: Mapping[str, Service | None], routing: TrafficRouting) -> Sides:
    canary = rollout.spec.strategy.canary
    assert canary is not None
    front, home = services.get(canary.canary_service), services.get(canary.stable_service)
    return Sides(
        canary_service=canary.canary_service,
        stable_service=canary.stable_service,
        canary_hash=front.selected_hash if front else "",
        stable_hash=home.selected_hash if home else "",
        maximum=routing.max_traffic_weight or 100,
    )


def _router(name: str) -> Router:
    return Services() if name == "services" else Recording()


def _merged(before: Mapping[str, Any], patch: Mapping[str, Any]) -> Mapping[str, Any]:
    """RFC 7396."""
    after = dict(before)
    for key, value in patch.items():
        if value is None:
            after.pop(key, None)
        elif isinstance(value, Mapping):
            inner = after.get(key)
            after[key] = _merged(inner if isinstance(inner, Mapping) else {}, value)
        else:
            after[key] = value
    return after
