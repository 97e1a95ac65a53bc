"""A namespace with the verbs of a test on it."""

from __future__ import annotations

import pytest

from rollouts import sandbox
from rollouts.kube import Kube
from tests.api.harness import Bench


@pytest.fixture
def bench(cluster: sandbox.Sandbox, kube: Kube, namespace: str) -> Bench:
    return Bench(kube, namespace, cluster.kubeconfig)
