"""Every scenario on a real API server, all of them side by side; each is a test of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping

import pytest

from rollouts import kube as kubes
from rollouts import sandbox
from tests.conformance.played import Played, differences
from tests.conformance.sandbox import stage
from tests.conformance.scenario import Scenario, scenarios
from tests.e2e import installation

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

Results = Mapping[str, Played | BaseException]


@pytest.fixture(scope="module")
def results(
    request: pytest.FixtureRequest, cluster: sandbox.Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Results]:
    """What came of each scenario that is wanted."""
    controller = installation.install(cluster).controller(tmp_path_factory.mktemp("controller"))
    controller.start()
    items = (item for item in request.session.items if item.getparent(pytest.Module) is request.node)
    wanted = [item.callspec.params["scenario"] for item in items]  # type: ignore[attr-defined]
    yield asyncio.run(_played(str(cluster.kubeconfig), wanted))
    assert controller.stop() == 0


async def _played(kubeconfig: str, wanted: Iterable[Scenario]) -> Results:
    client = await kubes.connect(kubeconfig)
    try:
        async with stage(client) as found:
            tasks = {scenario.name: asyncio.create_task(found.play(scenario)) for scenario in wanted}
            await asyncio.gather(*tasks.values(), return_exceptions=True)
    finally:
        await client.close()
    return {name: task.exception() or task.result() for name, task in tasks.items()}


@pytest.mark.parametrize("scenario", scenarios(), ids=lambda s: s.name)
def test_on_a_real_api_server(scenario: Scenario, results: Results) -> None:
    played = results[scenario.name]
    if isinstance(played, BaseException):
        raise played

    assert "\n".join(differences(scenario, played)) == "", played.story
