"""What one namespace may read is closed to another one, though they share a controller and its mirrors."""

from __future__ import annotations

import pytest

from rollouts.errors import Rejected
from tests.e2e.applications.harness import App, Checkout, config_map
from tests.e2e.world import Worlds

pytestmark = pytest.mark.e2e


async def test_a_repository_of_another_namespace_is_closed(worlds: Worlds) -> None:
    owner, stranger = await worlds.new(), await worlds.new()
    repository = await owner.repository()
    commit = Checkout.of(str(repository.path), owner.directory / "checkout").push(
        {"settings.yaml": config_map("settings", color="blue")}
    )
    await owner.create(owner.git_secret("git"))
    source = {"repoURL": repository.url, "path": "."}
    path = f"../../{owner.namespace}/secrets/git"

    with pytest.raises(Rejected, match=r"spec\.secretRef\.name"):
        await App(stranger, "by-path").create(repository.url, secret=path)
    await App(owner, "shop").create(repository.url, secret="git")
    async with owner.controller(git_cache_dir=owner.directory / "git", namespace=""):
        await App(owner, "shop").runs(commit)
        await App(stranger, "anonymous").create(repository.url)
        await App(stranger, "by-commit").create("", source={**source, "targetRevision": commit})
        await App(stranger, "by-name").create(repository.url, secret="git")
        for name in ("anonymous", "by-commit", "by-name"):
            await App(stranger, name).says("Ready", "False", "AuthenticationFailed")

    assert await App(stranger, "shop").config("settings") is None
