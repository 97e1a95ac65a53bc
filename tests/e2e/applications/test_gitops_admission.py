"""The chart's policy on edits by hand, evaluated by a real API server."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from rollouts import sandbox
from rollouts.sandbox import binaries
from rollouts.sandbox.progress import Silent
from tests.api.harness import eventually
from tests.e2e.applications.harness import App, Checkout, config_map

pytestmark = pytest.mark.e2e

CHART = Path(__file__).parents[3] / "charts" / "rollouts"


@pytest.fixture
def policy(app: App, cluster: sandbox.Sandbox, tmp_path: Path) -> Iterator[None]:
    """admission.handEdits=Deny, for the namespace of this test only."""
    helm = binaries.locate(None, environ=os.environ, report=Silent()).helm
    options = ("--set", "admission.handEdits=Deny", "--show-only", "templates/admission.yaml")
    command = (str(helm), "template", f"deny-{app.bench.namespace}", str(CHART), *options)
    objects = list(
        yaml.safe_load_all(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    )
    here = {"matchLabels": {"kubernetes.io/metadata.name": app.bench.namespace}}
    objects[1]["spec"]["matchResources"] = {"namespaceSelector": here}
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump_all(objects))
    kubectl = (str(cluster.binaries.kubectl), f"--kubeconfig={cluster.kubeconfig}")
    subprocess.run([*kubectl, "apply", "-f", str(tmp_path / "policy.yaml")], check=True, capture_output=True)
    yield
    subprocess.run([*kubectl, "delete", "-f", str(tmp_path / "policy.yaml")], check=True, capture_output=True)


class Jane:
    """A person with all rights."""

    def __init__(self, cluster: sandbox.Sandbox, namespace: str) -> None:
        program, kubeconfig = str(cluster.binaries.kubectl), f"--kubeconfig={cluster.kubeconfig}"
        person = ("--as=jane", "--as-group=system:masters")
        self._kubectl = (program, kubeconfig, f"--namespace={namespace}", *person)

    def does(self, *arguments: str) -> str:
        """What the API server says to it; empty when it is done."""
        done = subprocess.run([*self._kubectl, *arguments], capture_output=True, text=True, check=False)
        return done.stderr if done.returncode else ""


async def test_people_are_stopped_and_break_the_glass_in_an_emergency(
    app: App,
    checkout: Checkout,
    repository: sandbox.RepoInfo,
    cluster: sandbox.Sandbox,
    policy: None,
    tmp_path: Path,
) -> None:
    namespace = app.bench.namespace
    jane = Jane(cluster, namespace)
    commit = checkout.push({"a.yaml": config_map("a", color="blue")})
    await app.create(repository.file_url)
    edit = ("patch", "configmap", "a", "--type=merge", '--patch={"data":{"color":"red"}}')

    async def denied() -> str:
        """The API server takes a moment until a new policy holds."""
        return jane.does(*edit, "--dry-run=server")

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(commit)
        told = await eventually(denied)
        assert f"ConfigMap a is managed by Application {namespace}/shop: change it in Git" in told
        assert "break-glass" in jane.does("delete", "configmap", "a")
        assert "break-glass" in jane.does("label", "configmap", "a", "application.rollouts.dev/name-")
        newer = checkout.push({"a.yaml": config_map("a", color="green")})
        await app.runs(newer)  # the controller is no person

        assert (
            jane.does("annotate", "configmap", "a", "rollouts.dev/break-glass=jane: the site is down") == ""
        )
        assert jane.does(*edit) == ""
        newest = checkout.push({"a.yaml": config_map("a", color="grey"), "b.yaml": config_map("b")})
        await app.runs(newest)
        assert await app.config("a") == {"color": "red"}

        assert jane.does("annotate", "configmap", "a", "rollouts.dev/break-glass-") == ""

        async def healed() -> bool:
            return await app.config("a") == {"color": "grey"}

        await eventually(healed)
