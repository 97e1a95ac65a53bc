"""A push and its webhook, as the hosts send them, to a controller that would not have looked for an hour."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

import aiohttp
import pytest

from rollouts import sandbox
from rollouts.sandbox import ports
from tests.e2e.applications.harness import App, Checkout, config_map

pytestmark = pytest.mark.e2e

SECRET = "only-the-host-knows"


async def send(address: str, url: str, secret: str) -> int:
    body = json.dumps({"repository": {"clone_url": url}}).encode()
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-Hub-Signature-256": f"sha256={signature}", "X-GitHub-Event": "push"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(address, data=body, headers=headers) as answer,
    ):
        return answer.status


async def test_a_signed_webhook_brings_the_commit_and_a_forged_one_nothing(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    first = checkout.push({"settings.yaml": config_map("settings", color="blue")})
    await app.create(repository.file_url, interval="1h")
    secrets = tmp_path / "secrets"
    secrets.write_text(f"an-older-one\n{SECRET}\n")
    (port,) = ports.find(1)
    settings = {"webhook_address": f"127.0.0.1:{port}", "webhook_secret_file": secrets}

    async with app.bench.controller(git_cache_dir=tmp_path / "git", **settings):
        await app.runs(first)
        second = checkout.push({"settings.yaml": config_map("settings", color="green")})
        address = f"http://127.0.0.1:{port}/hook"
        refused = await send(address, repository.file_url, "guessed")
        before = (await app.status())["desiredRevision"]
        taken = await send(address, repository.file_url, SECRET)
        await app.runs(second)

    assert (refused, taken) == (401, 202)
    assert before == f"main@sha1:{first}"
