"""A namespace, a repository, and an Application that follows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rollouts import sandbox
from rollouts.kube import Kube
from tests.api.harness import Bench
from tests.e2e.applications.harness import App, Checkout


@pytest.fixture
def bench(cluster: sandbox.Sandbox, kube: Kube, namespace: str) -> Bench:
    return Bench(kube, namespace, cluster.kubeconfig)


@pytest.fixture
def repository(cluster: sandbox.Sandbox, namespace: str) -> sandbox.RepoInfo:
    """A bare repository of the sandbox's Git server, one a test."""
    return cluster.create_repository(f"team/{namespace}")


@pytest.fixture
def checkout(repository: sandbox.RepoInfo, tmp_path: Path) -> Checkout:
    return Checkout.of(str(repository.path), tmp_path / "checkout")


@pytest.fixture
def app(bench: Bench) -> App:
    return App(bench, "shop")
