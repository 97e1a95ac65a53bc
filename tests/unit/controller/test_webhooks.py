"""Calls of webhooks: what an answer is, that nobody waits for a slow one, and that no secret is shown."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from rollouts.api.meta import Reason
from rollouts.api.webhook import Webhook, WebhookType
from rollouts.controller.cache import Key
from rollouts.controller.queue import Queue
from rollouts.controller.webhooks import Caller, Reply, ask
from rollouts.delivery.actions import Event, WebhookCall
from tests.builders import canary, rollout

KEY = Key("shop", "web")
ROLLOUT = rollout(canary())


class Endpoint:
    """A server of one socket: answers with a status, or not at all."""

    def __init__(self) -> None:
        self.status, self.text = 200, ""
        self.hangs = False
        self.bodies: list[dict[str, object]] = []
        self.url = ""
        self.asked = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next(int(line.split(":")[1]) for line in head.split("\r\n") if "content-length" in line)
        self.bodies.append(json.loads(await reader.readexactly(length)))
        self.asked.set()
        if self.hangs:
            await reader.read()
        else:
            said = self.text.encode()
            head = f"HTTP/1.1 {self.status} X\r\nContent-Length: {len(said)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + said)
        writer.close()


@asynccontextmanager
async def endpoint() -> AsyncIterator[Endpoint]:
    found = Endpoint()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    found.url = f"http://user:hunter22@127.0.0.1:{port}/gate?token=t0ken"
    try:
        yield found
    finally:
        server.close()


async def said(found: Endpoint, **fields: object) -> Reply:
    async with httpx.AsyncClient() as client:
        return await ask(client, replace(Webhook("gate", found.url), **fields), {"name": "web"})  # type: ignore[arg-type]


def call(found: Endpoint, *, at: datetime | None = None, name: str = "gate") -> WebhookCall:
    webhook = Webhook(name, found.url, WebhookType.CONFIRM_ROLLOUT, metadata={"team": "shop"})
    return WebhookCall(f"id-{name}", webhook, "Waiting", at or datetime.now(UTC))


@asynccontextmanager
async def calling() -> AsyncIterator[tuple[Caller, Queue]]:
    queue = Queue()
    caller = Caller(queue, lambda: datetime.now(UTC))
    yield caller, queue
    await caller.close()


@pytest.mark.parametrize("status", [200, 202, 204])
async def test_every_2xx_is_a_yes(status: int) -> None:
    async with endpoint() as found:
        found.status = status

        assert await said(found) == Reply(ok=True, message=f"HTTP {status}")


@pytest.mark.parametrize("status", [302, 403, 500])
async def test_everything_else_is_a_no_in_its_own_words(status: int) -> None:
    async with endpoint() as found:
        found.status, found.text = status, "not\nyet"

        assert await said(found) == Reply(ok=False, message=f"HTTP {status}: not yet")


async def test_an_endpoint_that_hangs_is_given_up_in_time() -> None:
    async with endpoint() as found:
        found.hangs = True

        reply = await said(found, timeout=timedelta(milliseconds=50))

    assert reply == Reply(ok=False, message="no answer within 0.05 s")


async def test_an_endpoint_that_is_not_there_is_a_no() -> None:
    async with endpoint() as found:
        pass

    reply = await said(found)

    assert not reply.ok
    assert reply.message.startswith("no connection")


async def test_no_secret_of_the_url_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="rollouts")
    async with endpoint() as found, calling() as (caller, queue):
        found.status, found.text = 500, "user hunter22 with token=t0ken failed"
        caller.want(KEY, ROLLOUT, [call(found)], "hash")
        assert await queue.get() == KEY

        (answer,) = caller.answers(KEY, "uid-rollout").values()

    assert "hunter22" not in answer.message + caplog.text
    assert "t0ken" not in answer.message + caplog.text


async def test_an_answer_rings_the_rollout_and_waits_for_its_decision() -> None:
    async with endpoint() as found, calling() as (caller, queue):
        caller.want(KEY, ROLLOUT, [call(found)], "hash")
        assert await queue.get() == KEY

        (answer,) = caller.answers(KEY, "uid-rollout").values()
        assert (answer.ok, answer.calls) == (True, 1)
        assert caller.answers(KEY, "another") == {}
        caller.want(KEY, ROLLOUT, [], "hash")
        assert caller.answers(KEY, "uid-rollout") == {}

    assert found.bodies == [
        {
            "name": "web",
            "namespace": "shop",
            "phase": "Waiting",
            "checksum": "hash",
            "metadata": {"team": "shop"},
        }
    ]


async def test_a_call_that_is_under_way_is_not_made_twice_and_ends_when_nobody_wants_it() -> None:
    async with endpoint() as found, calling() as (caller, _):
        found.hangs = True
        for _ in range(3):
            caller.want(KEY, ROLLOUT, [call(found)], "hash")
        await found.asked.wait()
        (task,) = (task for task in asyncio.all_tasks() if task.get_name() == f"webhook {KEY}")

        caller.want(KEY, ROLLOUT, [], "hash")

        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(found.bodies) == 1


async def test_calls_are_counted() -> None:
    async with endpoint() as found, calling() as (caller, queue):
        found.status = 403
        for count in (1, 2):
            caller.want(KEY, ROLLOUT, [call(found)], "hash")
            queue.done(await queue.get())
            (answer,) = caller.answers(KEY, "uid-rollout").values()
            assert answer.calls == count


async def test_event_webhooks_hear_of_every_event() -> None:
    async with endpoint() as found, calling() as (caller, _):
        hook = Webhook("ears", found.url, WebhookType.EVENT, metadata={"team": "shop"})
        listening = rollout(canary(webhooks=(hook,)))
        caller.tell(KEY, listening, [Event(Reason.PAUSED, "Paused at step 1")], "hash")
        await found.asked.wait()

    (body,) = found.bodies
    metadata = body["metadata"]
    assert isinstance(metadata, dict)
    assert metadata["team"] == "shop"
    assert (metadata["eventMessage"], metadata["eventType"]) == ("Paused at step 1", "Normal")
