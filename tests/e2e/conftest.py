"""The whole system: the session's sandbox, and the controller under the chart's own ServiceAccount."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from rollouts import kube as kubes
from rollouts import sandbox
from rollouts.kube import Kube
from tests.e2e import installation
from tests.e2e.installation import Controller, Installation
from tests.e2e.together import Scenarios, under_way
from tests.e2e.world import Worlds

_LOG_LINES = 80
_WORLDS = 3


@pytest.fixture(scope="session")
def installed(cluster: sandbox.Sandbox) -> Installation:
    return installation.install(cluster)


@pytest.fixture(scope="module")
def controller(installed: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    """The one controller of the cluster, while a module needs it."""
    process = installed.controller(tmp_path_factory.mktemp("controller"))
    process.start()
    yield process
    assert process.stop() == 0


@pytest.fixture
async def worlds(kube: Kube, installed: Installation, tmp_path: Path) -> AsyncIterator[Worlds]:
    """Namespaces; they bring their own controllers."""
    found = Worlds(kube, installed, tmp_path)
    yield found
    await found.end()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_worlds(
    cluster: sandbox.Sandbox,
    installed: Installation,
    controller: Controller,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Worlds]:
    """Namespaces that the controller of the cluster serves, for scenarios that outlive a test."""
    client = await kubes.connect(str(cluster.kubeconfig))
    found = Worlds(client, installed, tmp_path_factory.mktemp("worlds"), controller)
    yield found
    await found.end()
    await client.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scenarios(
    request: pytest.FixtureRequest, shared_worlds: Worlds
) -> AsyncIterator[Mapping[str, asyncio.Task[None]]]:
    """Those of the module that are wanted, under way."""
    of_module: Scenarios = request.module.SCENARIOS
    items = (item for item in request.session.items if item.getparent(pytest.Module) is request.node)
    wanted = [scenario for item in items if (scenario := _scenario(item))]
    async with under_way(of_module.known, wanted, shared_worlds) as started:
        yield started


def _scenario(item: pytest.Item) -> str:
    callspec = getattr(item, "callspec", None)
    return str(callspec.params.get("scenario", "")) if callspec else ""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say of a test that failed what its namespaces and its controllers say."""
    del call
    report = yield
    if report.when == "call" and report.failed:
        report.sections += _told(item)
    return report


def _told(item: pytest.Item) -> Iterator[tuple[str, str]]:
    arguments = getattr(item, "funcargs", {})
    process = arguments.get("controller")
    if isinstance(process, Controller):
        yield "controller", _tail(process.log)
    for worlds in (w for w in arguments.values() if isinstance(w, Worlds)):
        for world in worlds.made.get(_scenario(item), ())[-_WORLDS:]:
            yield world.namespace, world.what_happened()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text().splitlines()[-_LOG_LINES:]) if log.exists() else ""
