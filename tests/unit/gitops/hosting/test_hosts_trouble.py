"""Git hosts that hang, fail, or say too much: bounded in time and size, told without a secret, no worker held."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from rollouts.api.application_status import ApplicationReason, CommitState
from rollouts.api.git_host import GitProvider
from rollouts.controller.applications.hosting import Turns
from rollouts.errors import Transient
from rollouts.gitops.hosting import hosts
from rollouts.gitops.hosting.hosts import HOSTS, Client
from rollouts.gitops.sources.credentials import Credentials
from rollouts.gitops.sources.git import SourceError
from rollouts.gitops.sources.web import SlowError, Web

TOKEN = "t0ken-of-a-robot"
COMMIT = "a" * 40
WEB, IMPATIENT = hosts.web(), Web(ApplicationReason.GIT_OPERATION_FAILED, 0.3)
"""Shared: to read all authorities takes a while."""

Answering = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Host:
    """A server that answers as a test wants it."""

    answering: Answering
    url: str = ""
    asked: int = 0
    connections: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            await self.answering(writer)
        writer.close()


@contextlib.asynccontextmanager
async def host(answering: Answering) -> AsyncIterator[Host]:
    made = Host(answering)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        for connection in made.connections:
            connection.transport.abort()


def client(url: str, provider: GitProvider, web: Web | None = None, turns: Turns | None = None) -> Client:
    place = hosts.place(provider, "https://git.example.com/team/shop.git", url)
    turn = turns.turn if turns else contextlib.nullcontext
    return Client(HOSTS[provider], place, Credentials(password=TOKEN), web or WEB, turn)


async def post(one: Client) -> SourceError:
    """Post a commit status, propose a pull request: the same complaint."""
    repository = one.place.repository
    told = []
    for asked in (
        one.host.post_status(repository, COMMIT, CommitState.SUCCESS, "c", "d"),
        one.host.propose(repository, "a", "main", "title", "text"),
    ):
        with pytest.raises(SourceError) as refused:
            await one.ask(asked)
        assert TOKEN not in str(refused.value)
        assert len(str(refused.value)) < 600
        told.append(refused.value)
    return told[0]


def answering(status: int, body: bytes, **headers: str) -> Answering:
    async def answer(writer: asyncio.StreamWriter) -> None:
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{more}\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    return answer


async def silent(writer: asyncio.StreamWriter) -> None:
    await writer.wait_closed()


async def dripping(writer: asyncio.StreamWriter) -> None:
    """Never quiet for long, and never done."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 500 X\r\nConnection: close\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


@pytest.mark.parametrize("provider", list(GitProvider))
@pytest.mark.parametrize("hangs", [silent, dripping])
async def test_a_host_that_hangs_is_given_up(provider: GitProvider, hangs: Answering) -> None:
    async with host(hangs) as served:
        found = await post(client(served.url, provider, IMPATIENT))

    assert isinstance(found, SlowError)
    assert not found.definite
    assert "took longer than 0.3 s" in str(found)


@pytest.mark.parametrize("provider", list(GitProvider))
async def test_an_answer_without_end_is_cut_off(provider: GitProvider) -> None:
    async with host(endless) as served:
        found = await post(client(served.url, provider))

    assert "answers with more than 4194304 bytes" in str(found)


@pytest.mark.parametrize("provider", list(GitProvider))
@pytest.mark.parametrize(
    ("status", "body", "definite", "words"),
    [
        (500, b"", False, "answers 500: no reason given"),
        (502, b"<html>" + b"x" * 100_000, False, "answers 502: no reason given"),
        (503, json.dumps({"message": "x" * 100_000}).encode(), False, "xxx…"),
        (429, b'{"message": "slow down"}', False, "answers 429: slow down"),
        (401, b'{"message": "Bad credentials"}', True, "check that the token is valid"),
        # It says what it was told in confidence.
        (403, json.dumps({"message": f"token {TOKEN} may not"}).encode(), True, "token … may not"),
        (400, json.dumps({"message": {"token": [TOKEN]}}).encode(), True, "answers 400"),
        (200, b"<html>", False, "without JSON"),
        (204, b"", False, "without JSON"),
    ],
)
async def test_what_a_host_says_is_told_shortly_and_without_secrets(
    provider: GitProvider, status: int, body: bytes, definite: bool, words: str
) -> None:
    async with host(answering(status, body)) as served:
        found = await post(client(served.url, provider))

    assert words in str(found)
    assert found.definite is definite


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("30", 30), ("99999999999", 600), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None), ("1e9", None)],
)
async def test_a_host_that_says_when_to_come_again_is_believed_within_reason(
    given: str, seconds: float | None
) -> None:
    async with host(answering(429, b"{}", Retry_After=given)) as served:
        found = await post(client(served.url, GitProvider.GITHUB))

    assert found.retry_after == seconds


async def test_a_host_that_hangs_holds_one_worker_and_no_other_host() -> None:
    """Whoever comes while it is asked goes away at once and comes again."""
    async with host(silent) as hung, host(answering(201, b"{}")) as well:
        turns = {h.url: Turns(h.url) for h in (hung, well)}
        webs = {hung.url: IMPATIENT, well.url: WEB}

        async def ask(h: Host) -> str:
            one = client(h.url, GitProvider.GITEA, webs[h.url], turns[h.url])
            asked = one.host.post_status("team/shop", COMMIT, CommitState.SUCCESS, "c", "d")
            try:
                await one.ask(asked)
            except (SourceError, Transient) as e:
                return type(e).__name__
            return "done"

        first = await asyncio.gather(*(ask(hung) for _ in range(100)), *(ask(well) for _ in range(100)))
        assert first[100:] == ["done"] * 100
        assert hung.asked <= 9
        before = hung.asked

        again = await asyncio.gather(*(ask(hung) for _ in range(100)), ask(well))
        assert (again.count("SlowError"), again.count("Transient"), again[-1]) == (1, 99, "done")
        assert hung.asked == before + 1

        hung.answering, webs[hung.url] = well.answering, WEB
        assert await ask(hung) == "done"
        assert await asyncio.gather(*(ask(hung) for _ in range(20))) == ["done"] * 20
