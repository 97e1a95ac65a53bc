"""Small HTTP servers: /healthz, /livez and /readyz, and /metrics.

Decides what alive and ready mean: alive while the event loop answers and no key has waited for very long;
ready when the stores are in sync. A standby replica is alive and ready.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from rollouts.controller.metrics import Metrics
from rollouts.errors import RolloutsError, in_words

__all__ = ["Server", "health", "metrics"]

Check = Callable[[], str]
"""Empty when all is well, else what is wrong."""

_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Server:
    """Some paths at one address (`:8080` means all of this host), which `flag` names."""

    def __init__(self, address: str, app: web.Application, *, flag: str) -> None:
        self._address = address
        self._flag = flag
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)

    async def start(self) -> None:
        host, _, port = self._address.rpartition(":")
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host.strip("[]") or None, int(port)).start()
        except OSError as e:
            raise RolloutsError(
                f"cannot listen at {self._address}: {in_words(e)}; name another address with {self._flag}"
            ) from e

    async def stop(self) -> None:
        await self._runner.cleanup()


def health(address: str, *, alive: Check, ready: Check) -> Server:
    app = web.Application()
    app.router.add_get("/healthz", _answer(alive))
    app.router.add_get("/livez", _answer(alive))
    app.router.add_get("/readyz", _answer(ready))
    return Server(address, app, flag="--health-address")


def metrics(address: str, source: Metrics) -> Server:
    async def exposition(_: web.Request) -> web.Response:
        return web.Response(body=source.exposition(), headers={"Content-Type": _CONTENT_TYPE})

    app = web.Application()
    app.router.add_get("/metrics", exposition)
    return Server(address, app, flag="--metrics-address")


def _answer(check: Check) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        problem = check()
        return web.Response(text=problem or "ok", status=503 if problem else 200)

    return answer
