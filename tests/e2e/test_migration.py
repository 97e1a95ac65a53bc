"""The page on moving a cluster: its commands, as they stand there, on a cluster that Argo Rollouts has left."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollouts import kube as kubes
from rollouts import sandbox
from rollouts.kube import Kube
from tests.api.dropin import peer
from tests.api.harness import Bench, Object, eventually, steps

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
RELEASE = "rollouts-system"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[sandbox.Sandbox]:
    """A cluster of its own: `helm install` owns what it brings."""
    with sandbox.up(tmp_path / "sandbox", wanted=sandbox.CLUSTER) as started:
        peer.definitions(tmp_path / "crds")
        run(started, tmp_path, f"kubectl apply --filename={tmp_path / 'crds'}")
        run(started, tmp_path, "kubectl wait --for=condition=Established crd --all")
        run(started, tmp_path, "kubectl create namespace argo-rollouts")
        image = "registry.example.com/argo-rollouts:1"
        run(started, tmp_path, f"kubectl -n argo-rollouts create deployment argo-rollouts --image={image}")
        yield started


@pytest.fixture
async def kube(cluster: sandbox.Sandbox) -> AsyncIterator[Kube]:
    client = await kubes.connect(str(cluster.kubeconfig))
    yield client
    await client.close()


def run(cluster: sandbox.Sandbox, directory: Path, command: str) -> str:
    """As a person types it, with kubectl, helm and rollouts on the PATH."""
    programs = directory / "bin"
    programs.mkdir(exist_ok=True)
    for name in ("kubectl", "helm"):
        if not (programs / name).exists():
            (programs / name).symlink_to(getattr(cluster.binaries, name))
    path = os.pathsep.join((str(programs), str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {**os.environ, "PATH": path, "KUBECONFIG": str(cluster.kubeconfig)}
    script = f"set -o pipefail; {command}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def commands() -> list[str]:
    page = (ROOT / "docs" / "drop-in.md").read_text()
    (block,) = re.findall(r"## Moving a cluster.*?```console\n(.*?)```", page, re.DOTALL)
    return [line.removeprefix("$ ") for line in block.splitlines()]


async def pods(bench: Bench) -> set[tuple[str, str]]:
    return {(p["metadata"]["name"], p["metadata"]["uid"]) for p in await bench.list("Pod")}


async def test_a_cluster_moves_over_and_nothing_restarts(
    cluster: sandbox.Sandbox, kube: Kube, tmp_path: Path
) -> None:
    bench = peer.at(Bench(kube, "default", cluster.kubeconfig))
    status = {
        "currentStepIndex": 1,
        "controllerPause": True,
        "pauseConditions": [_pause()],
        "phase": "Paused",
    }
    under_way = steps({"setWeight": 25}, {"pause": {}}, {"setWeight": 50})
    await peer.leave(bench, sizes={"web:1": 3, "web:2": 1}, stable="web:1", status=status, **under_way)

    async def are_up() -> bool:
        found = await bench.list("Pod")
        return len(found) == 4 and all(p["status"].get("phase") == "Running" for p in found)

    await eventually(are_up)
    before = await pods(bench)

    for command in commands():
        told = run(cluster, tmp_path, command)
    assert "web" in told

    with _controller(cluster, tmp_path):
        served = await bench.becomes("Rollout", "web", lambda web: bool(web["status"].get("step")))
        assert served["status"]["phase"] == "Paused"
        assert served["status"]["currentStepIndex"] == 1
        promoted: dict[str, Any] = {"status": {"pauseConditions": None}}
        assert await pods(bench) == before
        await bench.patch("Rollout", "web", promoted, subresource="status")
        await bench.becomes("Rollout", "web", lambda web: bool(web["status"]["phase"] == "Healthy"))


def _pause() -> Object:
    return {"reason": "CanaryPauseStep", "startTime": "2026-01-01T12:00:00Z"}


async def test_nothing_is_served_while_the_definitions_are_the_peers(
    cluster: sandbox.Sandbox, kube: Kube, tmp_path: Path
) -> None:
    bench = peer.at(Bench(kube, "default", cluster.kubeconfig))
    left = await peer.leave(bench, sizes={"web:1": 4}, stable="web:1", status={"phase": "Healthy"})
    changed = await bench.set_image("web", "web:2")
    log = tmp_path / "controller.log"
    flags = ("--api-group=argoproj.io", "--metrics-address=", "--health-address=", "--no-leader-elect")

    async def says_why() -> bool:
        return "rollouts crds --api-group argoproj.io | kubectl replace -f -" in log.read_text()

    with _running(log, "controller", f"--kubeconfig={cluster.kubeconfig}", *flags):
        await eventually(says_why)

    found = await bench.get("Rollout", "web")
    assert found["status"] == left["status"]
    assert found["metadata"]["generation"] == changed["metadata"]["generation"]
    assert len(await bench.list("ReplicaSet")) == 1


@contextlib.contextmanager
def _controller(cluster: sandbox.Sandbox, directory: Path) -> Iterator[None]:
    """The process that the installed Deployment describes, with the rights of its account."""
    found = yaml.safe_load(run(cluster, directory, f"kubectl -n {RELEASE} get deployment rollouts -o yaml"))
    (container,) = found["spec"]["template"]["spec"]["containers"]
    account = found["spec"]["template"]["spec"]["serviceAccountName"]
    kubeconfig = cluster.kubeconfig_for_service_account(RELEASE, account)
    here = ("--metrics-address=127.0.0.1:0", "--health-address=127.0.0.1:0")
    cache = f"--git-cache-dir={directory / 'git'}"
    with _running(
        directory / "controller.log", *container["args"], *here, cache, f"--kubeconfig={kubeconfig}"
    ):
        yield


@contextlib.contextmanager
def _running(log: Path, *arguments: str) -> Iterator[None]:
    with log.open("ab") as written:
        command = (sys.executable, "-m", "rollouts", *arguments)
        process = subprocess.Popen(command, stdout=written, stderr=written)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()
