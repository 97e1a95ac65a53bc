"""What the benchmarks share: a cluster, the controller as a process of its own, and its costs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from rollouts import kube as kubes
from rollouts import sandbox
from rollouts.kube import Kube, resources
from rollouts.sandbox import ports

Object = dict[str, Any]

CRDS = Path(__file__).parents[1] / "crds"
NAMESPACE = "default"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process has used since it started."""

    cpu_seconds: float
    peak_mib: float
    resident_mib: float


@dataclass(frozen=True, slots=True)
class Controller:
    """`rollouts controller`, running."""

    pid: int
    health: str
    metrics: str
    started: float

    def cost(self) -> Cost:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{self.pid}/status").read_text()
        return Cost(
            cpu_seconds=(int(fields[11]) + int(fields[12])) / _TICKS,
            peak_mib=_kib(status, "VmHWM") / 1024,
            resident_mib=_kib(status, "VmRSS") / 1024,
        )

    def requests(self) -> Mapping[tuple[str, str], int]:
        """Requests to the API server so far, by (verb, kind), as the controller counts them."""
        text = httpx.get(f"{self.metrics}/metrics", trust_env=False).text
        found = re.findall(r'api_requests_total\{kind="(\w+)",verb="(\w+)"\} (\S+)', text)
        return {(verb, kind): int(float(count)) for kind, verb, count in found}

    def queued(self, name: str) -> int:
        """Keys that wait or are handled in the queue of this name."""
        text = httpx.get(f"{self.metrics}/metrics", trust_env=False).text
        found = re.findall(rf'queue_(?:depth|busy)\{{controller="{name}"\}} (\S+)', text)
        return sum(int(float(count)) for count in found)

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.health}/readyz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


@contextlib.contextmanager
def cluster() -> Iterator[sandbox.Sandbox]:
    """A sandbox with API server, controller manager and simulated pods, and our CRDs."""
    with (
        tempfile.TemporaryDirectory(prefix="rollouts-bench-") as directory,
        sandbox.up(Path(directory), wanted=sandbox.CLUSTER) as started,
    ):
        kubectl(started, "apply", f"--filename={CRDS}")
        kubectl(started, "wait", "--for=condition=Established", "crd", "--all")
        yield started


def kubectl(cluster: sandbox.Sandbox, *arguments: str) -> str:
    command = [str(cluster.binaries.kubectl), f"--kubeconfig={cluster.kubeconfig}", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextlib.asynccontextmanager
async def controller(cluster: sandbox.Sandbox, *flags: str) -> AsyncIterator[Controller]:
    health, metrics = (f"127.0.0.1:{port}" for port in ports.find(2))
    command = [
        *(sys.executable, "-m", "rollouts", "controller", "--kubeconfig", str(cluster.kubeconfig)),
        *("--no-leader-elect", "--health-address", health, "--metrics-address", metrics, *flags),
    ]
    with (cluster.directory / "controller.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
    try:
        running = Controller(process.pid, f"http://{health}", f"http://{metrics}", time.monotonic())
        await until(_ready(running), seconds=120)
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


@contextlib.asynccontextmanager
async def client(cluster: sandbox.Sandbox) -> AsyncIterator[Kube]:
    kube = await kubes.connect(str(cluster.kubeconfig))
    try:
        yield kube
    finally:
        await kube.close()


async def until(question: Callable[[], Awaitable[bool]], *, seconds: float, every: float = 0.1) -> None:
    """Ask until it is so. A question that costs the measured program something is asked seldom."""
    deadline = time.monotonic() + seconds
    while not await question():
        if time.monotonic() > deadline:
            raise TimeoutError(f"it did not come true within {seconds} s")
        await asyncio.sleep(every)


async def rollouts(kube: Kube) -> tuple[Object, ...]:
    return (await kube.list(resources.rollout("rollouts.dev"), NAMESPACE)).items


async def events(kube: Kube) -> int:
    """Events about Rollouts that exist."""
    found = (await kube.list(resources.EVENT, NAMESPACE)).items
    return sum(e["involvedObject"]["kind"] == "Rollout" for e in found)


def rollout(name: str, image: str, *, replicas: int, weights: tuple[int, ...]) -> Object:
    labels = {"app": name}
    return {
        "apiVersion": "rollouts.dev/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": image}]},
            },
            "strategy": {"canary": {"steps": [{"setWeight": weight} for weight in weights]}},
        },
    }


def difference(
    before: Mapping[tuple[str, str], int], after: Mapping[tuple[str, str], int]
) -> dict[tuple[str, str], int]:
    return {key: count - before.get(key, 0) for key, count in after.items() if count != before.get(key, 0)}


def _ready(running: Controller) -> Callable[[], Awaitable[bool]]:
    async def ready() -> bool:
        return running.is_ready()

    return ready


def _kib(status: str, field: str) -> int:
    return int(re.search(rf"{field}:\s+(\d+)", status)[1])  # type: ignore[index]
