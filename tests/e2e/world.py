"""A namespace of the whole system, in domain words: what a team and an on-call engineer see and do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from rollouts import sandbox
from tests.api.harness import Bench


@dataclass(frozen=True, slots=True, kw_only=True)
class World(Bench):
    """`kubeconfig` is that of the chart's ServiceAccount; `kube` is the administrator's."""

    cluster: sandbox.Sandbox
    directory: Path
    """For files of this namespace's controller, if it has one of its own."""

    async def told(self, name: str, kind: str = "Rollout") -> list[str]:
        """What the events about an object say, in the order in which they were posted."""
        found = [e for e in await self.list("Event") if e["involvedObject"]["name"] == name]
        found = [e for e in found if e["involvedObject"]["kind"] == kind]
        ordered = sorted(found, key=lambda e: int(e["metadata"]["resourceVersion"]))
        return [f"{e['reason']}: {e['message']}" for e in ordered]


@dataclass(frozen=True, slots=True)
class Worlds:
    """As many namespaces as a test asks for."""

    make: Callable[[], Awaitable[World]]
    made: list[World] = field(default_factory=list)

    async def new(self) -> World:
        world = await self.make()
        self.made.append(world)
        return world
