"""What becomes of the objects of an Application that is deleted, on a real API server."""

from __future__ import annotations

from pathlib import Path

import pytest

from rollouts import sandbox
from rollouts.errors import NotFound
from rollouts.kube import resources
from tests.api.harness import eventually
from tests.e2e.applications.harness import App, Checkout, config_map

pytestmark = pytest.mark.e2e

KEPT = """
apiVersion: v1
kind: ConfigMap
metadata: {name: kept, annotations: {rollouts.dev/prune: disabled}}
"""


async def is_gone(app: App) -> bool:
    try:
        await app.get()
    except NotFound:
        return True
    return False


async def test_objects_go_with_an_application_that_says_so_and_stay_with_any_other(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    other, argo = App(app.bench, f"{app.name}-other"), App(app.bench, f"{app.name}-argo")
    files = {f"{name}/a.yaml": config_map(name) for name in ("own", "other", "argo")}
    commit = checkout.push({**files, "own/kept.yaml": KEPT})
    await app.create(repository.file_url, path="own", deletionPolicy="Delete")
    await other.create(repository.file_url, path="other")
    await argo.create(repository.file_url, path="argo")
    await argo.patch({"metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]}})

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        for one in (app, other, argo):
            await one.runs(commit)
        for one in (app, other, argo):
            await app.kube.delete(resources.APPLICATION.ref(one.name, app.bench.namespace))
        for one in (app, other, argo):
            await eventually(lambda one=one: is_gone(one))

        assert await app.config("own") is None
        assert await app.config("argo") is None
        assert await app.config("kept") == {}
        assert await app.config("other") == {}


async def test_the_finalizer_goes_when_it_is_not_asked_for_any_more(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    commit = checkout.push({"a.yaml": config_map("a")})
    await app.create(repository.file_url, deletionPolicy="Delete")

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(commit)
        assert (await app.get())["metadata"]["finalizers"] == ["rollouts.dev/resources-finalizer"]
        await app.patch({"spec": {"deletionPolicy": "Orphan"}})

        async def is_free() -> bool:
            return "finalizers" not in (await app.get())["metadata"]

        await eventually(is_free)
