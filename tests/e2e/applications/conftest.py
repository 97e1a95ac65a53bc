"""A namespace, a repository, and an Application that follows it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rollouts import sandbox
from rollouts.kube import Kube
from rollouts.sandbox import binaries
from rollouts.sandbox.progress import Silent
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


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs that the controller runs, in one directory."""
    directory = tmp_path_factory.mktemp("tools")
    wanted = ("kustomize", "helm", "sops", "age-keygen")
    for name, program in binaries.locate(None, environ=os.environ, report=Silent()).ensure(wanted).items():
        (directory / name).symlink_to(program)
    return directory
