"""What people see and do with the real kubectl: columns, waits, descriptions, and the words of the plugin."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping

import pytest

from tests.api.harness import Object, eventually, rollout, service, steps
from tests.e2e.applications.harness import App, Checkout, config_map
from tests.e2e.together import Scenarios
from tests.e2e.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

SCENARIOS = Scenarios()


@SCENARIOS.add
async def on_call_steers_a_canary(world: World) -> None:
    await _says(world, "apply --filename=-", _canary())
    await _waits(world, "condition=Healthy", "condition=Available", "condition=Completed")
    assert await _columns(world) == "Healthy 2/2 0 4 4 1"

    assert "image updated" in await _says(world, "rollouts set image web main=web:2")
    await _waits(world, "condition=Paused", "jsonpath={.status.phase}=Paused")
    assert await _columns(world) == "Paused 1/2 25 4 4 2"
    assert (await world.kubectl("rollouts", "status", "web", "--timeout=1s")).code == 3
    await _described_once(world, "rollout", "web")

    assert "aborted" in await _says(world, "rollouts abort web")
    await _waits(world, "jsonpath={.status.phase}=Degraded", "condition=Healthy=False")
    assert (await world.kubectl("rollouts", "status", "web")).code == 1
    assert await world.replicas("web") == {"1": 4, "2": 0}

    assert "retried" in await _says(world, "rollouts retry web")
    await _waits(world, "condition=Paused", "jsonpath={.status.currentStepIndex}=1")
    assert "promoted" in await _says(world, "rollouts promote web")
    assert (await _says(world, "rollouts status web")).splitlines()[-1] == "Healthy"

    assert "image updated" in await _says(world, "rollouts set image web main=web:3")
    await _waits(world, "jsonpath={.status.currentRevision}=3", "condition=Paused")
    assert "promoted fully" in await _says(world, "rollouts promote web --full")
    await _waits(world, "condition=Completed", "condition=Healthy")
    assert "undone to revision 2" in await _says(world, "rollouts undo web")
    await _waits(world, "jsonpath={.status.currentRevision}=4", "condition=Paused")
    await _says(world, "rollouts promote web --full")
    await _waits(world, "condition=Completed", "condition=Healthy")
    shown = json.loads(await _says(world, "rollouts history web -o json"))
    assert [r["images"] for r in shown["revisions"]] == [["web:2"], ["web:3"], ["web:1"]]


@SCENARIOS.add
async def a_person_holds_an_update_scales_it_and_lets_it_go(world: World) -> None:
    await _says(world, "apply --filename=-", rollout(replicas=2))
    await _waits(world, "condition=Healthy")
    assert "paused" in await _says(world, "rollouts pause web")
    await _says(world, "rollouts set image web main=web:2")
    await _waits(world, "jsonpath={.status.phase}=Paused")

    assert "scaled" in await _says(world, "scale rollout web --replicas=3")
    await _waits(world, "jsonpath={.status.readyReplicas}=3")
    assert (await world.replicas("web"))["1"] == 3

    assert "resumed" in await _says(world, "rollouts resume web")
    await _waits(world, "jsonpath={.status.currentRevision}=2", "condition=Completed", "condition=Healthy")
    assert (await world.replicas("web")) == {"1": 0, "2": 3}
    before = {p["metadata"]["uid"] for p in await world.list("Pod")}
    assert "restarts" in await _says(world, "rollouts restart web")

    async def replaced() -> bool:
        alive = [p for p in await world.list("Pod") if "deletionTimestamp" not in p["metadata"]]
        return len(alive) == 3 and not {p["metadata"]["uid"] for p in alive} & before

    await eventually(replaced)
    assert await world.replicas("web") == {"1": 0, "2": 3}
    await _described_once(world, "rollout", "web")


@SCENARIOS.add
async def on_call_switches_a_blue_green_over(world: World) -> None:
    for name in ("web", "web-preview"):
        await world.create(service(name))
    strategy: Object = {
        "activeService": "web",
        "previewService": "web-preview",
        "autoPromotionEnabled": False,
        "scaleDownDelaySeconds": 1,
    }
    await _says(world, "apply --filename=-", rollout(replicas=2, blueGreen=strategy))
    await _waits(world, "condition=Healthy")

    await _says(world, "rollouts set image web main=web:2")
    await _waits(world, "condition=Paused")
    listed = (await _says(world, "rollouts list")).splitlines()[1].split()
    assert listed[:3] == ["web", "Paused", "BlueGreen"]
    assert "rollouts promote web" in await _says(world, "rollouts get web")

    await _says(world, "rollouts promote web")
    await _waits(world, "condition=Completed", "condition=Healthy")
    assert await world.replicas("web") == {"1": 0, "2": 2}
    await _described_once(world, "rollout", "web")


@SCENARIOS.add
async def a_team_follows_its_application(world: World) -> None:
    repository = await world.repository()
    checkout = await asyncio.to_thread(Checkout.of, world.pushed_to(repository), world.directory / "checkout")
    commit = await asyncio.to_thread(checkout.push, {"settings.yaml": config_map("settings", color="blue")})
    await world.create(world.git_secret("git"))
    await App(world, "shop").create(repository.url, secret="git", interval="1h")

    await _waits(world, "condition=Ready", of="application/shop")
    found = (await _says(world, "get applications --no-headers")).split()
    assert found[:5] == ["shop", "Synced", "Healthy", "True", "ReconciliationSucceeded"]
    assert commit[:7] in await _says(world, "rollouts app get shop")

    newer = await asyncio.to_thread(checkout.push, {"settings.yaml": config_map("settings", color="red")})
    await _says(world, "rollouts app sync shop")
    await _waits(world, f"jsonpath={{.status.runningRevision}}=main@sha1:{newer}", of="application/shop")
    await _waits(world, "condition=Ready", of="application/shop")
    assert "shop" in await _says(world, "rollouts app list")
    await _described_once(world, "application", "shop")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("scenario", SCENARIOS.known)
async def test_people(scenario: str, scenarios: Mapping[str, asyncio.Task[None]]) -> None:
    await scenarios[scenario]


def _canary() -> Object:
    return rollout(replicas=4, **steps({"setWeight": 25}, {"pause": {}}))


async def _says(world: World, command: str, stdin: Object | None = None) -> str:
    answer = await world.kubectl(*command.split(), stdin=json.dumps(stdin) if stdin else "")
    assert answer.code == 0, answer
    return answer.out


async def _waits(world: World, *conditions: str, of: str = "rollout/web") -> None:
    for condition in conditions:
        await _says(world, f"wait --for={condition} {of} --timeout=90s")


async def _columns(world: World) -> str:
    """Phase, step, weight, ready, desired, revision, as `kubectl get` shows them."""
    return " ".join((await _says(world, "get rollouts --no-headers")).split()[1:7])


async def _described_once(world: World, kind: str, name: str) -> None:
    """`kubectl describe` tells every fact once."""
    described = await _says(world, f"describe {kind} {name}")
    _, _, table = described.partition("\nEvents:")
    told = [" ".join(line.split()[4:]) for line in table.splitlines()[3:]]
    assert told
    assert [fact for fact, count in Counter(told).items() if count > 1] == []
