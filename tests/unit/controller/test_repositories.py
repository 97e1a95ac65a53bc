"""Repositories as Applications follow them: whose credentials count, and when they are read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from rollouts.api.application_status import ApplicationReason
from rollouts.controller.applications.positions import RemoteKey, Standing, Wanted
from rollouts.controller.applications.remotes import Outside
from rollouts.controller.applications.repositories import Repositories
from rollouts.controller.applications.submodules import Submodules, absolute
from rollouts.controller.cache import Key
from rollouts.gitops.hosting import webhooks
from rollouts.gitops.resources.render import RenderError
from rollouts.gitops.sources import credentials
from rollouts.gitops.sources.commit import CommitFiles
from rollouts.gitops.sources.credentials import Credentials
from rollouts.gitops.sources.git import Git, SourceError
from rollouts.gitops.sources.github_app import GitHubApps
from tests import git_host, http_host
from tests.git_host import Host

PASSWORD = "s3cr3t-w0rd"
SHOP = Key("team", "shop")


@dataclass(slots=True)
class World:
    """A Git server that asks for a password, Secrets, and who follows what."""

    host: Host
    repositories: Repositories
    secrets: dict[str, Mapping[str, str]] = field(default_factory=dict)
    rung: asyncio.Event = field(default_factory=asyncio.Event)
    read: list[str] = field(default_factory=list)

    def remote(self, name: str = "shop", secret: str = "git") -> RemoteKey:
        return RemoteKey(f"{self.host.url}/{name}.git", "team" if secret else "", secret)

    def follow(self, *remotes: RemoteKey, target: str = "main") -> None:
        self.repositories.follow(SHOP, tuple(Wanted(r, target, "", 3600) for r in remotes))

    async def until(self, holds: Callable[[Standing], object]) -> Standing:
        async with asyncio.timeout(20):
            while not ((found := self.repositories.standing(SHOP)) and holds(found)):
                self.rung.clear()
                await self.rung.wait()
        return found

    async def files(self, name: str, commit: str, secret: str = "git") -> CommitFiles:
        remote = self.remote(name, secret)
        mirror = await self.repositories.at_commit(remote, commit)
        return await mirror.at(commit, Submodules(self.repositories.at_commit).of(remote))


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with git_host.serving(tmp_path / "root", "git", PASSWORD) as served:
        yield served


@contextlib.asynccontextmanager
async def world_of(host: Host, tmp_path: Path, secrets: dict[str, Mapping[str, str]]) -> AsyncIterator[World]:
    async def read(_: str, name: str) -> Credentials:
        made.read.append(name)
        if name not in made.secrets:
            raise SourceError(ApplicationReason.AUTHENTICATION_FAILED, "no Secret", definite=True)
        return credentials.of_secret(made.secrets[name])

    outside = Outside(Git(tmp_path / "home"), read, GitHubApps(lambda: datetime.now(UTC)))
    repositories = Repositories(outside, tmp_path / "mirrors", lambda _: made.rung.set())
    made = World(host, repositories, secrets)
    yield made
    await repositories.close()


@pytest.fixture
async def world(host: Host, tmp_path: Path) -> AsyncIterator[World]:
    async with world_of(host, tmp_path, {"git": {"username": "git", "password": PASSWORD}}) as made:
        yield made


@contextlib.contextmanager
def api(answer: Callable[[httpx.Request], httpx.Response]) -> Iterator[str]:
    """An HTTP server on this machine."""

    class Handler(http_host.Handler):
        def do_POST(self) -> None:  # noqa: N802 - a name of the standard library
            response = answer(httpx.Request(self.command, f"http://localhost{self.path}"))
            self.say(response.status_code, response.content)

    with http_host.running(http_host.listening(Handler)) as url:
        yield url


async def test_a_webhook_that_is_sent_again_and_again_asks_its_own_host_once_a_second(world: World) -> None:
    loop = asyncio.get_running_loop()
    commit = world.host.repository("shop", a="1")
    async with git_host.line_to(world.host) as line:
        repository = RemoteKey(f"{line.url}/shop.git", "team", "git")
        world.follow(repository)
        await world.until(lambda s: s.positions)
        mine, others = webhooks.identity(repository.url), webhooks.identity(f"{line.url}/bank.git")
        first, began = len(line.connections), loop.time()

        known = [world.repositories.look(frozenset({others})) for _ in range(3)]
        before = len(line.connections)
        for _ in range(200):
            known.append(world.repositories.look(frozenset({mine, others})))
            await asyncio.to_thread(git_host.git, world.host.root / "shop.git", "rev-parse", "HEAD")

        looks = (len(line.connections) - first) / first
        assert looks <= loop.time() - began + 2
        assert (known, before) == ([0] * 3 + [1] * 200, first)
        pushed = world.host.repository("shop", a="2")
        world.repositories.look(frozenset({mine}))
        found = await world.until(lambda s: s.positions and s.positions[0].commit != commit)

    assert found.positions[0].commit == pushed


async def test_a_changed_secret_is_noticed_with_a_refresh(world: World) -> None:
    commit = world.host.repository("shop", a="1")
    world.follow(world.remote())
    await world.until(lambda s: s.positions)
    world.repositories.refresh(SHOP, "one")
    await world.until(lambda s: s.refreshed == "one")

    world.secrets["git"] = {"username": "git", "password": "changed"}
    world.repositories.refresh(SHOP, "two")
    refused = await world.until(lambda s: s.refreshed == "two")
    world.secrets["git"] = {"username": "git", "password": PASSWORD}
    world.repositories.refresh(SHOP, "three")
    welcome = await world.until(lambda s: s.refreshed == "three")

    assert refused.failure is not None
    assert refused.failure.reason is ApplicationReason.AUTHENTICATION_FAILED
    assert "changed" not in str(refused.failure)
    assert refused.revision == welcome.revision == f"main@sha1:{commit}"
    assert welcome.failure is None


async def test_a_github_app_reads_with_its_token_and_gets_another_when_it_is_refused(
    tmp_path: Path,
) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    tokens = iter(("ghs_revoked", "ghs_good"))

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(201, json={"token": next(tokens), "expires_at": "2099-01-01T00:00:00Z"})

    with git_host.serving(tmp_path / "root", "x-access-token", "ghs_good") as host, api(answer) as url:
        app = {"githubAppID": "7", "githubAppInstallationID": "42", "githubAppPrivateKey": key.decode()}
        commit = host.repository("shop", a="1")
        async with world_of(host, tmp_path, {"git": {**app, "githubAppBaseURL": url}}) as world:
            world.follow(world.remote())
            found = await world.until(lambda s: s.positions)

    assert found.revision == f"main@sha1:{commit}"
    assert list(tokens) == []


async def test_several_sources_are_known_together_or_not_at_all(world: World) -> None:
    shop = world.host.repository("shop", a="1")
    world.follow(world.remote(), world.remote("config"))
    missing = await world.until(lambda s: s.failure)

    config = world.host.repository("config", a="1")
    world.repositories.refresh(SHOP, "now")
    found = await world.until(lambda s: s.positions)

    assert missing.positions == ()
    assert found.revision == f"main@sha1:{shop} + main@sha1:{config}"


async def test_one_repository_twice_is_asked_once(world: World) -> None:
    commit = world.host.repository("shop", a="1")
    world.follow(world.remote(), world.remote())

    found = await world.until(lambda s: s.positions)
    world.repositories.forget(SHOP)

    assert [p.commit for p in found.positions] == [commit, commit]
    assert world.read == ["git"]
    assert world.repositories.standing(SHOP) is None


async def test_a_submodule_is_read_where_it_lies(world: World) -> None:
    inner = world.host.repository("inner", **{"deep.yaml": "deep"})
    world.host.repository("library", **{"base/a.yaml": "library"})
    library = world.host.link("library", "base/more", "../inner.git", inner)
    world.host.repository("shop", **{"own.yaml": "own"})
    shop = world.host.link("shop", "vendor/library", "../library.git", library)

    files = await world.files("shop", shop)

    below = await files.below(["vendor/library/base"])
    everything = await files.below(["."])
    assert {p: f.content for p, f in below.items()} == {
        "vendor/library/base/a.yaml": b"library",
        "vendor/library/base/more/deep.yaml": b"deep",
    }
    assert below.items() <= everything.items()
    assert await files.read(["vendor/library/base/more/deep.yaml", "own.yaml"]) == {
        "vendor/library/base/more/deep.yaml": b"deep",
        "own.yaml": b"own",
    }
    assert set(await files.trees(["vendor/library", "vendor/library/base", "vendor", "nope"])) == {
        "vendor/library",
        "vendor/library/base",
        "vendor",
    }


async def test_a_submodule_on_another_host_is_asked_for_without_our_password(
    world: World, tmp_path: Path
) -> None:
    with git_host.serving(tmp_path / "elsewhere", "git", PASSWORD) as elsewhere:
        library = elsewhere.repository("library", a="1")
        world.host.repository("shop")
        shop = world.host.link("shop", "library", f"{elsewhere.url}/library.git", library)

        with pytest.raises(SourceError) as refused:
            await (await world.files("shop", shop)).below(["library"])

    assert refused.value.reason is ApplicationReason.AUTHENTICATION_FAILED
    assert elsewhere.url in str(refused.value)


async def test_what_others_may_read_is_not_read_by_way_of_a_submodule(world: World, tmp_path: Path) -> None:
    """The commit is in a mirror here, fetched by somebody who may; that lets nobody else in."""
    with git_host.serving(tmp_path / "elsewhere", "other", PASSWORD) as elsewhere:
        private = elsewhere.repository("private", a="secret")
        world.secrets["theirs"] = {"username": "other", "password": PASSWORD}
        theirs = RemoteKey(f"{elsewhere.url}/private.git", "team", "theirs")
        await world.repositories.at_commit(theirs, private)
        world.host.repository("shop")
        shop = world.host.link("shop", "stolen", theirs.url, private)

        with pytest.raises(SourceError):
            await (await world.files("shop", shop)).below(["."])


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("file:///etc", "must be an https, http or ssh URL"),
        ("/etc", "must be an https"),
        ("ext::sh -c touch% pwned", "must be an https"),
        ("--upload-pack=touch pwned", "must be an https"),
        ("ssh://-oProxyCommand=touch/x", "names no host"),
        ("git@-oProxyCommand=x:y", "must be an https"),
    ],
)
async def test_a_submodule_is_never_a_command_nor_a_file_of_ours(
    world: World, url: str, problem: str
) -> None:
    world.host.repository("shop")
    shop = world.host.link("shop", "library", url, "a" * 40)

    with pytest.raises(RenderError, match=problem):
        await (await world.files("shop", shop)).below(["."])


async def test_a_submodule_of_itself_ends(world: World) -> None:
    first = world.host.repository("shop", a="1")
    commit = world.host.link("shop", "me", "./", first)
    for _ in range(7):
        git_host.git(world.host.root / "shop.git", "update-index", "--cacheinfo", f"160000,{commit},me")
        commit = world.host.commit("shop")

    with pytest.raises(RenderError, match="nested deeper"):
        await (await world.files("shop", commit)).below(["."])


async def test_a_submodule_that_nobody_reads_is_not_fetched(world: World) -> None:
    world.host.repository("shop", **{"app/a.yaml": "1"})
    shop = world.host.link("shop", "vendor", "../gone.git", "a" * 40)

    files = await world.files("shop", shop)

    assert set(await files.below(["app"])) == {"app/a.yaml"}


@pytest.mark.parametrize(
    ("parent", "url", "expected"),
    [
        ("https://h/team/shop.git", "../lib.git", "https://h/team/lib.git"),
        ("https://h/team/shop.git", "../../other/lib", "https://h/other/lib"),
        ("https://h/team/shop.git/", "./lib", "https://h/team/shop.git/lib"),
        ("git@h:team/shop.git", "../lib.git", "git@h:team/lib.git"),
        ("git@h:team/shop.git", "https://o/x", "https://o/x"),
    ],
)
def test_a_relative_address_is_beside_the_parent_s(parent: str, url: str, expected: str) -> None:
    assert absolute(parent, url) == expected


def test_a_relative_address_does_not_leave_its_host() -> None:
    with pytest.raises(RenderError, match="points above the host"):
        absolute("git@h:team/shop.git", "../../../x")
