"""The receiver of webhooks, as somebody on the network meets it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from rollouts.controller.applications.receiver import MAX_BODY_BYTES, Receiver
from rollouts.gitops.hosting import webhooks
from rollouts.sandbox import ports

SECRET = "only-the-host-knows"
BODY = json.dumps({"repository": {"clone_url": "https://git.example.com/team/shop.git"}}).encode()
SHOP = "git.example.com/team/shop"


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    made = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"X-Hub-Signature-256": f"sha256={made}"}


@dataclass(slots=True)
class Bench:
    port: int
    session: aiohttp.ClientSession
    followed: frozenset[str] = frozenset({SHOP})
    looked: list[frozenset[str]] = field(default_factory=list)

    def look(self, named: frozenset[str]) -> int:
        self.looked.append(named)
        return len(named & self.followed)

    async def send(
        self,
        body: object = BODY,
        headers: dict[str, str] | None = None,
        *,
        path: str = "/hook",
        method: str = "POST",
    ) -> tuple[int, str, dict[str, str]]:
        """Status, text and headers of the answer."""
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self.session.request(method, url, data=body, headers=headers) as answer:
            told = {k: v for k, v in answer.headers.items() if k != "Date"}
            return answer.status, await answer.text(), told


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    secrets = tmp_path / "secrets"
    secrets.write_text(f"an-older-one\n{SECRET}\n")
    (port,) = ports.find(1)
    async with aiohttp.ClientSession() as session:
        made = Bench(port, session)
        serving = asyncio.create_task(Receiver(f"127.0.0.1:{port}", secrets, made.look).serve())
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0)
        yield made
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


@pytest.mark.parametrize("path", ["/hook", "/api/webhook"])
async def test_a_signed_delivery_makes_us_look_at_its_repository(bench: Bench, path: str) -> None:
    status, _, _ = await bench.send(BODY, signed(BODY), path=path)

    assert (status, bench.looked) == (202, [frozenset({SHOP})])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        signed(BODY, "guessed"),
        signed(BODY + b" "),
        {"X-Hub-Signature": "sha1=" + hmac.new(SECRET.encode(), BODY, hashlib.sha1).hexdigest()},
        {"X-Gitlab-Token": "guessed"},
        {"X-Gitlab-Token": SECRET[:-1]},
        {"X-Gitea-Signature": signed(BODY, "guessed")["X-Hub-Signature-256"].removeprefix("sha256=")},
        {"X-Forgejo-Signature": "00" * 32},
        {"X-Gogs-Signature": ""},
        {"X-Signature": "sha256="},
        # Not by the first header that fits, either.
        {"X-Hub-Signature-256": "sha256=" + "00" * 32, "X-Gitlab-Token": SECRET},
        {"Authorization": f"Bearer {SECRET}"},
    ],
    ids=[
        "nothing",
        "github",
        "github-other-body",
        "bitbucket-server-sha1",
        "gitlab",
        "gitlab-prefix",
        "gitea",
        "forgejo",
        "gogs-empty",
        "generic-empty",
        "two",
        "bearer",
    ],
)
async def test_a_forged_delivery_of_any_host_is_not_looked_at(
    bench: Bench, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    status, text, _ = await bench.send(BODY, headers)

    assert (status, bench.looked) == (401, [])
    assert SECRET not in text + caplog.text


async def test_nobody_learns_which_repositories_are_followed(bench: Bench) -> None:
    other = BODY.replace(b"shop", b"bank")

    known, unknown = await bench.send(BODY, signed(BODY)), await bench.send(other, signed(other))
    forged, forged_unknown = await bench.send(BODY, signed(b"")), await bench.send(other, signed(b""))

    assert (known, forged) == (unknown, forged_unknown)
    assert known[0] == 202


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_only_post_is_served(bench: Bench, method: str) -> None:
    status, _, _ = await bench.send(BODY, signed(BODY), method=method)

    assert (status, bench.looked) == (405, [])


@pytest.mark.parametrize("path", ["/", "/hook/", "/hook/x", "/api", "/metrics", "/..%2fhook"])
async def test_there_is_nothing_else_at_this_address(bench: Bench, path: str) -> None:
    status, _, _ = await bench.send(BODY, signed(BODY), path=path)

    assert (status, bench.looked) == (404, [])


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b"payload=%7B%22a%22%3A1%7D", b"[" * 100_000]
)
async def test_what_is_no_json_object_is_refused_with_the_remedy(bench: Bench, body: bytes) -> None:
    status, text, _ = await bench.send(body, signed(body))

    assert (status, bench.looked) == (400, [])
    assert "application/json" in text


async def test_a_content_type_is_not_believed(bench: Bench) -> None:
    status, _, _ = await bench.send(BODY, {**signed(BODY), "Content-Type": "image/png"})

    assert (status, bench.looked) == (202, [frozenset({SHOP})])


async def test_a_body_that_says_to_be_too_long_is_not_waited_for(bench: Bench) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.port)
    head = (
        f"POST /hook HTTP/1.1\r\nHost: x\r\nX-Signature: 00\r\nContent-Length: {MAX_BODY_BYTES + 1}\r\n\r\n"
    )
    writer.write(head.encode())

    async with asyncio.timeout(20):
        answer = await reader.readline()
    writer.close()

    assert answer.split()[1] == b"413"


async def test_a_body_without_end_is_cut_off(bench: Bench) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65536
            yield b"x" * 65536

    with contextlib.suppress(aiohttp.ClientError):
        status, _, _ = await bench.send(endless(), {"X-Signature": "00"})
        assert status == 413

    assert MAX_BODY_BYTES < sent < 4 * MAX_BODY_BYTES
    assert bench.looked == []


async def test_without_a_signature_the_body_is_not_read(bench: Bench) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.port)
    writer.write(b"POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")

    async with asyncio.timeout(20):
        answer = await reader.readline()
    writer.close()

    assert answer.split()[1] == b"401"


def test_a_signature_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []

    def noted(a: bytes, b: bytes) -> bool:
        compared.append((len(a), len(b)))
        return False

    monkeypatch.setattr(webhooks.hmac, "compare_digest", noted)

    assert not webhooks.is_signed(signed(BODY), BODY, [SECRET.encode()])
    assert not webhooks.is_signed({"X-Gitlab-Token": SECRET}, BODY, [SECRET.encode()])
    assert compared == [(64, 64), (len(SECRET), len(SECRET))]
