"""Applications of four objects each in one repository: first sync, push to applied, drift to healed. One JSON line.

    python -m benchmarks.gitops [--applications 100] [--pushes 20] [--drifts 20] [--hanging 0]

Each push changes one object of one Application and refreshes that Application, as a webhook would; the time
runs from the refresh until the API server holds the change. `requests_per_push` are all requests of the
controller to the API server, the touched Application's own included: it must not grow with the number of
Applications. Drift is a hand edit; the time runs until it is undone. `--hanging` more Applications have a
repository each whose host takes the connection and never answers; the other figures should not tell.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks import bench
from rollouts.kube import Kube, resources

_AT_ONCE = 20
_QUIET = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


@dataclass(frozen=True, slots=True)
class Repository:
    """All Applications' directories in one repository."""

    directory: Path

    def start(self, count: int) -> None:
        self.directory.mkdir()
        self._git("init", "--quiet", "--initial-branch=main")
        for i in range(count):
            self.write(i, "0")
        self.commit()

    def write(self, i: int, version: str) -> None:
        path = self.directory / f"app-{i}" / "all.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump_all(objects(f"app-{i}", version)))

    def commit(self) -> None:
        self._git("add", "--all")
        self._git(
            "-c", "user.name=Bench", "-c", "user.email=bench@example.com", "commit", "--quiet", "-m", "x"
        )

    def _git(self, *arguments: str) -> None:
        environment = {**os.environ, **_QUIET}
        subprocess.run(["git", "-C", str(self.directory), *arguments], check=True, env=environment)


def objects(name: str, version: str) -> list[bench.Object]:
    """A Deployment without pods, a ServiceAccount, a Service and an Ingress."""
    metadata = {"name": name, "labels": {"version": version}}
    container = {"name": "main", "image": "registry.example.com/main:1"}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    backend = {"service": {"name": name, "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": {"app": name}, "ports": [{"port": 80}]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template},
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": name},
            "spec": {"rules": [{"host": f"{name}.example.com", "http": {"paths": [path]}}]},
        },
    ]


def application(i: int, url: str) -> bench.Object:
    return {
        "apiVersion": "rollouts.dev/v1alpha1",
        "kind": "Application",
        "metadata": {"name": f"app-{i}", "namespace": bench.NAMESPACE},
        "spec": {
            "source": {"repoURL": url, "path": f"app-{i}", "targetRevision": "main"},
            "interval": "10m",
            "syncPolicy": {"automated": {"prune": True, "selfHeal": True}},
        },
    }


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    with (
        tempfile.TemporaryDirectory(prefix="rollouts-bench-git-") as directory,
        bench.cluster() as cluster,
        socket.create_server(("127.0.0.1", 0), backlog=1024) as silent,
    ):
        repository = Repository(Path(directory) / "repository")
        repository.start(options.applications)
        flags = ("--git-cache-dir", str(Path(directory) / "cache"))
        async with bench.client(cluster) as kube, bench.controller(cluster, *flags) as controller:
            await _hang(kube, silent.getsockname()[1], options.hanging)
            first = await _first_sync(kube, controller, repository, options.applications)
            async with _services(kube) as versions:
                before = controller.requests()
                pushes = await _pushes(kube, repository, versions, options)
                requests = sum(bench.difference(before, controller.requests()).values())
                drifts = await _drifts(kube, versions, options)
            await asyncio.sleep(5)
            idle = controller.requests(), controller.cost()
            await asyncio.sleep(20)
            after = controller.requests(), controller.cost()
    return {
        "applications": options.applications,
        "hanging": options.hanging,
        **first,
        **_quantiles("push_to_applied", pushes),
        "requests_per_push": round(requests / options.pushes, 1),
        **_quantiles("drift_to_healed", drifts),
        "idle_requests_in_20_seconds": sum(bench.difference(idle[0], after[0]).values()),
        "idle_cpu_seconds_in_20_seconds": round(after[1].cpu_seconds - idle[1].cpu_seconds, 2),
        "peak_mib": round(after[1].peak_mib, 1),
    }


async def _hang(kube: Kube, port: int, count: int) -> None:
    """Applications whose Git host never says a word."""
    for i in range(count):
        body = application(i, f"http://127.0.0.1:{port}/{i}.git")
        body["metadata"]["name"] = f"hanging-{i}"
        await kube.create(resources.APPLICATION, body, field_manager="bench")


