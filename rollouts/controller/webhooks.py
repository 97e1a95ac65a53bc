"""Calls of the webhooks of Rollouts, beside the workers: an endpoint that hangs delays nothing but itself.

Which call is due, and what an answer means, is `rollouts.delivery.webhooks`'s. Answers wait here, in memory, until
a decision has written them to the status; lost in a crash, the endpoint is asked again. No URL is ever shown:
it may hold a secret.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx

from rollouts.api.meta import ObjectMeta
from rollouts.api.rollout import Rollout
from rollouts.api.webhook import Webhook, WebhookType
from rollouts.controller.cache import Key
from rollouts.controller.queue import Queue
from rollouts.delivery.actions import Event, WebhookCall
from rollouts.delivery.snapshot import WebhookAnswer

__all__ = ["Caller", "Reply", "ask"]

log = logging.getLogger(__name__)

_AT_ONCE = 100
_MOST_BYTES = 4096
_SHOWN = 200
_SHORTEST_SECRET = 4
_LONG = 16
_TELL_AGAIN = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Reply:
    """What an endpoint said, in words that hold no secret of its URL."""

    ok: bool
    message: str


@dataclass(slots=True)
class _Asked:
    """The webhooks of one Rollout that are waited for."""

    uid: str
    answers: dict[str, WebhookAnswer] = field(default_factory=dict)
    under_way: dict[str, asyncio.Task[None]] = field(default_factory=dict)


class Caller:
    """Calls webhooks in tasks of their own and rings the Rollout when an answer is there.

    A call waits for its time in its task, so that a gate which is asked again and again costs no decisions.
    """

    def __init__(self, queue: Queue, now: Callable[[], datetime]) -> None:
        self._queue = queue
        self._now = now
        self._asked: dict[Key, _Asked] = {}
        self._telling: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._clients: dict[bool, httpx.AsyncClient] = {}

    def answers(self, key: Key, uid: str) -> Mapping[str, WebhookAnswer]:
        """The answers that no status may hold yet."""
        known = self._asked.get(key)
        return dict(known.answers) if known and known.uid == uid else {}

    def want(self, key: Key, rollout: Rollout, calls: Sequence[WebhookCall], checksum: str) -> None:
        """Start what is due, go on with what is under way, drop the rest."""
        known = self._asked.get(key)
        if known is None or known.uid != rollout.metadata.uid:
            self.forget(key)
            if not calls:
                return
            known = self._asked[key] = _Asked(rollout.metadata.uid)
        wanted = {call.id for call in calls}
        for call_id in known.under_way.keys() - wanted:
            known.under_way.pop(call_id).cancel()
        for call_id in known.answers.keys() - wanted:
            del known.answers[call_id]
        for call in calls:
            if call.id not in known.under_way:
                body = payload(rollout.metadata, call.phase, checksum, call.webhook.metadata)
                task = asyncio.create_task(self._call(key, known, call, body), name=f"webhook {key}")
                known.under_way[call.id] = task
        if not calls:
            del self._asked[key]

    def tell(self, key: Key, rollout: Rollout, told: Iterable[Event], checksum: str) -> None:
        """Webhooks of type event hear of every event. Nobody waits for them."""
        strategy = rollout.spec.strategy.canary or rollout.spec.strategy.blue_green
        hooks = [w for w in strategy.webhooks if w.type is WebhookType.EVENT] if strategy else []
        for event in told if hooks else ():
            millis = str(int(self._now().timestamp() * 1000))
            about = {"eventMessage": event.message, "eventType": event.type.value, "timestamp": millis}
            for webhook in hooks:
                phase = str(rollout.status.phase or "Progressing")
                body = payload(rollout.metadata, phase, checksum, {**webhook.metadata, **about})
                task = asyncio.create_task(self._tell(key, webhook, body), name=f"event webhook {key}")
                self._telling.add(task)
                task.add_done_callback(self._telling.discard)

    def forget(self, key: Key) -> None:
        """The Rollout is gone, or another one of its name has come."""
        known = self._asked.pop(key, None)
        for task in known.under_way.values() if known else ():
            task.cancel()

    async def close(self) -> None:
        for key in tuple(self._asked):
            self.forget(key)
        for task in tuple(self._telling):
            task.cancel()
        for client in self._clients.values():
            await client.aclose()

    async def _call(self, key: Key, known: _Asked, call: WebhookCall, body: Mapping[str, Any]) -> None:
        await asyncio.sleep(max(0.0, (call.at - self._now()).total_seconds()))
        async with self._slots:
            reply = await ask(self._client(call.webhook), call.webhook, body)
        before = known.answers.get(call.id)
        calls = 1 + (before.calls if before else 0)
        known.answers[call.id] = WebhookAnswer(calls, reply.ok, reply.message, self._now())
        known.under_way.pop(call.id, None)
        _log(key, call.webhook, reply)
        self._queue.add(key)

    async def _tell(self, key: Key, webhook: Webhook, body: Mapping[str, Any]) -> None:
        for attempt in range(webhook.retries + 1):
            if attempt:
                await asyncio.sleep((_TELL_AGAIN * 2 ** min(attempt - 1, 6)).total_seconds())
            async with self._slots:
                reply = await ask(self._client(webhook), webhook, body)
            if reply.ok:
                return
        _log(key, webhook, reply)

    def _client(self, webhook: Webhook) -> httpx.AsyncClient:
        verify = not webhook.disable_tls
        if verify not in self._clients:
            self._clients[verify] = httpx.AsyncClient(verify=verify)
        return self._clients[verify]


def payload(about: ObjectMeta, phase: str, checksum: str, metadata: Mapping[str, str]) -> dict[str, Any]:
    """The body of a call, as Flagger's receivers read it."""
    return {
        "name": about.name,
        "namespace": about.namespace,
        "phase": phase,
        "checksum": checksum,
        "metadata": dict(metadata),
    }


