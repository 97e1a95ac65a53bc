"""One sandbox for the tests of this directory that only use it; tests that end one bring up their own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rollouts import sandbox
from rollouts.sandbox import api


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sandbox.Sandbox]:
    """A whole sandbox."""
    with sandbox.up(tmp_path_factory.mktemp("sandbox")) as started:
        yield started


class Kubectl:
    """The built kubectl, signed in by a kubeconfig."""

    def __init__(self, program: Path, kubeconfig: Path) -> None:
        self._argv = [str(program), f"--kubeconfig={kubeconfig}"]

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        return subprocess.run(
            [*self._argv, *arguments], input=stdin, capture_output=True, text=True, check=True
        ).stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self("get", *arguments, "-o", "json"))
        return found

    def apply(self, *objects: dict[str, Any]) -> None:
        self("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


@pytest.fixture(scope="module")
def kubectl(running: sandbox.Sandbox) -> Kubectl:
    return Kubectl(running.binaries.kubectl, running.kubeconfig)


def deployment(name: str, *, replicas: int = 1, **annotations: str) -> dict[str, Any]:
    """A Deployment whose pods behave as annotated (`ready_after="3s"`)."""
    labels = {"app": name}
    behaviour = {f"sandbox.rollouts.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": behaviour},
                "spec": {"containers": [{"name": "main", "image": "example/main:1"}]},
            },
        },
    }


def eventually(condition: Any, *, seconds: float = 60) -> None:
    """Wait for a condition on the real thing."""
    assert api.wait_until(condition, seconds=seconds)
