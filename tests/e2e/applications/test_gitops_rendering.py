"""Kustomize, Helm, variables and encrypted files, from a commit to a real API server."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from rollouts import sandbox
from rollouts.kube import resources
from tests.api.harness import eventually
from tests.e2e.applications.harness import App, Checkout, config_map

pytestmark = pytest.mark.e2e


def encrypted(tools: Path, plain: str) -> tuple[str, str]:
    """A new age identity, and the text with the value of `secret` encrypted for it."""
    made = subprocess.run([tools / "age-keygen"], capture_output=True, text=True, check=True).stdout
    recipient = next(line for line in made.splitlines() if "public key" in line).rpartition(" ")[2]
    kinds = ("--input-type", "yaml", "--output-type", "yaml", "/dev/stdin")
    done = subprocess.run(
        [tools / "sops", "encrypt", "--age", recipient, "--encrypted-regex", "^secret$", *kinds],
        input=plain,
        capture_output=True,
        text=True,
        check=True,
    )
    return made, done.stdout


def source(repository: sandbox.RepoInfo, path: str, **options: Any) -> dict[str, Any]:
    return {"repoURL": repository.file_url, "targetRevision": "main", "path": path, **options}


OVERLAY = {
    "base/kustomization.yaml": "resources: [settings.yaml]\n",
    "base/settings.yaml": config_map("settings", color="blue"),
    "prod/kustomization.yaml": "resources: [../base]\nnamePrefix: prod-\n",
}


async def test_a_change_in_the_base_reaches_the_overlay(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path, tools: Path
) -> None:
    await app.create(repository.file_url, path="prod")
    first = checkout.push(OVERLAY)

    async with app.bench.controller(git_cache_dir=tmp_path / "git", tools_dir=tools):
        await app.runs(first)
        second = checkout.push({"base/settings.yaml": config_map("settings", color="green")})
        await app.runs(second)
        third = checkout.push({"unrelated.md": "nothing to do with it\n"})
        await app.annotate(refresh="look")

        async def looked() -> bool:
            return (await app.status()).get("lastHandledReconcileAt") == "look"

        await eventually(looked)
        after = await app.status()

    assert await app.config("prod-settings") == {"color": "green"}
    assert third != second
    assert after["desiredRevision"] == f"main@sha1:{second}"


async def test_a_chart_takes_its_values_from_a_secret_and_follows_it(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path, tools: Path
) -> None:
    commit = checkout.push(
        {
            "chart/Chart.yaml": "apiVersion: v2\nname: chart\nversion: 0.1.0\n",
            "chart/values.yaml": "color: none\n",
            "chart/templates/settings.yaml": (
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n"
                "data: {color: {{ .Values.color | quote }}, release: {{ .Release.Name }}}\n"
            ),
        }
    )
    secret = {"metadata": {"name": "colors"}, "stringData": {"values.yaml": "color: blue\n"}}
    secret["metadata"]["namespace"] = app.bench.namespace
    await app.kube.create(
        resources.SECRET, {"apiVersion": "v1", "kind": "Secret", **secret}, field_manager="tests"
    )
    helm = {"valuesFrom": [{"kind": "Secret", "name": "colors"}]}
    await app.create(repository.file_url, source=source(repository, "chart", helm=helm))

    async with app.bench.controller(git_cache_dir=tmp_path / "git", tools_dir=tools):
        await app.runs(commit)
        assert await app.config("settings") == {"color": "blue", "release": "shop"}
        ref = resources.SECRET.ref("colors", app.bench.namespace)
        await app.kube.merge_patch(
            ref, {"stringData": {"values.yaml": "color: green\n"}}, field_manager="tests"
        )

        async def followed() -> bool:
            return (await app.config("settings") or {}).get("color") == "green"

        await eventually(followed)


async def test_encrypted_files_and_variables(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path, tools: Path
) -> None:
    identity, locked = encrypted(tools, config_map("settings", color="${color}", secret="s3cr3t"))
    commit = checkout.push({"settings.yaml": locked})
    body = {"apiVersion": "v1", "kind": "Secret", "stringData": {"team.agekey": identity}}
    metadata = {"name": "keys", "namespace": app.bench.namespace}
    await app.kube.create(resources.SECRET, {**body, "metadata": metadata}, field_manager="tests")
    decryption = {"provider": "sops", "secretRef": {"name": "keys"}}
    await app.create(repository.file_url, decryption=decryption, postBuild={"substitute": {"color": "blue"}})

    async with app.bench.controller(git_cache_dir=tmp_path / "git", tools_dir=tools):
        await app.runs(commit)

    assert "s3cr3t" not in locked
    assert await app.config("settings") == {"color": "blue", "secret": "s3cr3t"}


async def test_a_chart_that_does_not_render_leaves_what_runs_alone(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path, tools: Path
) -> None:
    await app.create(repository.file_url, path="prod")
    first = checkout.push(OVERLAY)

    async with app.bench.controller(git_cache_dir=tmp_path / "git", tools_dir=tools):
        await app.runs(first)
        checkout.push({"prod/kustomization.yaml": "resources: [https://example.com/base]\n"})
        told = await app.says("Ready", "False", "RenderFailed")
        status = await app.status()

    assert "is somewhere else, and nothing is fetched while rendering" in told["message"]
    assert status["runningRevision"] == f"main@sha1:{first}"
    assert await app.config("prod-settings") == {"color": "blue"}


async def test_a_program_that_is_not_installed_is_named_and_what_runs_stays(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path, tools: Path
) -> None:
    await app.create(repository.file_url, path="prod")
    first = checkout.push(OVERLAY)
    async with app.bench.controller(git_cache_dir=tmp_path / "git", tools_dir=tools):
        await app.runs(first)

    async with app.bench.controller(git_cache_dir=tmp_path / "other", tools_dir=tmp_path):
        second = checkout.push({"base/settings.yaml": config_map("settings", color="green")})
        told = await app.says("Ready", "False", "RenderFailed")
        assert await app.config("prod-settings") == {"color": "blue"}

    assert "kustomize is not in" in told["message"]
    assert "--tools-dir" in told["message"]
    async with app.bench.controller(git_cache_dir=tmp_path / "git", tools_dir=tools):
        await app.runs(second)
