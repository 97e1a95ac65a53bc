"""The values that routers are given and give back. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rollouts.api.traffic import Shares
from rollouts.errors import RolloutsError

__all__ = ["Object", "Owner", "Patch", "Place", "Read", "RouterError", "Sides"]

Object = Mapping[str, Any]
"""An object as the API server gives it; never changed in place."""
Patch = dict[str, Any]
"""A JSON merge patch without preconditions: who sends it adds them."""


class RouterError(RolloutsError):
    """The route cannot be read or set, and why. Told on the Rollout; holds up nothing but the weight."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object is, in the Rollout's namespace."""

    group: str
    version: str
    plural: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Owner:
    """The Rollout that a route is set for."""

    name: str
    namespace: str
    managed_by_annotation: str


@dataclass(frozen=True, slots=True)
class Sides:
    """The Services of both sides and the pod template hashes that they select now, empty for none."""

    canary_service: str
    stable_service: str
    canary_hash: str
    stable_hash: str
    maximum: int = 100


@dataclass(frozen=True, slots=True)
class Read:
    """What a route does: `shares`, or `shared` (pods of both sides, by their number), or nothing of ours."""

    shares: Shares | None = None
    shared: bool = False
    verified: bool | None = None
    verify_error: str = ""
