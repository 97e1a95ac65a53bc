"""Charts, artifacts, submodules and several sources at once, on their way to a real API server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rollouts import sandbox
from rollouts.kube import resources
from tests import lfs_host
from tests import registry as registries
from tests.api.harness import Object, eventually
from tests.e2e.applications.harness import App, Checkout, authenticated, config_map
from tests.registry import FLUX_LAYER, Registry

pytestmark = pytest.mark.e2e


@pytest.fixture
def registry() -> Iterator[Registry]:
    with registries.serving() as served:
        yield served


async def test_a_chart_with_values_from_git_is_one_revision(
    app: App,
    checkout: Checkout,
    repository: sandbox.RepoInfo,
    registry: Registry,
    tools: Path,
    tmp_path: Path,
) -> None:
    old, new = (registries.chart(version, color="grey", size=version) for version in ("1.0.0", "1.1.0"))
    registry.publish(("1.0.0", old))
    first = checkout.push({"values/prod.yaml": "color: blue\n", "README.md": "x"})
    web: Object = {"repoURL": registry.http, "chart": "web", "targetRevision": "1.*"}
    web["helm"] = {"valueFiles": ["$values/values/prod.yaml"]}
    values = {"repoURL": repository.file_url, "targetRevision": "main", "ref": "values"}
    await app.create("", sources=[web, values])
    chart = f"1.0.0@{registries.sha256(old)}"

    async with app.bench.controller(git_cache_dir=tmp_path / "git", tools_dir=tools):
        status = await app.runs_revision(f"{chart} + main@sha1:{first}")
        before = await app.config("shop")
        checkout.push({"README.md": "y"})
        second = checkout.push({"values/prod.yaml": "color: red\n"})
        await app.runs_revision(f"{chart} + main@sha1:{second}")
        registry.publish(("1.0.0", old), ("1.1.0", new))
        after = await app.runs_revision(f"1.1.0@{registries.sha256(new)} + main@sha1:{second}")

    assert status["sync"]["revisions"] == [chart, f"main@sha1:{first}"]
    assert before == {"color": "blue", "size": "1.0.0"}
    assert await app.config("shop") == {"color": "red", "size": "1.1.0"}
    assert [h["revisions"][0].partition("@")[0] for h in after["history"]] == ["1.0.0", "1.0.0", "1.1.0"]


async def test_an_artifact_is_followed_by_its_tag_and_outlives_its_registry(
    app: App, registry: Registry, tmp_path: Path
) -> None:
    good = registry.push(
        "team/shop",
        "stable",
        registries.archive({"app/a.yaml": config_map("settings", color="blue")}),
        FLUX_LAYER,
    )
    url = f"oci://{registry.address}/team/shop"
    await app.create("", source={"repoURL": url, "targetRevision": "stable", "path": "app"})
    ref = resources.CONFIG_MAP.ref("settings", app.bench.namespace)

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs_revision(f"stable@{good}")
        bad = registry.push("team/shop", "stable", registries.archive({"app/a.yaml": "kind: ["}))
        told = await app.says("Ready", "False", "RenderFailed")
        registry.tags.clear()
        await app.says("FetchFailed", "True", "OCIArtifactPullFailed")
        await app.kube.merge_patch(ref, {"data": {"color": "red"}}, field_manager="kubectl-edit")
        await eventually(lambda: _is(app, {"color": "blue"}))

    assert f"stable@{bad}" in told["message"]


async def test_files_in_a_submodule_of_the_same_host_are_read_with_the_same_credentials(
    app: App,
    checkout: Checkout,
    repository: sandbox.RepoInfo,
    cluster: sandbox.Sandbox,
    tools: Path,
    tmp_path: Path,
) -> None:
    library = cluster.create_repository(f"team/{app.bench.namespace}-library")
    shared = Checkout.of(str(library.path), tmp_path / "library")
    wanted = shared.push(
        {"base/kustomization.yaml": "resources: [a.yaml]\n", "base/a.yaml": config_map("settings")}
    )
    link = f"160000,{wanted},vendor/library"
    checkout.push(
        {
            ".gitmodules": _module(f"../{app.bench.namespace}-library.git"),
            "app/kustomization.yaml": "resources: [../vendor/library/base]\n",
        }
    )
    (checkout.directory / "vendor/library").mkdir(parents=True)
    checkout.git("update-index", "--add", "--cacheinfo", link)
    checkout.git("commit", "--quiet", "--message=vendor")
    commit = checkout.publish("main")
    login = {"username": cluster.git_username, "password": cluster.git_password}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "git", "namespace": app.bench.namespace},
    }
    await app.kube.create(resources.SECRET, {**secret, "stringData": login}, field_manager="tests")
    await app.create(repository.url, path="app", secret="git")

    async with app.bench.controller(git_cache_dir=tmp_path / "git", tools_dir=tools):
        await app.runs(commit)
        checkout.push({".gitmodules": _module(library.file_url), "app/more.yaml": ""})
        told = await app.says("Ready", "False", "RenderFailed")

    assert await app.config("settings") == {}
    assert "must be an https, http or ssh URL" in told["message"]
    assert authenticated(repository, *login.values()) not in str(await app.get())


def _module(url: str) -> str:
    return f'[submodule "library"]\n\tpath = vendor/library\n\turl = {url}\n'


async def _is(app: App, expected: dict[str, str]) -> bool:
    return await app.config("settings") == expected


async def test_what_git_lfs_keeps_is_deployed_once_it_is_there(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, cluster: sandbox.Sandbox, tmp_path: Path
) -> None:
    upstream, _, path = repository.url.partition("/" + Path(repository.path).name)
    with lfs_host.serving(upstream) as host:
        host.username, host.password = cluster.git_username, cluster.git_password
        first = checkout.push({"a.yaml": host.keep(config_map("settings", color="blue").encode())})
        await app.secret("git", username=cluster.git_username, password=cluster.git_password)
        url = f"{host.url}/{Path(repository.path).name}{path}"
        source = {"repoURL": url, "targetRevision": "main", "enableLfs": True}
        await app.create("", source=source, secret="git")

        async with app.bench.controller(git_cache_dir=tmp_path / "git"):
            await app.runs(first)
            before = await app.config("settings")
            absent = host.keep(config_map("settings", color="red").encode())
            kept = host.contents.popitem()
            second = checkout.push({"a.yaml": absent})
            told = await app.says("FetchFailed", "True", "GitOperationFailed")
            host.contents.update([kept])
            await app.annotate(refresh="again")
            await app.runs(second)

    assert before == {"color": "blue"}
    assert f"has no file {kept[0]} of Git LFS" in told["message"]
    assert await app.config("settings") == {"color": "red"}
