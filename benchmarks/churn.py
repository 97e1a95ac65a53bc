"""Rollouts, AnalysisRuns, Experiments and Applications come and go: does anything of them stay? One JSON line.

    python -m benchmarks.churn [--rounds 10] [--each 5]

A round makes `--each` Rollouts, AnalysisRuns and Applications of names that were never used before, updates the Rollouts
by way of an Experiment beside a background analysis, aborts every other one and promotes the rest, deletes all,
and waits until the API server has nothing of them and the controller nothing to do. The figures are pairs: after the
second round, when code and pools are warm, and after the last. Series and open files must not grow with the
rounds; `kib_per_object` is the growth of the resident memory by the objects that have come and gone in between.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.server
import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from benchmarks import bench
from rollouts.errors import NotFound
from rollouts.kube import Kube, Resource, resources

_GROUP = "rollouts.dev"
_ROLLOUT, _RUN = resources.rollout(_GROUP), resources.analysis_run(_GROUP)
_EXPERIMENT, _TEMPLATE = resources.experiment(_GROUP), resources.analysis_template(_GROUP)
_KINDS = (_ROLLOUT, _RUN, _EXPERIMENT, _TEMPLATE, resources.APPLICATION, resources.REPLICA_SET)
_QUEUES = ("rollout", "analysis_run", "experiment", "application", "application_outward")
_QUIET = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
_WARM = 2


@dataclass(frozen=True, slots=True)
class Seen:
    """What the controller holds."""

    resident_mib: float
    open_files: int
    threads: int
    series: int


@dataclass(frozen=True, slots=True)
class Round:
    """Objects of one round. `i` counts from 0."""

    number: int
    each: int
    metrics_url: str
    repository: Path

    def name(self, i: int) -> str:
        return f"r{self.number}-{i}"

    @property
    def template(self) -> str:
        return f"r{self.number}"

    def analysis(self) -> bench.Object:
        return _object(_TEMPLATE, self.template, {"metrics": [_metric(self.metrics_url, 1000)]})

    def run(self, i: int) -> bench.Object:
        return _object(_RUN, self.name(i), {"metrics": [_metric(self.metrics_url, 2)]})

    def rollout(self, i: int) -> bench.Object:
        body = bench.rollout(self.name(i), "web:1", replicas=2, weights=())
        stable = {"name": "stable", "specRef": "stable"}
        body["spec"]["strategy"]["canary"] = {
            "analysis": {"templates": [{"templateName": self.template}]},
            "steps": [
                {"setWeight": 50},
                {"experiment": {"duration": "1s", "templates": [stable]}},
                {"pause": {}},
            ],
        }
        return body

    def application(self, i: int) -> bench.Object:
        source = {"repoURL": self.repository.as_uri(), "path": self.name(i), "targetRevision": "main"}
        return _object(
            resources.APPLICATION,
            self.name(i),
            {"source": source, "deletionPolicy": "Delete", "syncPolicy": {"automated": {"prune": True}}},
        )

    def push(self) -> None:
        """A directory for each Application."""
        for i in range(self.each):
            config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": self.name(i)}}
            directory = self.repository / self.name(i)
            directory.mkdir()
            (directory / "all.yaml").write_text(yaml.safe_dump(config))
        _git(self.repository, "add", "--all")
        _git(
            self.repository,
            *("-c", "user.name=Bench", "-c", "user.email=bench@example.com"),
            *("commit", "--quiet", "-m", "x"),
        )


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    seen: list[Seen] = []
    with tempfile.TemporaryDirectory(prefix="rollouts-bench-git-") as directory, bench.cluster() as cluster:
        repository = Path(directory) / "repository"
        _git(Path(directory), "init", "--quiet", "--initial-branch=main", str(repository))
        flags = ("--git-cache-dir", str(Path(directory) / "cache"))
        with _metrics() as url:
            async with bench.client(cluster) as kube, bench.controller(cluster, *flags) as controller:
                for number in range(options.rounds):
                    await _played(kube, controller, Round(number, options.each, url, repository))
                    seen.append(await asyncio.to_thread(_look, controller))
    warm, last = seen[_WARM - 1], seen[-1]
    # A Rollout with its background run, two sets, an Experiment and its set; an AnalysisRun; an Application.
    objects = 8 * options.each * (options.rounds - _WARM)
    grown = (last.resident_mib - warm.resident_mib) * 1024
    return {
        "benchmark": "churn",
        "rounds": options.rounds,
        "objects": objects,
        **{name: [getattr(warm, name), getattr(last, name)] for name in Seen.__slots__},
        "kib_per_object": round(grown / objects, 2) if objects else 0.0,
    }


async def _played(kube: Kube, controller: bench.Controller, now: Round) -> None:
    await asyncio.to_thread(now.push)
    await _create(kube, _TEMPLATE, now.analysis())
    for i in range(now.each):
        await _create(kube, _ROLLOUT, now.rollout(i))
        await _create(kube, _RUN, now.run(i))
        await _create(kube, resources.APPLICATION, now.application(i))
    await _until(kube, _ROLLOUT, "Healthy")
    image = {"template": {"spec": {"containers": [{"name": "main", "image": "web:2"}]}}}
    for i in range(now.each):
        await _patch(kube, now.name(i), {"spec": image})
    await _until(kube, _ROLLOUT, "Paused")
    for i in range(now.each):
        verb = {"abort": True} if i % 2 else {"promoteFull": True}
        await _patch(kube, now.name(i), {"status": verb}, subresource="status")
    await _until(kube, _ROLLOUT, "Healthy", "Degraded")
    await _until(kube, resources.APPLICATION, "Synced")
    for kind in (_ROLLOUT, _RUN, resources.APPLICATION, _TEMPLATE):
        for found in (await kube.list(kind, bench.NAMESPACE)).items:
            with contextlib.suppress(NotFound):  # the runs of a Rollout may go with it
                await kube.delete(kind.ref(found["metadata"]["name"], bench.NAMESPACE))
    await bench.until(lambda: _empty(kube), seconds=300, every=0.5)
    await bench.until(lambda: _idle(controller), seconds=60, every=0.5)


async def _create(kube: Kube, kind: Resource, body: bench.Object) -> None:
    await kube.create(kind, body, field_manager="bench")


async def _patch(kube: Kube, name: str, body: bench.Object, *, subresource: str = "") -> None:
    ref = _ROLLOUT.ref(name, bench.NAMESPACE)
    await kube.merge_patch(ref, {"metadata": {}, **body}, field_manager="bench", subresource=subresource)


async def _until(kube: Kube, kind: Resource, *states: str) -> None:
    async def so() -> bool:
        found = (await kube.list(kind, bench.NAMESPACE)).items
        return all(_state(each) in states for each in found)

    await bench.until(so, seconds=300, every=0.5)


def _state(body: bench.Object) -> str:
    """The phase of a spec that has been seen, or the sync of an Application."""
    status = body.get("status") or {}
    if "sync" in status:
        return str(status["sync"].get("status", ""))
    is_seen = status.get("observedGeneration") == str(body["metadata"]["generation"])
    return str(status.get("phase", "")) if is_seen else ""


async def _empty(kube: Kube) -> bool:
    return not any([(await kube.list(kind, bench.NAMESPACE)).items for kind in _KINDS])


async def _idle(controller: bench.Controller) -> bool:
    return not any(controller.queued(name) for name in _QUEUES)


def _look(controller: bench.Controller) -> Seen:
    status = Path(f"/proc/{controller.pid}/status").read_text()
    text = httpx.get(f"{controller.metrics}/metrics", trust_env=False).text
    return Seen(
        resident_mib=round(controller.cost().resident_mib, 1),
        open_files=len(list(Path(f"/proc/{controller.pid}/fd").iterdir())),
        threads=int(next(line.split()[1] for line in status.splitlines() if line.startswith("Threads:"))),
        series=sum(not line.startswith("#") for line in text.splitlines()),
    )


def _object(kind: Resource, name: str, spec: bench.Object) -> bench.Object:
    metadata = {"name": name, "namespace": bench.NAMESPACE}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": spec}


def _metric(url: str, count: int) -> bench.Object:
    web = {"url": url, "jsonPath": "{$.value}"}
    return {
        "name": "rate",
        "interval": "1s",
        "count": count,
        "successCondition": "result == 1",
        "provider": {"web": web},
    }


@contextlib.contextmanager
def _metrics() -> Iterator[str]:
    """Where every metric has the value 1."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"value": 1}'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def _git(directory: Path, *arguments: str) -> None:
    environment = {**os.environ, **_QUIET}
    subprocess.run(["git", "-C", str(directory), *arguments], check=True, env=environment)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--each", type=int, default=5)
    print(json.dumps(asyncio.run(measure(parser.parse_args()))))


if __name__ == "__main__":
    main()
