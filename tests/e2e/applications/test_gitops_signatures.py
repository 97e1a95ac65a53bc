"""Only signed commits: an unsigned one keeps the last good running, whatever it holds."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rollouts import sandbox
from rollouts.kube import resources
from tests.e2e.applications.harness import App, Checkout, condition, config_map

pytestmark = pytest.mark.e2e


def new_key(checkout: Checkout, directory: Path) -> str:
    """From now on the team signs its commits; the public key."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / "key")], check=True)
    checkout.git("config", "gpg.format", "ssh")
    checkout.git("config", "user.signingkey", str(directory / "key.pub"))
    checkout.git("config", "commit.gpgsign", "true")
    return (directory / "key.pub").read_text()


async def test_a_range_follows_signed_tags_only(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    body = {"apiVersion": "v1", "kind": "Secret", "stringData": {"team.sshpub": new_key(checkout, tmp_path)}}
    metadata = {"name": "signers", "namespace": app.bench.namespace}
    await app.kube.create(resources.SECRET, {**body, "metadata": metadata}, field_manager="tests")
    verify = {"secretRef": {"name": "signers"}, "mode": "TagAndHEAD"}
    checkout.push({"README.md": "history"})
    first = checkout.push({"settings.yaml": config_map("settings", color="blue")})
    checkout.git("tag", "--sign", "--message=x", "v1.0.0")
    checkout.git("push", "--quiet", checkout.remote, "v1.0.0")
    await app.create("", source={"repoURL": repository.file_url, "targetRevision": "1.*"}, verify=verify)

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs_revision(f"v1.0.0@sha1:{first}")
        second = checkout.push({"settings.yaml": config_map("settings", color="green")})
        checkout.git("tag", "--annotate", "--no-sign", "--message=x", "v1.1.0")
        checkout.git("push", "--quiet", checkout.remote, "v1.1.0")
        told = await app.says("Ready", "False", "VerificationFailed")
        kept = await app.config("settings")
        checkout.git("tag", "--sign", "--message=x", "v1.1.1")
        checkout.git("push", "--quiet", checkout.remote, "v1.1.1")
        await app.runs_revision(f"v1.1.1@sha1:{second}")

    assert "the tag v1.1.0 is not signed" in told["message"]
    assert kept == {"color": "blue"}


async def test_an_unsigned_commit_keeps_the_last_good_running_until_somebody_vouches_for_it(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    body = {"apiVersion": "v1", "kind": "Secret", "stringData": {"team.sshpub": new_key(checkout, tmp_path)}}
    metadata = {"name": "signers", "namespace": app.bench.namespace}
    await app.kube.create(resources.SECRET, {**body, "metadata": metadata}, field_manager="tests")
    await app.create(repository.file_url, path="app", verify={"secretRef": {"name": "signers"}})
    first = checkout.push({"app/settings.yaml": config_map("settings", color="blue")})

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(first)
        checkout.git("config", "commit.gpgsign", "false")
        unsigned = checkout.push({"app/settings.yaml": config_map("settings", color="stolen")})
        told = await app.says("Ready", "False", "VerificationFailed")
        status = await app.status()
        kept = await app.config("settings")
        checkout.git("config", "commit.gpgsign", "true")
        vouching = checkout.push({"README.md": "reviewed"})
        after = await app.runs(vouching)

    assert f"{unsigned}: the commit is not signed" in told["message"]
    assert status["runningRevision"] == f"main@sha1:{first}"
    assert kept == {"color": "blue"}
    assert condition(after, "FetchFailed") == {}
    assert await app.config("settings") == {"color": "stolen"}
