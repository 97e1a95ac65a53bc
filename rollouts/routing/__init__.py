"""Routers: who sends each side of a canary its share. One file each; the registry below is all there is to it.

Decided here: what a router is. It is two pure functions over the objects that carry its routes: `render`
says how they have to be changed for given shares, `read` what they do now. Which shares are given is decided in
`rollouts.delivery.weights`; the objects are read and written by `rollouts.controller.routes` and, in virtual
time, by `rollouts.simulate`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Protocol

from rollouts.api.traffic import Feature, Shares
from rollouts.routing.services import Services
from rollouts.routing.values import Object, Owner, Patch, Place, Read, RouterError, Sides

__all__ = [
    "GROUP",
    "Object",
    "Owner",
    "Patch",
    "Place",
    "Read",
    "Router",
    "RouterError",
    "Sides",
    "registry",
]

GROUP = "rollouts.routing"
"""Entry points of other packages: `name = "package.module:Class"` serves `trafficRouting.plugins.<name>`."""


class Router(Protocol):
    """One way to send traffic. Every method is a function of its arguments; a fault is a `RouterError`."""

    @property
    def features(self) -> frozenset[Feature]:
        """What it can do beyond weights."""

    @property
    def by_pods(self) -> bool:
        """Between none and all it can only mix the pods: the share is the ratio of those available."""

    def places(self, config: Mapping[str, Any]) -> Sequence[Place]:
        """The objects that carry the routes, by the router's part of the spec."""

    def render(
        self, objects: Sequence[Object], shares: Shares, owner: Owner, config: Mapping[str, Any]
    ) -> Sequence[Patch | None]:
        """A JSON merge patch for each object, in order; None where nothing is to be changed."""

    def read(self, objects: Sequence[Object], sides: Sides, config: Mapping[str, Any]) -> Read:
        """What the objects do now."""


@dataclass(frozen=True, slots=True)
class _Plugin:
    """A router of another package, loaded when a Rollout first names it."""

    entry: metadata.EntryPoint

    def load(self) -> Router:
        made: Router = self.entry.load()()
        return made


class _Registry(Mapping[str, Router]):
    """Routers by their field under trafficRouting."""

    def __init__(self, known: Mapping[str, Router], plugins: Mapping[str, _Plugin]) -> None:
        self._known = dict(known)
        self._plugins = plugins

    def __getitem__(self, name: str) -> Router:
        if name not in self._known:
            self._known[name] = self._plugins[name].load()
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._known, **self._plugins})

    def __len__(self) -> int:
        return len({**self._known, **self._plugins})


def registry() -> Mapping[str, Router]:
    """Routers by their field under trafficRouting."""
    installed = metadata.entry_points(group=GROUP)
    return _Registry({"services": Services()}, {f"plugins.{e.name}": _Plugin(e) for e in installed})
