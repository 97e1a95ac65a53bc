"""Receives webhooks of Git hosts while this process leads: `POST /hook` (and Argo CD's `/api/webhook`).

Decides nothing: `gitops.webhooks` says who sent it and which repository it is about, `Repositories` looks
at that one. Answers before anything is looked at, so a slow Git host never times out its own webhook, and the
same to everybody who has a secret, whether that repository is followed or not.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from rollouts.controller.health import Server
from rollouts.gitops.hosting import webhooks

__all__ = ["Receiver"]

log = logging.getLogger(__name__)

PATHS = ("/hook", "/api/webhook")
MAX_BODY_BYTES = 10 * 1024 * 1024
_BODY_SECONDS = 10.0

Look = Callable[[frozenset[str]], int]
"""Look at the repositories with these identities, if somebody follows them; how many that are."""


class Receiver:
    """One server. `secrets` is a file with one secret a line, read again when it changes."""

    def __init__(self, address: str, secrets: Path, look: Look) -> None:
        self._address = address
        self._secrets = secrets
        self._look = look
        self._read: tuple[int, tuple[bytes, ...]] = (-1, ())

    async def serve(self) -> None:
        """Until cancelled."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        for path in PATHS:
            app.router.add_post(path, self._receive)
        server = Server(self._address, app, flag="--webhook-address")
        await server.start()
        try:
            await asyncio.Event().wait()
        finally:
            await server.stop()

    async def _receive(self, request: web.Request) -> web.Response:
        body = await _body(request) if webhooks.bears_signature(request.headers) else b""
        if not webhooks.is_signed(request.headers, body, self._known()):
            log.warning("a webhook without a valid signature was refused")
            return web.Response(status=401, text="the signature is missing or not ours\n")
        named = webhooks.repositories(body)
        if named is None:
            log.warning("a webhook whose payload is no JSON object was refused")
            return web.Response(
                status=400, text="not a JSON object; choose the content type application/json\n"
            )
        looked = self._look(named)
        log.info(
            "webhook: %s",
            ", ".join(sorted(named)) or "names no repository",
            extra={"fields": {"looked": looked}},
        )
        return web.Response(status=202)

    def _known(self) -> tuple[bytes, ...]:
        """The secrets. A file that cannot be read lets nobody in."""
        try:
            changed = self._secrets.stat().st_mtime_ns
            if changed != self._read[0]:
                lines = self._secrets.read_bytes().splitlines()
                self._read = changed, tuple(line.strip() for line in lines if line.strip())
        except OSError as e:
            log.warning("webhook secrets cannot be read: %s", e)
            self._read = (-1, ())
        return self._read[1]


async def _body(request: web.Request) -> bytes:
    """All of it, if that is not too much and does not take too long."""
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise web.HTTPRequestEntityTooLarge(MAX_BODY_BYTES, request.content_length or 0)
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
