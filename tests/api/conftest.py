"""A namespace with the verbs of a test on it, and the CRDs of drop-in mode."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from rollouts import sandbox
from rollouts.api import crd
from rollouts.api.meta import Names
from rollouts.kube import Kube
from tests.api.harness import Bench


@pytest.fixture
def bench(cluster: sandbox.Sandbox, kube: Kube, namespace: str) -> Bench:
    return Bench(kube, namespace, cluster.kubeconfig)


@pytest.fixture(scope="module")
def argo_crds(cluster: sandbox.Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Our kinds under the group of Argo Rollouts; while they are there, `kubectl get rollouts` means those."""
    directory = tmp_path_factory.mktemp("crds")
    crd.write(directory, Names("argoproj.io"))
    kubectl = (str(cluster.binaries.kubectl), f"--kubeconfig={cluster.kubeconfig}")
    subprocess.run([*kubectl, "apply", f"--filename={directory}"], check=True, capture_output=True)
    established = [*kubectl, "wait", "--for=condition=Established", "crd", "--all"]
    subprocess.run(established, check=True, capture_output=True)
    yield
    subprocess.run([*kubectl, "delete", f"--filename={directory}"], check=True, capture_output=True)
