"""Kill -9 before every write of a sync, a prune and a revert: the same end, and nothing happens twice.

What nobody disturbs tells what the end looks like.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import pytest

from rollouts.kube import resources
from rollouts.settings import Settings
from tests.api.harness import eventually
from tests.e2e.applications import killed
from tests.e2e.applications.harness import App, Checkout, config_map
from tests.e2e.world import World, Worlds

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

RED_IS_BAD = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "current": "data.color != 'red'",
    "failed": "data.color == 'red'",
}
ROBOT = {"name": "Robot", "email": "robot@example.com"}
_MOMENT = re.compile(r"(?:time|Time|At|^at)$")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SECONDS = 60.0

Serving = Callable[[Settings], AbstractAsyncContextManager[Any]]
Story = Callable[["Team"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Team:
    """One repository, and the Application that follows it."""

    app: App
    checkout: Checkout
    repository: str
    commits: dict[str, str]
    """What a commit is called in this story, by its id."""

    async def push(self, name: str, files: Mapping[str, str | None]) -> None:
        """Push, and wait until it runs."""
        commit = self.note(name, files)
        await self.app.runs(commit, seconds=_SECONDS)

    def note(self, name: str, files: Mapping[str, str | None]) -> str:
        commit = self.checkout.push(files)
        self.commits[commit] = name
        return commit


async def a_sync(team: Team) -> None:
    await team.app.create(team.repository)
    await team.push(
        "first", {"a.yaml": config_map("a", color="blue"), "b.yaml": config_map("b", color="blue")}
    )
    await team.push("second", {"a.yaml": config_map("a", color="green"), "c.yaml": config_map("c", size="1")})


async def a_prune(team: Team) -> None:
    await team.app.create(team.repository)
    await team.push("first", {f"{name}.yaml": config_map(name, color="blue") for name in "abcd"})
    await team.push("second", {"b.yaml": None, "c.yaml": None})

    async def are_gone() -> bool:
        status = await team.app.status()
        return [r["name"] for r in status["resources"]] == ["a", "d"] and not await team.app.config("c")

    await eventually(are_gone)


async def a_revert(team: Team) -> None:
    rollback = {"revert": "branch", "author": ROBOT, "record": {}}
    await team.app.create(team.repository, healthCheckExprs=[RED_IS_BAD], rollback=rollback)
    await team.push("first", {"a.yaml": config_map("a", color="blue")})
    team.note("bad", {"a.yaml": config_map("a", color="red"), "b.yaml": config_map("b", color="red")})

    async def is_reverted() -> str:
        head = team.checkout.git("ls-remote", team.checkout.remote, "refs/heads/main").partition("\t")[0]
        return head if head not in team.commits else ""

    done = await eventually(is_reverted)
    team.commits[done] = "revert"
    await team.app.runs(done, seconds=_SECONDS)

    async def is_recorded() -> bool:
        record = (await team.app.status()).get("lastGoodRecord") or {}
        return bool(record.get("revision") == f"main@sha1:{done}")

    await eventually(is_recorded)

    async def is_noted() -> bool:
        return [r["state"] for r in (await team.app.status()).get("reverts") or []] == ["Committed"]

    await eventually(is_noted)


@pytest.mark.parametrize("story", [a_sync, a_prune, a_revert])
async def test_killed_before_every_write_it_ends_the_same_and_does_nothing_twice(
    story: Story, worlds: Worlds
) -> None:
    quiet, disturbed = await worlds.new(), await worlds.new()

    expected = await told(
        quiet, story, lambda settings: quiet.controller(git_cache_dir=settings.git_cache_dir)
    )
    found = await told(disturbed, story, lambda settings: killed.serving(settings, disturbed.directory))

    deaths = killed.Deaths(disturbed.directory).before
    assert len(deaths) >= 8, deaths
    for part, value in expected.items():
        assert found[part] == value, part


async def told(world: World, story: Story, serving: Serving) -> Mapping[str, Any]:
    """What a story leaves behind and what was seen on the way, in words that are the same everywhere."""
    repository = await world.repository()
    checkout = Checkout.of(str(repository.path), world.directory / "checkout")
    app = App(world, "shop")
    team = Team(app, checkout, repository.file_url, {})
    settings = replace(world.settings, git_cache_dir=world.directory / "git")
    async with filmed(world) as film, serving(settings):
        await story(team)
    # Whoever dies between a deletion and its note finds nothing to do, nor to note.
    events = [f"{reason}: {message}" for reason, message in await app.events() if reason != "Pruned"]
    found = {
        "status": _timeless(await app.status()),
        "events": events,
        "objects": {name: _changes(frames) for name, frames in film.items()},
        "git": checkout.git("ls-remote", checkout.remote),
        "secrets": len([s for s in await world.list("Secret") if s["type"] != "Opaque"]),
    }
    return _named(found, team.commits, world.namespace)


@asynccontextmanager
async def filmed(world: World) -> AsyncIterator[dict[str, list[Any]]]:
    """Everything that happens to the ConfigMaps of a namespace, by name: their data, or None when they go."""
    film: dict[str, list[Any]] = {}
    start = (await world.kube.list(resources.CONFIG_MAP, world.namespace)).resource_version

    async def watch() -> None:
        events = world.kube.watch(resources.CONFIG_MAP, world.namespace, resource_version=start)
        async for event, body in events:
            name = body["metadata"]["name"]
            if name != "kube-root-ca.crt" and event != "BOOKMARK":
                film.setdefault(name, []).append(None if event == "DELETED" else body["data"])

    camera = asyncio.create_task(watch())
    try:
        yield film
        assert not camera.done(), "the watch has ended"
    finally:
        camera.cancel()


def _changes(frames: list[Any]) -> list[Any]:
    return [value for value, _ in groupby(frames)]


def _timeless(value: Any) -> Any:
    if isinstance(value, list):
        return [_timeless(v) for v in value]
    if isinstance(value, dict):
        return {k: _timeless(v) for k, v in value.items() if not _MOMENT.search(k)}
    return value


def _named(found: Mapping[str, Any], commits: Mapping[str, str], namespace: str) -> Mapping[str, Any]:
    text = json.dumps(found)
    for commit, name in commits.items():
        text = text.replace(commit, f"<{name}>").replace(commit[:12], f"<{name}>")
    # Digests hold the namespace: they are known by the order in which they come.
    digests = {digest: str(i) for i, digest in enumerate(dict.fromkeys(_DIGEST.findall(text)))}
    text = _DIGEST.sub(lambda found: digests[found[0]], text)
    named = json.loads(text.replace(namespace, "<namespace>"))
    return {**named, "events": sorted(named["events"])}
