"""The whole system: the session's sandbox and the rights that the chart gives to the controller."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollouts import sandbox
from rollouts.kube import Kube, resources
from tests.e2e.world import World, Worlds

_CHART = Path(__file__).parents[2] / "charts" / "rollouts"
_NAMESPACE = "rollouts-system"
_RBAC = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def account(cluster: sandbox.Sandbox) -> Path:
    """A kubeconfig of the chart's ServiceAccount, with exactly the rights that the chart gives to it."""
    helm = (str(cluster.binaries.helm), "template", "rollouts", str(_CHART), f"--namespace={_NAMESPACE}")
    rendered = subprocess.run(helm, check=True, capture_output=True, text=True).stdout
    objects = [o for o in yaml.safe_load_all(rendered) if o and o["kind"] in _RBAC]
    (name,) = (o["metadata"]["name"] for o in objects if o["kind"] == "ServiceAccount")
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE}}
    _apply(cluster, namespace, *objects)
    return cluster.kubeconfig_for_service_account(_NAMESPACE, name)


def _apply(cluster: sandbox.Sandbox, *objects: Any) -> None:
    kubectl = (str(cluster.binaries.kubectl), f"--kubeconfig={cluster.kubeconfig}")
    body = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    subprocess.run([*kubectl, "apply", "-f", "-"], input=body, text=True, check=True, capture_output=True)


@pytest.fixture
def worlds(cluster: sandbox.Sandbox, kube: Kube, account: Path, tmp_path: Path) -> Worlds:
    """Namespaces, each with a directory for a controller of its own."""

    async def make() -> World:
        name = f"e2e-{next(_numbers)}"
        directory = tmp_path / name
        directory.mkdir()
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        await kube.create(resources.NAMESPACE, body, field_manager="tests")
        return World(kube, name, account, cluster=cluster, directory=directory)

    return Worlds(make)


@pytest.fixture
async def world(worlds: Worlds) -> World:
    return await worlds.new()
