"""The main job: a team pushes, the good is promoted, the bad is put back as a whole and stays out.

Asserted from the API server and from where the requests of the traffic model really went. All scenarios are
served by one controller, which is killed and started again under their feet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from rollouts.kube import resources
from tests.api.harness import Object, eventually
from tests.e2e.applications import shop
from tests.e2e.applications.harness import App, Checkout
from tests.e2e.applications.shop import Release
from tests.e2e.together import Scenarios
from tests.e2e.world import HASH, World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

SCENARIOS = Scenarios()
Files = Callable[[str, str, Release], dict[str, str]]
_SECONDS = 120.0
_POLLS = 10


@dataclass(frozen=True, slots=True)
class Team:
    """Whoever pushes to one repository, and the Application that follows it."""

    world: World
    app: App
    checkout: Checkout
    files: Files

    async def push(self, release: Release) -> str:
        files = self.files(self.world.namespace, self.world.installation.cluster.prometheus_url, release)
        gone = dict.fromkeys(await asyncio.to_thread(self._unused, files))
        return await asyncio.to_thread(self.checkout.push, {**gone, **files})

    def _unused(self, files: Mapping[str, str]) -> set[str]:
        return {path.name for path in self.checkout.directory.glob("*.yaml")} - set(files)

    async def is_good(self, commit: str) -> None:
        await self.app.runs(commit, seconds=_SECONDS)

    async def is_back(self, version: str, greeting: str) -> None:
        """All of one release: template, config, no object that it does not have, no pod of another one."""

        async def there() -> bool:
            rollout = await self.world.get("Rollout", "web")
            status = rollout.get("status") or {}
            image = rollout["spec"]["template"]["spec"]["containers"][0]["image"]
            stable = status.get("stableRS")
            return (
                image.endswith(f":{version}")
                and status.get("phase") == "Healthy"
                and stable == status.get("currentPodHash")
                and await self.app.config(shop.CONFIG) == {"greeting": greeting}
                and await self.app.config(shop.ADDED) is None
                and {s["metadata"]["labels"][HASH] for s in await self._serving()} == {stable}
            )

        await eventually(there, seconds=_SECONDS)

    async def _serving(self) -> list[Object]:
        return [s for s in await self.world.list("ReplicaSet") if s["status"].get("replicas")]

    async def refreshed(self, token: str) -> None:
        await self.app.annotate(refresh=token)
        await self.app.handles(token, seconds=_SECONDS)

    async def stable(self) -> str:
        return str((await self.world.get("Rollout", "web"))["status"]["stableRS"])


@SCENARIOS.add
async def a_bad_canary_is_put_back_and_stays_out(world: World) -> None:
    # A quarter of the pods is the most that the canary has before its analysis.
    await _a_bad_commit(await _shop(world, shop.canary), most_of_the_requests=0.4)


@SCENARIOS.add
async def a_bad_blue_green_is_put_back_and_stays_out(world: World) -> None:
    await _a_bad_commit(await _shop(world, shop.blue_green), most_of_the_requests=0)


@SCENARIOS.add
async def a_revert_goes_back_without_steps_and_without_analysis(world: World) -> None:
    team = await _shop(world, shop.canary)
    first = await team.stable()
    await team.is_good(await team.push(Release("v2", greeting="two")))
    second = await team.stable()
    told, runs = await world.told("web"), await world.list("AnalysisRun")

    reverted = await asyncio.to_thread(team.checkout.revert)
    await team.is_good(reverted)
    await team.is_back("v1", "hello")

    news = [event.partition(":")[0] for event in (await world.told("web"))[len(told) :]]
    assert "RolloutStepCompleted" not in news
    assert "RolloutPaused" not in news
    assert "RolloutCompleted" in news
    assert len(await world.list("AnalysisRun")) == len(runs)
    assert await team.stable() == first
    await _reaches_nobody(world, second)


@SCENARIOS.add
async def what_on_call_aborts_is_quarantined_until_somebody_says_retry(world: World) -> None:
    team = await _shop(world, shop.canary)
    waiting = await team.push(Release("v2", greeting="two", gate=True))
    await world.reaches("web", "Paused")

    assert (await world.kubectl("rollouts", "abort", "web")).code == 0
    told = await team.app.says("Ready", "False", "RevisionQuarantined", seconds=_SECONDS)
    assert waiting in told["message"]
    await team.is_back("v1", "hello")
    await team.refreshed("and again")
    await team.is_back("v1", "hello")

    assert (await world.kubectl("rollouts", "app", "retry", "shop")).code == 0
    await world.reaches("web", "Paused", currentStepIndex=1)
    assert (await world.kubectl("rollouts", "promote", "web")).code == 0
    await team.is_good(waiting)

    reasons = [reason for reason, _ in await team.app.events()]
    assert reasons.count("RevisionQuarantined") == reasons.count("QuarantineLifted") == 1


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("scenario", SCENARIOS.known)
async def test_release(scenario: str, scenarios: Mapping[str, asyncio.Task[None]]) -> None:
    await scenarios[scenario]


async def _shop(world: World, files: Files) -> Team:
    """A first release runs, from a repository that asks for a password."""
    repository = await world.repository()
    checkout = await asyncio.to_thread(Checkout.of, world.pushed_to(repository), world.directory / "checkout")
    team = Team(world, App(world, "shop"), checkout, files)
    first = await team.push(Release("v1"))
    await world.create(world.git_secret("git"))
    await team.app.create(repository.url, secret="git")
    await team.is_good(first)
    return team


async def _a_bad_commit(team: Team, *, most_of_the_requests: float) -> None:
    world, app = team.world, team.app
    good = await team.push(Release("v2", greeting="two"))
    await team.is_good(good)
    stable, before = await team.stable(), await world.served("web")

    bad = await team.push(Release("v3", greeting="broken", error_rate="0.5", added_object=True))
    told = await app.says("Ready", "False", "RevisionQuarantined", seconds=_SECONDS)
    assert bad in told["message"]
    await team.is_back("v2", "two")
    assert await team.stable() == stable
    met = {h: n - before.get(h, 0) for h, n in (await world.served("web")).items()}
    assert (sum(met.values()) - met[stable]) / sum(met.values()) <= most_of_the_requests
    analysed = len(await world.list("AnalysisRun"))

    async with _never_scaled_up(world, but=stable):
        await _nothing_brings_it_back(team)
    assert len(await world.list("AnalysisRun")) == analysed
    status = await app.status()
    assert status["runningRevision"] == status["lastGoodRevision"] == f"main@sha1:{good}"
    assert (status["health"]["status"], status["sync"]["reason"]) == ("Healthy", "RevisionQuarantined")

    fix = await team.push(Release("v4", greeting="fixed", added_object=True))
    await team.is_good(fix)
    assert await app.config(shop.ADDED) is not None
    reasons = [reason for reason, _ in await app.events()]
    assert reasons.count("RevisionQuarantined") == reasons.count("RolledBack") == 1


async def _nothing_brings_it_back(team: Team) -> None:
    """Polls, an edit by hand, a crash of the controller, an unrelated commit."""
    world = team.world
    for poll in range(_POLLS):
        await team.refreshed(f"poll {poll}")
    ref = resources.CONFIG_MAP.ref(shop.CONFIG, world.namespace)
    await world.kube.merge_patch(ref, {"data": {"greeting": "by hand"}}, field_manager="kubectl-edit")
    await team.is_back("v2", "two")
    await world.crash()
    await team.refreshed("after the crash")
    await team.is_back("v2", "two")
    unrelated = await asyncio.to_thread(team.checkout.push, {"README.md": "closed on Sundays"})
    await team.refreshed("after the commit")
    await team.is_back("v2", "two")
    assert (await team.app.status())["desiredRevision"] == f"main@sha1:{unrelated}"


@asynccontextmanager
async def _never_scaled_up(world: World, *, but: str) -> AsyncIterator[None]:
    """No other ReplicaSet gets pods, and no request reaches another one."""
    resource = world.resource("ReplicaSet")
    before = await world.served("web")
    start = (await world.kube.list(resource, world.namespace)).resource_version
    risen: list[str] = []

    async def watch() -> None:
        async for _, body in world.kube.watch(resource, world.namespace, resource_version=start):
            if body["spec"]["replicas"] and body["metadata"]["labels"][HASH] != but:
                risen.append(body["metadata"]["name"])

    watching = asyncio.create_task(watch())
    yield
    assert not watching.done()
    watching.cancel()
    assert not risen
    served = {h: n - before.get(h, 0) for h, n in (await world.served("web")).items()}
    assert served.pop(but) > 0
    assert not any(served.values()), served


async def _reaches_nobody(world: World, pod_hash: str) -> None:
    """Requests go on, and none of them reaches these pods."""
    before = await world.served("web")

    async def go_on() -> bool:
        return sum((await world.served("web")).values()) > sum(before.values()) + 20

    await eventually(go_on)
    assert (await world.served("web")).get(pod_hash, 0) == before.get(pod_hash, 0)
