"""One sandbox for all tests that need a cluster; each test gets a namespace of its own in it."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest

from rollouts import kube as kubes
from rollouts import sandbox
from rollouts.kube import Kube, resources

# How fast this machine draws and runs examples says nothing about the code. CI says the same of the same
# commit every time; new examples are looked for wherever else the tests run.
hypothesis.settings.register_profile(
    "rollouts",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("rollouts")

_CRDS = Path(__file__).parents[1] / "crds"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sandbox.Sandbox]:
    """A whole sandbox with our CRDs: API server, controller manager, simulated pods, Prometheus, Git."""
    with sandbox.up(tmp_path_factory.mktemp("sandbox")) as started:
        kubectl = (str(started.binaries.kubectl), f"--kubeconfig={started.kubeconfig}")
        subprocess.run([*kubectl, "apply", f"--filename={_CRDS}"], check=True, capture_output=True)
        established = [*kubectl, "wait", "--for=condition=Established", "crd", "--all"]
        subprocess.run(established, check=True, capture_output=True)
        yield started


@pytest.fixture
async def kube(cluster: sandbox.Sandbox) -> AsyncIterator[Kube]:
    """The administrator's client."""
    client = await kubes.connect(str(cluster.kubeconfig))
    yield client
    await client.close()


@pytest.fixture
async def namespace(kube: Kube) -> str:
    """A new, empty namespace."""
    name = f"test-{next(_numbers)}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    await kube.create(resources.NAMESPACE, body, field_manager="tests")
    return name
