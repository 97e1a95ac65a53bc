"""Hooks of Argo CD and of Helm, and waves, with real Jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rollouts import sandbox
from rollouts.kube import Resource
from rollouts.sandbox import Component
from tests.e2e.applications.harness import App, Checkout, config_map

pytestmark = pytest.mark.e2e

JOB = Resource("batch", "v1", "jobs", "Job")


def job(name: str, hook: str, value: str, policy: str = "") -> str:
    extra = f'\n    argocd.argoproj.io/hook-delete-policy: "{policy}"' if policy else ""
    return f"""
apiVersion: batch/v1
kind: Job
metadata:
  name: {name}
  annotations:
    {hook}: {value}{extra}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - {{name: main, image: tool, command: [work]}}
"""


def times(body: Any) -> tuple[str, str]:
    return body["metadata"]["creationTimestamp"], (body.get("status") or {}).get("completionTime", "")


async def test_jobs_run_before_and_after_once_with_each_revision(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, cluster: sandbox.Sandbox, tmp_path: Path
) -> None:
    assert Component.NODES in cluster.components
    await app.create(repository.file_url)
    first = checkout.push(
        {
            "migrate.yaml": job("migrate", "argocd.argoproj.io/hook", "PreSync"),
            "settings.yaml": config_map("settings", color="blue"),
            "smoke.yaml": job("smoke", "argocd.argoproj.io/hook", "PostSync", "HookSucceeded"),
        }
    )

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        status = await app.runs(first)
        ran = await app.find(JOB, "migrate")
        gone = await app.find(JOB, "smoke")
        second = checkout.push({"settings.yaml": config_map("settings", color="green")})
        await app.runs(second)
        again = await app.find(JOB, "migrate")

    hooks = {(h["name"], h["hookType"]): h["hookPhase"] for h in status["operationState"]["hooks"]}
    assert hooks == {("migrate", "PreSync"): "Succeeded", ("smoke", "PostSync"): "Succeeded"}
    assert [r["name"] for r in status["resources"]] == ["settings"]
    assert ran is not None
    assert again is not None
    assert gone is None
    assert ran["metadata"]["uid"] != again["metadata"]["uid"]
