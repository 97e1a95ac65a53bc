"""P15: what a checkout would change in the cluster is told by dry runs, and nothing is written."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from rollouts import sandbox
from rollouts.cli.main import app as cli
from rollouts.kube import resources
from tests.e2e.applications.harness import App, Checkout, config_map

pytestmark = pytest.mark.e2e


def secret(value: str) -> str:
    data = {"password": base64.b64encode(value.encode()).decode()}
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"}, "data": data})


async def diff(app: App, *words: str) -> tuple[int, str]:
    """In a thread: it has a loop of its own."""
    where = ("-n", app.bench.namespace, "--kubeconfig", str(app.bench.kubeconfig))
    told = await asyncio.to_thread(CliRunner().invoke, cli, [*where, "app", "diff", *words])
    return told.exit_code, told.output


async def test_p15_a_checkout_is_compared_with_the_cluster_by_dry_runs(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    commit = checkout.push(
        {
            "settings.yaml": config_map("settings", color="blue"),
            "extra.yaml": config_map("extra", kept="no"),
            "login.yaml": secret("old-password"),
        }
    )
    await app.create(repository.file_url)
    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(commit)

    here = str(checkout.directory)
    equal, nothing = await diff(app, "shop", "--path", here)
    (tmp_path / "app.yaml").write_text(yaml.safe_dump(await app.get()))
    same, by_file = await diff(app, "-f", str(tmp_path / "app.yaml"), "--path", here)
    (checkout.directory / "settings.yaml").write_text(config_map("settings", color="green"))
    (checkout.directory / "login.yaml").write_text(secret("new-password"))
    (checkout.directory / "extra.yaml").unlink()
    (checkout.directory / "more.yaml").write_text(config_map("more", new="yes"))
    differs, told = await diff(app, "shop", "--path", here)
    committed, still_nothing = await diff(app, "shop", "--path", here, "--revision", commit)
    (checkout.directory / "more.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: More}\n")
    refused, why = await diff(app, "shop", "--path", here)
    absent, _ = await diff(app, "shopp", "--path", here)

    assert (equal, nothing) == (committed, still_nothing) == (same, by_file) == (0, "")
    assert differs == 1
    where = app.bench.namespace
    for line in (
        "-  color: blue",
        "+  color: green",
        "+  password: '*** (after)'",
        f"--- before/ConfigMap {where}/extra",
        f"+++ after/ConfigMap {where}/more",
    ):
        assert line in told.splitlines()
    assert base64.b64encode(b"old-password").decode() not in told
    assert base64.b64encode(b"new-password").decode() not in told
    assert (refused, absent) == (2, 2)
    assert "the API server would refuse it" in why
    assert await app.config("settings") == {"color": "blue"}
    assert await app.config("extra") == {"kept": "no"}
    assert await app.find(resources.CONFIG_MAP, "more") is None
