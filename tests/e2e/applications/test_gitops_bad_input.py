"""Bad input, each answered once on the Application that brought it, with everything else unaffected."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from rollouts import sandbox
from rollouts.kube import resources
from tests.api.harness import Object, becomes, eventually
from tests.e2e.applications.harness import App, Checkout, condition, config_map

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    "case",
    [
        ("apiVersion: v1\nkind: [\n", "RenderFailed", ["bad.yaml:"]),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n", "RenderFailed", ["bad.yaml:1", "metadata.name"]),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad}\ndate: {a: b}\n",
            "ApplyRejected",
            ["bad.yaml:1", "ConfigMap", ".date"],
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: many}]}\n",
            "ApplyRejected",
            ["bad.yaml:1", "Service", "port"],
        ),
        (
            "apiVersion: example.org/v1\nkind: Unheard\nmetadata: {name: bad}\n",
            "ApplyRejected",
            ["bad.yaml:1", "no kind Unheard", "CustomResourceDefinition"],
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n",
            "RenderFailed",
            ["settings.yaml:1", "declared twice"],
        ),
    ],
    ids=["syntax", "no-name", "unknown-field", "wrong-type", "unknown-kind", "duplicate"],
)
async def test_a_bad_file_changes_nothing_and_says_where_it_is(
    case: tuple[str, str, list[str]],
    app: App,
    checkout: Checkout,
    repository: sandbox.RepoInfo,
    tmp_path: Path,
) -> None:
    text, reason, words = case
    good = checkout.push({"settings.yaml": config_map("settings", color="blue")})
    await app.create(repository.file_url)

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(good)
        bad = checkout.push({"settings.yaml": config_map("settings", color="red"), "bad.yaml": text})
        told = await app.says("Ready", "False", reason)
        await app.annotate(refresh="again")
        await app.handles("again")
        assert await app.config("settings") == {"color": "blue"}
        fixed = checkout.push({"bad.yaml": None})
        await app.runs(fixed)

    for word in [bad, *words]:
        assert word in told["message"]
    warnings = [message for reason_, message in await app.events() if reason_ == "RevisionQuarantined"]
    assert len(warnings) == 1
    assert await app.config("settings") == {"color": "red"}


@pytest.mark.parametrize(
    "case",
    [
        ({"source": {"targetRevision": "nope"}}, "RevisionNotFound", ["no branch, tag or commit nope"]),
        ({"source": {"repoURL": "file:///nowhere/at/all.git"}}, "GitOperationFailed", ["is not there"]),
        ({"source": {"repoURL": "http://127.0.0.1:9/x.git"}}, "GitOperationFailed", ["127.0.0.1:9"]),
        ({"source": {"path": "missing"}}, "RenderFailed", ["no directory missing"]),
        ({"source": {"targetRevision": "--upload-pack=x"}}, "InvalidSpec", ["targetRevision"]),
        ({"source": {"path": "../up"}}, "InvalidSpec", ["spec.source.path"]),
        ({"syncPolicy": {"syncOptions": ["Replace=true"]}}, "InvalidSpec", ["Replace=true", "not supported"]),
        ({"secretRef": {"name": "absent"}}, "AuthenticationFailed", ["Secret", "absent"]),
    ],
    ids=["branch", "repository", "unreachable", "path", "injection", "escape", "option", "secret"],
)
async def test_a_source_that_cannot_be_read_leaves_what_runs_and_heals_it(
    case: tuple[Object, str, list[str]],
    app: App,
    checkout: Checkout,
    repository: sandbox.RepoInfo,
    tmp_path: Path,
) -> None:
    change, reason, words = case
    good = checkout.push({"settings.yaml": config_map("settings", color="blue")})
    await app.create(repository.file_url)

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(good)
        await app.patch({"spec": change})
        told = await app.says("Ready", "False", reason)
        if reason != "InvalidSpec":
            ref = resources.CONFIG_MAP.ref("settings", app.bench.namespace)
            await app.kube.merge_patch(ref, {"data": {"color": "red"}}, field_manager="kubectl-edit")
            await eventually(lambda: _is(app, {"color": "blue"}))

    for word in words:
        assert word in told["message"]
    assert await app.config("settings") == {"color": "blue"}
    assert (await app.status())["runningRevision"] == f"main@sha1:{good}"


async def test_a_repository_with_a_password_is_read_and_a_wrong_one_is_named_without_being_shown(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, cluster: sandbox.Sandbox, tmp_path: Path
) -> None:
    good = checkout.push({"settings.yaml": config_map("settings", color="blue")})
    await _secret(app, cluster.git_username, cluster.git_password)
    await app.create(repository.url, secret="git")

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(good)
        await app.patch({"spec": {"secretRef": None}})
        anonymous = await app.says("Ready", "False", "AuthenticationFailed")
        await _secret(app, cluster.git_username, "not-the-password")
        await app.patch({"spec": {"secretRef": {"name": "git"}}})
        wrong = await app.says("Ready", "False", "AuthenticationFailed")
        assert condition(await app.status(), "FetchFailed")["status"] == "True"
        await _secret(app, cluster.git_username, cluster.git_password)
        await app.runs(good)

    assert "spec.secretRef" in anonymous["message"]
    told = str(await app.events()) + str(await app.status()) + str(wrong)
    assert "not-the-password" not in told
    assert cluster.git_password not in told


async def test_a_replaced_history_is_followed(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    good = checkout.push({"settings.yaml": config_map("settings", color="blue")})
    await app.create(repository.file_url)

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(good)
        other = Checkout.of(checkout.remote, tmp_path / "other")
        replaced = other.push({"settings.yaml": config_map("settings", color="green")})
        await app.runs(replaced)

    assert await app.config("settings") == {"color": "green"}


async def test_an_admission_denial_refuses_the_whole_commit_and_is_tried_again(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    good = checkout.push({"settings.yaml": config_map("settings", color="blue")})
    await app.create(repository.file_url)

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(good)
        await _quota(app, config_maps=1)
        files = {"settings.yaml": config_map("settings", color="red"), "b.yaml": config_map("b")}
        refused = checkout.push(files)
        told = await app.says("Ready", "False", "ApplyRejected", seconds=60)
        assert await app.config("settings") == {"color": "blue"}
        assert condition(await app.status(), "Reconciling")["reason"] == "ProgressingWithRetry"
        await app.kube.delete(_QUOTA.ref("few", app.bench.namespace))
        await app.annotate(retry="now")
        await app.runs(refused)

    assert "exceeded quota" in told["message"]


_QUOTA = resources.Resource("", "v1", "resourcequotas", "ResourceQuota")


async def _quota(app: App, *, config_maps: int) -> None:
    """An admission plugin that denies; the namespace's own root CA ConfigMap counts, too."""
    body: Object = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "few", "namespace": app.bench.namespace},
        "spec": {"hard": {"count/configmaps": str(config_maps)}},
    }
    await app.kube.create(_QUOTA, body, field_manager="tests")

    def is_counted(found: Object) -> bool:
        return bool((found.get("status") or {}).get("used"))

    await becomes(app.kube, _QUOTA.ref("few", app.bench.namespace), is_counted)


async def _secret(app: App, username: str, password: str) -> None:
    data = {"username": username, "password": password}
    encoded = {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}
    body: Object = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "git", "namespace": app.bench.namespace},
        "data": encoded,
    }
    ref = resources.SECRET.ref("git", app.bench.namespace)
    await app.kube.apply(ref, body, field_manager="tests")


async def _is(app: App, expected: dict[str, str]) -> bool:
    return await app.config("settings") == expected
