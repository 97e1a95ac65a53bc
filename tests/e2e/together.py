"""Scenarios that mostly wait run side by side, and each is still a test of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.e2e.world import World, Worlds

Scenario = Callable[[World], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Scenarios:
    """The scenarios of a module, by name."""

    known: dict[str, Scenario] = field(default_factory=dict)

    def add(self, scenario: Scenario) -> Scenario:
        self.known[scenario.__name__] = scenario
        return scenario


@asynccontextmanager
async def under_way(
    scenarios: Mapping[str, Scenario], wanted: Iterable[str], worlds: Worlds
) -> AsyncIterator[Mapping[str, asyncio.Task[None]]]:
    """Start the wanted ones, each in a namespace of its own; whoever waits for one gets its failure."""
    started = {name: asyncio.create_task(_play(name, scenarios[name], worlds)) for name in wanted}
    try:
        yield started
    finally:
        for task in started.values():
            task.cancel()
        await asyncio.gather(*started.values(), return_exceptions=True)


async def _play(name: str, scenario: Scenario, worlds: Worlds) -> None:
    await scenario(await worlds.new(name))
