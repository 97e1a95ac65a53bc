"""Nothing confidential is told: not in the log, not in an event, not in a status, not in a metric.

Every kind of secret that an Application may use is made to fail, and to work, in turn.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from rollouts import sandbox
from rollouts.kube import resources
from rollouts.sandbox import ports
from tests import provider_host
from tests.api.harness import eventually
from tests.e2e.applications.harness import App, Checkout, config_map
from tests.e2e.applications.test_gitops_rendering import encrypted
from tests.e2e.installation import Controller, Installation

pytestmark = pytest.mark.e2e

PASSWORD = "Basic pass+word/1"
HELM = "Helm value+2 is long"
LOCKED = "Sops value+3 is long"
HELD = "Sops data+4 is long"
HOOK = "webhook-s3cret-5"
ROBOT = "robot-t0ken-6"
SECRETS = (PASSWORD, HELM, LOCKED, HELD, HOOK, ROBOT)

CHART = {
    "chart/Chart.yaml": "apiVersion: v2\nname: chart\nversion: 0.1.0\n",
    "chart/templates/settings.yaml": (
        '{{ if .Values.fails }}{{ fail (printf "%s is bad" .Values.password) }}{{ end }}\n'
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: chart\n"
        "  labels: {password: {{ .Values.password | quote }}}\n"
    ),
}


def told_forms(secret: str) -> set[str]:
    """As it is, and as it would travel."""
    plain = secret.encode()
    return {secret, base64.b64encode(plain).decode(), base64.b64encode(b"robot:" + plain).decode()}


async def make_secret(app: App, name: str, **data: str) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": app.bench.namespace},
        "stringData": data,
    }
    await app.kube.apply(resources.SECRET.ref(name, app.bench.namespace), body, field_manager="tests")


def controller_of(app: App, installed: Installation, directory: Path, *flags: str) -> Controller:
    started = installed.controller(directory)
    here = (f"--namespace={app.bench.namespace}", "--no-leader-elect", "--log-level=debug")
    return replace(started, command=(*started.command, *here, *flags))


async def send(address: str, **headers: str) -> int:
    async with aiohttp.ClientSession() as session:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with session.post(address, data=b"{}", headers=named) as answer:
            return answer.status


async def metrics(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.text()


async def test_no_secret_is_told_whatever_fails(  # noqa: PLR0915 - one controller fails at everything
    app: App,
    checkout: Checkout,
    repository: sandbox.RepoInfo,
    installed: Installation,
    tmp_path: Path,
    tools: Path,
) -> None:
    identity, label = encrypted(tools, _labelled("locked", LOCKED))
    held = f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: held\nstringData:\n  secret: {HELD!r}\n"
    keys, data = encrypted(tools, held)
    files = {**CHART, "label/locked.yaml": label, "data/held.yaml": data}
    commit = checkout.push({**files, "plain/settings.yaml": config_map("settings", color="blue")})
    await make_secret(app, "git", username="robot", password=PASSWORD)
    await make_secret(app, "values", **{"values.yaml": f"password: {HELM!r}\n"})
    await make_secret(app, "keys", **{"a.agekey": identity, "b.agekey": keys})
    await make_secret(app, "robot", token=ROBOT)
    hooks = tmp_path / "hooks"
    hooks.write_text(f"{HOOK}\n")
    (port,) = ports.find(1)
    flags = (f"--tools-dir={tools}", f"--webhook-secret-file={hooks}", f"--webhook-address=127.0.0.1:{port}")
    controller = controller_of(app, installed, tmp_path, *flags)

    def other(name: str) -> App:
        return App(app.bench, name)

    def source(path: str, **options: Any) -> dict[str, Any]:
        return {"repoURL": repository.file_url, "targetRevision": "main", "path": path, **options}

    given = {"valuesFrom": [{"kind": "Secret", "name": "values"}]}
    sops = {"decryption": {"provider": "sops", "secretRef": {"name": "keys"}}}
    with provider_host.serving("github") as host:
        status = {"provider": "github", "url": host.url, "secretRef": {"name": "robot"}}
        await other("basic").create(repository.url, secret="git")
        fails = {**given, "parameters": [{"name": "fails", "value": "true"}]}
        await other("unrendered").create("", source=source("chart", helm=fails))
        await other("refused").create("", source=source("chart", helm=given))
        await other("locked").create("", source=source("label"), **sops)
        await other("held").create("", source=source("data"), **sops)
        await other("status").create("", source=source("plain"), commitStatus=status)
        controller.start()
        try:
            await other("basic").says("Ready", "False", "AuthenticationFailed")
            unrendered = await other("unrendered").says("Ready", "False", "RenderFailed")
            refused = await other("refused").says("Ready", "False", "NoGoodRevision")
            locked = await other("locked").says("Ready", "False", "NoGoodRevision")
            await other("held").runs(commit)
            ref = resources.SECRET.ref("held", app.bench.namespace)
            await app.kube.merge_patch(
                ref, {"stringData": {"secret": "by hand"}}, field_manager="kubectl-edit"
            )
            await eventually(lambda: _heals(other("held")))
            await other("status").runs(commit)
            await eventually(lambda: _answered(host))
            address = f"http://127.0.0.1:{port}/hook"
            signature = hmac.new(HOOK.encode(), b"{}", hashlib.sha256).hexdigest()
            answers = [
                await send(address, X_Gitlab_Token=HOOK + "x"),
                await send(address, X_Gitlab_Token=HOOK),
                await send(address, X_Hub_Signature_256=f"sha256={signature}"),
                await send(address, X_Hub_Signature_256=f"sha256={HOOK}"),
            ]
            places = {"metrics": await metrics(controller.metrics_url)}
        finally:
            ended = controller.stop()

    places["log"] = controller.log.read_text()
    for kind, resource in (("events", resources.EVENT), ("applications", resources.APPLICATION)):
        places[kind] = json.dumps(
            (await app.kube.list(resource, app.bench.namespace)).items, ensure_ascii=False
        )
    leaks = [
        (s, where) for s in SECRETS for f in told_forms(s) for where, text in places.items() if f in text
    ]
    assert not leaks
    assert answers == [401, 202, 202, 401]
    assert ended == 0
    assert "is bad" in unrendered["message"]
    for told in (refused, locked):
        assert "metadata.labels" in told["message"]
    assert "webhook" in places["log"]


def _labelled(name: str, value: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  labels:\n    secret: {value!r}\n"


async def _heals(app: App) -> bool:
    found = await app.find(resources.SECRET, "held")
    return bool(found and base64.b64decode(found["data"]["secret"]).decode() == HELD)


async def _answered(host: provider_host.ProviderHost) -> bool:
    return bool(host.asked)
