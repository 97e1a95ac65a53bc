"""Objects that say themselves how they are applied: Argo CD's sync options and Flux's labels, on a real API server."""

from __future__ import annotations

from pathlib import Path

import pytest

from rollouts import sandbox
from rollouts.kube import resources
from tests.api.harness import eventually
from tests.e2e.applications.harness import App, Checkout

pytestmark = pytest.mark.e2e


def settings(name: str, color: str, *annotations: str, immutable: bool = False) -> str:
    marks = "".join(f"    {annotation}\n" for annotation in annotations)
    head = f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n"
    return f"{head}  annotations:\n{marks}data: {{color: {color}}}\nimmutable: {str(immutable).lower()}\n"


async def test_each_object_is_applied_as_it_asks_for(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    def files(color: str) -> dict[str, str | None]:
        return {
            "forced.yaml": settings("forced", color, "rollouts.dev/force: enabled", immutable=True),
            "replaced.yaml": settings("replaced", color, "argocd.argoproj.io/sync-options: Replace=true"),
            "once.yaml": settings("once", color, "kustomize.toolkit.fluxcd.io/ssa: IfNotPresent"),
            "ignored.yaml": settings("ignored", color, "kustomize.toolkit.fluxcd.io/ssa: Ignore"),
            "kept.yaml": settings("kept", color, "kustomize.toolkit.fluxcd.io/prune: disabled"),
        }

    await app.create(repository.file_url)
    first = checkout.push(files("blue"))
    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(first)
        assert await app.config("ignored") is None
        ref = resources.CONFIG_MAP.ref("replaced", app.bench.namespace)
        added = {"data": {"added": "by another"}}
        await app.kube.merge_patch(ref, added, field_manager="an-operator")

        second = checkout.push(files("red"))
        await app.runs(second)
        assert await app.config("forced") == {"color": "red"}
        assert await app.config("replaced") == {"color": "red"}
        assert await app.config("once") == {"color": "blue"}

        third = checkout.push({"kept.yaml": None, "once.yaml": None})
        await app.runs(third)

        async def pruned() -> bool:
            return await app.config("once") is None

        await eventually(pruned)
        assert await app.config("kept") == {"color": "red"}


async def test_what_cannot_be_changed_in_place_is_refused_unless_it_says_otherwise(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    await app.create(repository.file_url)
    good = checkout.push({"a.yaml": settings("a", "blue", "team: shop", immutable=True)})
    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(good)
        checkout.push({"a.yaml": settings("a", "red", "team: shop", immutable=True)})
        refused = await app.says("Ready", "False", "ApplyRejected")

        assert "immutable" in refused["message"]
        assert await app.config("a") == {"color": "blue"}
