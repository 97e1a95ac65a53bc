"""Webhooks of a Rollout against endpoints that say no, yes, or nothing at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from tests.api.harness import Bench, Object, eventually, rollout

pytestmark = pytest.mark.api


@dataclass(slots=True)
class Gate:
    """One endpoint: `status` is what it answers, 0: it never does."""

    status: int = 403
    url: str = ""
    phases: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next(int(line.split(":")[1]) for line in head.split("\r\n") if "content-length" in line)
        self.phases.append(json.loads(await reader.readexactly(length))["phase"])
        if self.status:
            writer.write(f"HTTP/1.1 {self.status} X\r\nContent-Length: 0\r\n\r\n".encode())
        else:
            await reader.read()
        writer.close()


@asynccontextmanager
async def gate() -> AsyncIterator[Gate]:
    found = Gate()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/?token=s3cret"
    try:
        yield found
    finally:
        server.close()


def gated(found: Gate, kind: str) -> Object:
    hook = {"name": "gate", "type": kind, "url": found.url, "timeout": "30s", "interval": "1s"}
    return {"canary": {"webhooks": [hook], "steps": [{"setWeight": 50}, {"pause": {}}]}}


async def test_an_update_waits_for_its_gate_through_a_restart_of_the_controller(bench: Bench) -> None:
    async with gate() as found:
        async with bench.controller():
            await bench.create(rollout(replicas=2, **gated(found, "confirm-rollout")))
            await bench.reaches("web", "Healthy")
            assert found.phases == []
            await bench.set_image("web", "web:2")
            paused = await bench.reaches("web", "Paused", currentStepIndex=0)
            assert paused["status"]["pauseConditions"][0]["reason"] == "WebhookGate"
            assert "s3cret" not in json.dumps(paused["status"])
            assert await bench.replicas("web") == {"1": 2, "2": 0}

        found.status = 200
        async with bench.controller():
            await bench.reaches("web", "Paused", currentStepIndex=1)

    assert await bench.replicas("web") == {"1": 1, "2": 1}
    assert set(found.phases) == {"Waiting"}


async def test_an_endpoint_that_hangs_holds_up_no_abort(bench: Bench) -> None:
    async with gate() as found:
        found.status = 0
        async with bench.controller():
            await bench.create(rollout(replicas=2, **gated(found, "rollout")))
            await bench.reaches("web", "Healthy")
            await bench.set_image("web", "web:2")
            await eventually(asked(found))

            await bench.steer("web", abort=True)
            await bench.reaches("web", "Degraded")

    assert (await bench.get("Rollout", "web"))["status"]["abortReason"]["reason"] == "Aborted"


def asked(found: Gate) -> Callable[[], Awaitable[list[str]]]:
    async def question() -> list[str]:
        return found.phases

    return question
