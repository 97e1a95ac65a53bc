"""Sets from a real Git server, without a cluster: what an option of the source brings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from kubernetes.aio import client as kubernetes_client

from rollouts.api.application import Application, ApplicationSource, DirectorySource, SecretReference
from rollouts.controller.applications.large import LargeFiles
from rollouts.controller.applications.positions import Standing, wanted
from rollouts.controller.applications.remotes import Outside
from rollouts.controller.applications.repositories import Repositories
from rollouts.controller.applications.sets import Sets
from rollouts.controller.cache import Key
from rollouts.gitops.confined import Confined
from rollouts.gitops.resources.render import RenderError
from rollouts.gitops.sources import credentials
from rollouts.gitops.sources.credentials import Credentials
from rollouts.gitops.sources.git import Git, SourceError
from rollouts.gitops.sources.github_app import GitHubApps
from rollouts.gitops.sources.lfs import Storage
from rollouts.kube import Kube
from rollouts.kube.transport import Transport
from tests import git_host, lfs_host
from tests.git_host import Host
from tests.lfs_host import PASSWORD, USERNAME, LfsHost
from tests.unit.gitops.builders import application

KEY = Key("prod", "shop")


@dataclass(slots=True)
class World:
    git: Host
    lfs: LfsHost
    repositories: Repositories
    sets: Sets
    rung: asyncio.Event = field(default_factory=asyncio.Event)

    def of(self, name: str = "shop", *, enable_lfs: bool = True) -> Application:
        url = f"{self.lfs.url}/{name}.git"
        source = ApplicationSource(
            url,
            "main",
            enable_lfs=enable_lfs,
            secret_ref=SecretReference("git"),
            directory=DirectorySource(recurse=True),
        )
        return application(source=None, sources=(source,))

    async def colors(self, app: Application, commit: str) -> dict[str, Any]:
        """What the ConfigMaps say at a commit that the poll has found."""
        self.repositories.follow(KEY, wanted(app))
        self.repositories.refresh(KEY, commit)
        standing = await self._until(commit)
        rendered = await self.sets.at(app, standing.positions)
        return {m.key.name: m.body["data"]["color"] for m in rendered.manifests}

    async def _until(self, commit: str) -> Standing:
        async with asyncio.timeout(20):
            while True:
                found = self.repositories.standing(KEY)
                if found and found.positions and found.positions[0].commit == commit:
                    return found
                self.rung.clear()
                await self.rung.wait()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async def read(_: str, __: str) -> Credentials:
        return credentials.of_secret({"username": USERNAME, "password": PASSWORD})

    nowhere = kubernetes_client.Configuration(host="http://127.0.0.1:9")
    kube = Kube(Transport(kubernetes_client.ApiClient(configuration=nowhere)))
    outside = Outside(Git(tmp_path / "home"), read, GitHubApps(lambda: datetime.now(UTC)))
    with git_host.serving(tmp_path / "root", USERNAME, PASSWORD) as git, lfs_host.serving(git.url) as lfs:
        repositories = Repositories(outside, tmp_path / "mirrors", lambda _: made.rung.set())
        large = LargeFiles(outside, Storage(tmp_path / "lfs"))
        made = World(git, lfs, repositories, Sets(kube, repositories, Confined(), large))
        yield made
        await repositories.close()
        await kube.close()


def colored(name: str, color: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{color: {color}}}\n"


async def test_what_git_lfs_keeps_is_part_of_the_set_once_it_is_there(world: World) -> None:
    blue, red = (world.lfs.keep(colored("a", color).encode()) for color in ("blue", "red"))
    first = world.git.repository("shop", **{"a.yaml": blue, "b.yaml": colored("b", "green")})
    assert await world.colors(world.of(), first) == {"a": "blue", "b": "green"}

    kept = world.lfs.contents.popitem()
    second = world.git.repository("shop", **{"a.yaml": red})
    with pytest.raises(SourceError, match=f"has no file {kept[0]} of Git LFS: Object does not exist"):
        await world.colors(world.of(), second)
    world.lfs.contents.update([kept])

    assert await world.colors(world.of(), second) == {"a": "red", "b": "green"}


async def test_without_the_option_nobody_is_asked(world: World) -> None:
    commit = world.git.repository("shop", **{"a.yaml": world.lfs.keep(colored("a", "blue").encode())})

    with pytest.raises(RenderError, match=r"a\.yaml: is a pointer of Git LFS"):
        await world.colors(world.of(enable_lfs=False), commit)

    assert world.lfs.asked == []


async def test_a_submodule_s_files_are_asked_for_at_its_own_address(world: World) -> None:
    pointer = world.lfs.keep(colored("inner", "blue").encode())
    inner = world.git.repository("inner", **{"a.yaml": pointer})
    world.git.repository("shop")
    commit = world.git.link("shop", "base", "../inner.git", inner)

    assert await world.colors(world.of(), commit) == {"inner": "blue"}
    assert world.lfs.batches == ["/inner.git"]