async def ask(client: httpx.AsyncClient, webhook: Webhook, body: Mapping[str, Any]) -> Reply:
    """One call. Never raises but when cancelled: trouble is a no, in words."""
    seconds = webhook.timeout.total_seconds()
    try:
        async with (
            asyncio.timeout(seconds),
            client.stream("POST", webhook.url, json=body, timeout=None) as response,
        ):
            said = await _text(response)
    except TimeoutError:
        return Reply(ok=False, message=f"no answer within {seconds:g} s")
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as e:
        return Reply(ok=False, message=_shown(webhook.url, f"no connection: {e or type(e).__name__}"))
    if response.is_success:
        return Reply(ok=True, message=f"HTTP {response.status_code}")
    words = f"HTTP {response.status_code}" + (f": {said}" if said else "")
    return Reply(ok=False, message=_shown(webhook.url, words))


async def _text(response: httpx.Response) -> str:
    """The beginning of the body in one line; nobody waits for the rest."""
    found = b""
    with contextlib.suppress(httpx.DecodingError):
        async for chunk in response.aiter_bytes():
            found += chunk
            if len(found) >= _MOST_BYTES:
                break
    return " ".join(found[:_MOST_BYTES].decode(errors="replace").split())


def _shown(url: str, text: str) -> str:
    """What may be a secret in the URL is taken out, then the text is cut."""
    for secret in sorted(_secrets(url), key=len, reverse=True):
        text = text.replace(secret, "*****")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _secrets(url: str) -> set[str]:
    parts = urlsplit(url)
    found = {parts.query, parts.username or "", parts.password or ""}
    found |= {value for _, value in parse_qsl(parts.query)}
    found |= {one for one in parts.path.split("/") if len(one) >= _LONG}  # a token, not a word
    found |= {unquote(one) for one in found}
    return {url, *(one for one in found if len(one) >= _SHORTEST_SECRET)}


def _log(key: Key, webhook: Webhook, reply: Reply) -> None:
    fields = {"rollout": str(key), "webhook": webhook.name, "type": webhook.type.value}
    level = logging.DEBUG if reply.ok or webhook.type is WebhookType.ROLLBACK else logging.INFO
    log.log(level, "webhook %s: %s", webhook.name, reply.message, extra={"fields": fields})