async def _first_sync(
    kube: Kube, controller: bench.Controller, repository: Repository, count: int
) -> dict[str, Any]:
    before, started = controller.cost(), time.monotonic()
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(i: int) -> None:
        async with turns:
            body = application(i, repository.directory.as_uri())
            await kube.create(resources.APPLICATION, body, field_manager="bench")

    async with asyncio.TaskGroup() as group:
        for i in range(count):
            group.create_task(one(i))
    await bench.until(lambda: _all_ready(kube, count), seconds=1800, every=0.5)
    return {
        "first_sync_seconds": round(time.monotonic() - started, 1),
        "first_sync_cpu_seconds": round(controller.cost().cpu_seconds - before.cpu_seconds, 1),
    }


async def _all_ready(kube: Kube, count: int) -> bool:
    found = (await kube.list(resources.APPLICATION, bench.NAMESPACE)).items
    ready = sum(
        c["type"] == "Ready" and c["status"] == "True"
        for a in found
        for c in (a.get("status") or {}).get("conditions") or ()
    )
    return ready == count


class Versions:
    """The version label of every Service, as a watch tells it."""

    def __init__(self) -> None:
        self.now: dict[str, str] = {}
        self._changed = asyncio.Event()

    def see(self, body: bench.Object) -> None:
        self.now[body["metadata"]["name"]] = body["metadata"].get("labels", {}).get("version", "")
        self._changed.set()

    async def until(self, name: str, is_so: Callable[[str], bool]) -> float:
        async with asyncio.timeout(60):
            while not is_so(self.now.get(name, "")):
                self._changed.clear()
                await self._changed.wait()
        return time.monotonic()


@contextlib.asynccontextmanager
async def _services(kube: Kube) -> AsyncIterator[Versions]:
    versions = Versions()
    page = await kube.list(resources.SERVICE, bench.NAMESPACE)

    async def follow() -> None:
        events = kube.watch(resources.SERVICE, bench.NAMESPACE, resource_version=page.resource_version)
        async for type_, body in events:
            if type_ in ("ADDED", "MODIFIED"):
                versions.see(body)

    for body in page.items:
        versions.see(body)
    task = asyncio.create_task(follow())
    try:
        yield versions
    finally:
        task.cancel()


async def _pushes(
    kube: Kube, repository: Repository, versions: Versions, options: argparse.Namespace
) -> list[float]:
    times = []
    for number in range(1, options.pushes + 1):
        i = random.randrange(options.applications)
        repository.write(i, str(number))
        repository.commit()
        ref = resources.APPLICATION.ref(f"app-{i}", bench.NAMESPACE)
        patch = {"metadata": {"annotations": {"rollouts.dev/refresh": str(number)}}}
        started = time.monotonic()
        await kube.merge_patch(ref, patch, field_manager="bench")
        times.append(await versions.until(f"app-{i}", lambda v, n=str(number): v == n) - started)
        await asyncio.sleep(0.3)
    return times


async def _drifts(kube: Kube, versions: Versions, options: argparse.Namespace) -> list[float]:
    times = []
    for _ in range(options.drifts):
        name = f"app-{random.randrange(options.applications)}"
        wanted = versions.now[name]
        ref = resources.SERVICE.ref(name, bench.NAMESPACE)
        patch = {"metadata": {"labels": {"version": "by-hand"}}}
        started = time.monotonic()
        await kube.merge_patch(ref, patch, field_manager="kubectl-edit")
        await versions.until(name, lambda v: v == "by-hand")
        times.append(await versions.until(name, lambda v, w=wanted: v == w) - started)
        await asyncio.sleep(0.1)
    return times


def _quantiles(name: str, times: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(times, n=20) if len(times) > 1 else times * 19
    return {f"{name}_p50_seconds": round(cuts[9], 3), f"{name}_p95_seconds": round(cuts[18], 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--applications", type=int, default=100)
    parser.add_argument("--pushes", type=int, default=20)
    parser.add_argument("--drifts", type=int, default=20)
    parser.add_argument("--hanging", type=int, default=0)
    print(json.dumps(asyncio.run(measure(parser.parse_args()))))


if __name__ == "__main__":
    main()
