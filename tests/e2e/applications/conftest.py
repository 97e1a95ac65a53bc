"""A namespace, a repository, and an Application that follows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rollouts import sandbox
from rollouts.kube import Kube
from tests.api.harness import Bench
from tests.e2e.applications.harness import App, Checkout
from tests.e2e.installation import Installation


@pytest.fixture
def bench(kube: Kube, namespace: str, installed: Installation) -> Bench:
    """Its controller has the rights that the chart gives."""
    return Bench(kube, namespace, installed.kubeconfig)


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
