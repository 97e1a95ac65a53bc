"""What a failure of the API server means, at its HTTP boundary; whether it is reached by way of a proxy."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from kubernetes.aio import client as kubernetes_client

from rollouts.errors import Rejected, RolloutsError, Transient
from rollouts.kube import Kube, resources
from rollouts.kube.transport import Transport, _is_proxied, error_of
from rollouts.sandbox import ports

REF = resources.CONFIG_MAP.ref("settings", "prod")
BODY = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "prod"}}
FORBIDDEN = {
    "kind": "Status",
    "code": 403,
    "reason": "Forbidden",
    "message": 'configmaps "settings" is forbidden: User "robot" cannot patch resource "configmaps"',
}


@dataclass(slots=True)
class ApiServer:
    """Starts, stops, and refuses the next few requests."""

    port: int
    refusals: int = 0
    asked: int = 0
    clock: float = 0.0
    code: int = 403
    _runner: web.AppRunner | None = field(default=None, init=False)

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        if self.refusals:
            self.refusals -= 1
            return web.json_response(FORBIDDEN, status=self.code)
        return web.json_response(BODY)


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[tuple[Kube, ApiServer]]:
    (port,) = ports.find(1)
    server = ApiServer(port)
    configuration = kubernetes_client.Configuration(host=f"http://127.0.0.1:{port}")
    kube = Kube(Transport(kubernetes_client.ApiClient(configuration=configuration), lambda: server.clock))
    try:
        yield kube, server
    finally:
        await kube.close()
        await server.stop()


async def dry_run(kube: Kube) -> RolloutsError | None:
    try:
        await kube.apply(REF, BODY, field_manager="tests", dry_run=True)
    except RolloutsError as e:
        return e
    return None


@pytest.mark.parametrize("code", [401, 403])
async def test_a_refusal_right_after_the_api_server_came_back_is_tried_again(code: int) -> None:
    async with served() as (kube, server):
        away = await dry_run(kube)
        server.refusals, server.code = 2, code
        await server.start()

        assert isinstance(away, Transient)
        assert await dry_run(kube) is None
        assert server.asked == 3


async def test_a_lasting_refusal_is_told_as_it_is() -> None:
    async with served() as (kube, server):
        await dry_run(kube)
        server.refusals = 100
        await server.start()

        first = await dry_run(kube)
        server.clock += 30
        seen = server.asked
        lasting = await dry_run(kube)

        assert isinstance(first, Transient)
        assert 'User "robot" cannot patch' in str(first)
        assert isinstance(lasting, Rejected)
        assert str(lasting) == FORBIDDEN["message"]
        assert server.asked == seen + 1


async def test_a_refusal_by_an_api_server_that_was_always_there_is_one() -> None:
    async with served() as (kube, server):
        server.refusals = 1
        await server.start()

        assert isinstance(await dry_run(kube), Rejected)
        assert server.asked == 1


@pytest.mark.parametrize("message", ['namespaces "a" is forbidden: not yet ready to handle request'])
def test_who_says_to_be_not_ready_yet_is_asked_again(message: str) -> None:
    assert isinstance(error_of(403, {"message": message}), Transient)


@pytest.mark.parametrize(
    ("server", "proxied"),
    [
        ("https://cluster.example.com:6443", True),
        ("http://cluster.example.com", False),
        ("https://10.0.0.1", False),
        ("https://api.inside.example.com:6443", False),
    ],
)
def test_a_proxy_of_the_environment_is_used_where_it_is_meant(
    server: str, proxied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "http://proxy.example.com:3128")
    monkeypatch.setenv("NO_PROXY", "10.0.0.1,.inside.example.com")

    assert _is_proxied(server) is proxied
