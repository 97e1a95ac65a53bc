"""Bad commits and doubtful repositories: each Application says so once, and what runs goes on.

All of it comes to one controller at once, over the real Git server. At the end an Application beside them
takes a commit, after a crash of the controller, while the bad ones still say what they said.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest

from rollouts.kube import resources
from rollouts.sandbox import RepoInfo
from tests.api.harness import Object, eventually, rollout, service
from tests.e2e import policies
from tests.e2e.applications.harness import App, Checkout, condition, config_map
from tests.e2e.applications.shop import text
from tests.e2e.together import Scenarios
from tests.e2e.world import World, Worlds

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

SCENARIOS = Scenarios()
_SECONDS = 90.0
_BLUE, _RED = config_map("settings", color="blue"), config_map("settings", color="red")


@dataclass(frozen=True, slots=True)
class Shop:
    """A namespace with a repository, its clone, and the Application that follows it."""

    world: World
    app: App
    repository: RepoInfo
    checkout: Checkout

    async def push(self, files: Mapping[str, str | None]) -> str:
        return await asyncio.to_thread(self.checkout.push, files)

    async def runs(self, commit: str) -> None:
        await self.app.runs(commit, seconds=_SECONDS)

    async def says(self, reason: str, *words: str) -> None:
        """Ready is False for this reason, with these words; told in one Warning and no more."""
        told = await self.app.says("Ready", "False", reason, seconds=_SECONDS)
        for word in words:
            assert word in told["message"]
        await self.app.annotate(refresh="again")
        warnings = [e for e in await self.world.list("Event") if e["type"] == "Warning"]
        about = [e["message"] for e in warnings if e["involvedObject"]["name"] == self.app.name]
        assert len(about) == 1, about
        for word in words:
            assert word in about[0]

    async def is_untouched(self) -> None:
        """Users have what they had, and it is still healed."""
        await _is(self.app, "blue")
        ref = resources.CONFIG_MAP.ref("settings", self.world.namespace)
        await self.world.kube.merge_patch(ref, {"data": {"color": "by hand"}}, field_manager="kubectl-edit")
        await _is(self.app, "blue")
        assert await self.world.pods() == {"web:1": 2}


def _in_git(name: str, objects: Sequence[Object] | str, reason: str, *words: str) -> None:
    """A commit adds a file that cannot be served, beside a change that could."""

    async def scenario(world: World) -> None:
        shop = await _open(world)
        content = objects if isinstance(objects, str) else text(*objects)
        bad = await shop.push({"settings.yaml": _RED, "bad.yaml": content})
        await shop.says(reason, bad, *words)
        await shop.is_untouched()
        await shop.runs(await shop.push({"bad.yaml": None}))
        await _is(shop.app, "red")

    scenario.__name__ = name
    SCENARIOS.add(scenario)


def _spec(**changes: object) -> Object:
    body = rollout("other")
    spec = {**body["spec"], **changes}
    return {**body, "spec": {name: value for name, value in spec.items() if value is not None}}


_in_git("malformed_yaml", "kind: [\n", "RenderFailed", "bad.yaml")
_in_git("an_unknown_field", [_spec(replica=3)], "ApplyRejected", "bad.yaml", "other", "spec.replica")
_in_git("a_wrong_type", [_spec(replicas="three")], "ApplyRejected", "bad.yaml", "other", "spec.replicas")
_in_git(
    "a_missing_template",
    [_spec(template=None)],
    "ApplyRejected",
    "bad.yaml",
    "other",
    "one of template and workloadRef",
)
_in_git(
    "a_selector_that_does_not_match",
    [_spec(selector={"matchLabels": {"app": "another"}})],
    "RevisionQuarantined",
    "other",
    "spec.selector.matchLabels.app",
)
_in_git(
    "a_second_rollout_on_a_service",
    [_spec(strategy={"blueGreen": {"activeService": "web"}})],
    "RevisionQuarantined",
    "other",
    "spec.strategy.blueGreen.activeService",
)


@SCENARIOS.add
async def an_admission_denial(world: World) -> None:
    await policies.forbid_config(world, "secret")
    shop = await _open(world)
    bad = await shop.push({"settings.yaml": _RED, "bad.yaml": config_map("bad", secret="x")})
    words = ("bad.yaml", "ConfigMap", "configuration named secret is not for this namespace")
    await shop.says("ApplyRejected", bad, *words)
    await shop.is_untouched()
    await shop.runs(await shop.push({"bad.yaml": None}))


@SCENARIOS.add
async def a_commit_that_would_prune_everything(world: World) -> None:
    shop = await _open(world)
    bad = await shop.push({"settings.yaml": None, "web.yaml": None, "README.md": "moved"})
    await shop.says("ApplyRejected", bad, "would prune all", "allowEmpty")
    await shop.is_untouched()


@SCENARIOS.add
async def a_password_that_is_wrong(world: World) -> None:
    shop = await _open(world)
    await world.create({**world.git_secret("wrong"), "stringData": {"password": "a-wrong-one"}})
    await shop.app.patch({"spec": {"secretRef": {"name": "wrong"}}})
    await shop.says("AuthenticationFailed", shop.repository.url, "check the Secret of spec.secretRef")
    await shop.is_untouched()
    everything = str(await shop.app.get()) + str(await world.list("Event")) + world.log
    assert "a-wrong-one" not in everything
    assert world.installation.cluster.git_password not in everything


@SCENARIOS.add
async def a_repository_that_is_gone(world: World) -> None:
    shop = await _open(world)
    await asyncio.to_thread(shutil.move, shop.repository.path, world.directory / "moved.git")
    await shop.says("GitOperationFailed", shop.repository.url)
    await shop.is_untouched()
    await asyncio.to_thread(shutil.move, world.directory / "moved.git", shop.repository.path)
    await shop.runs(await shop.push({"settings.yaml": _RED}))


@SCENARIOS.add
async def a_server_that_does_not_answer(world: World) -> None:
    shop = await _open(world)
    await shop.app.patch({"spec": {"source": {"repoURL": "http://127.0.0.1:9/shop.git"}}})
    await shop.says("GitOperationFailed", "http://127.0.0.1:9/shop.git")
    await shop.is_untouched()


@SCENARIOS.add
async def a_history_that_was_replaced(world: World) -> None:
    shop = await _open(world)
    other = await asyncio.to_thread(Checkout.of, shop.checkout.remote, world.directory / "other")
    files = {"settings.yaml": _RED, "web.yaml": _web("web:1")}
    await shop.runs(await asyncio.to_thread(other.push, files))
    await _is(shop.app, "red")
    assert await world.pods() == {"web:1": 2}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("scenario", SCENARIOS.known)
async def test_bad_commit(scenario: str, scenarios: Mapping[str, asyncio.Task[None]]) -> None:
    await scenarios[scenario]


@pytest.mark.asyncio(loop_scope="module")
async def test_beside_all_that_a_healthy_application_takes_a_commit(
    shared_worlds: Worlds, scenarios: Mapping[str, asyncio.Task[None]]
) -> None:
    await asyncio.wait(scenarios.values())
    bad = [world for worlds in shared_worlds.made.values() for world in worlds]
    said = [await _conditions(world) for world in bad]
    shop = await _open(await shared_worlds.new("neighbour"))

    await shop.world.crash()
    await shop.runs(await shop.push({"settings.yaml": _RED, "web.yaml": _web("web:2")}))

    await _is(shop.app, "red")
    assert await shop.world.pods() == {"web:2": 2}
    assert [await _conditions(world) for world in bad] == said
    assert [fact for world in bad for fact in await world.told_twice()] == []
    assert "bug in the controller" not in shop.world.log


async def _open(world: World) -> Shop:
    """A first commit runs: a config and a Rollout, from a repository that asks for a password."""
    repository = await world.repository()
    checkout = await asyncio.to_thread(Checkout.of, world.pushed_to(repository), world.directory / "checkout")
    shop = Shop(world, App(world, "shop"), repository, checkout)
    first = await shop.push({"settings.yaml": _BLUE, "web.yaml": _web("web:1")})
    await world.create(world.git_secret("git"))
    await shop.app.create(repository.url, secret="git", timeout="10s")
    await shop.runs(first)
    return shop


def _web(image: str) -> str:
    blue_green = {"activeService": "web", "scaleDownDelaySeconds": 0}
    return text(service("web"), rollout("web", replicas=2, image=image, blueGreen=blue_green))


async def _is(app: App, color: str) -> None:
    async def there() -> bool:
        return await app.config("settings") == {"color": color}

    await eventually(there, seconds=_SECONDS)


async def _conditions(world: World) -> list[Object]:
    page = await world.kube.list(resources.APPLICATION, world.namespace)
    return [condition(a.get("status") or {}, "Ready") for a in page.items]
