"""A namespace of the whole system, in domain words: what a team and an on-call engineer see and do."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rollouts.kube import Kube, resources
from rollouts.sandbox import RepoInfo
from tests.api.harness import Bench, Object
from tests.e2e.applications.harness import authenticated
from tests.e2e.installation import Controller, Installation

HASH = "rollouts-pod-template-hash"
_SCRIPTS = str(Path(sys.executable).parent)
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True, kw_only=True)
class World(Bench):
    """`kubeconfig` is that of the chart's ServiceAccount; `kube` is the administrator's."""

    installation: Installation
    directory: Path
    """For files of this namespace: clones, and the log of a controller of its own."""
    process: Controller | None = None
    """The controller of the cluster."""

    async def applied(self, body: Mapping[str, Any], *words: str) -> Answer:
        """`kubectl apply`."""
        return await self.kubectl("apply", "--filename=-", *words, stdin=json.dumps(body))

    async def kubectl(self, *words: str, stdin: str = "") -> Answer:
        """A command as on-call types it, in this namespace; `kubectl rollouts` is our plugin."""
        cluster = self.installation.cluster
        path = os.pathsep.join((_SCRIPTS, os.environ["PATH"]))
        process = await asyncio.create_subprocess_exec(
            *(str(cluster.binaries.kubectl), *words),
            env={**os.environ, "KUBECONFIG": str(self._people()), "PATH": path},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate(stdin.encode())
        assert process.returncode is not None
        return Answer(process.returncode, out.decode(), err.decode())

    async def served(self, service: str) -> Mapping[str, int]:
        """Requests so far by pod template hash, as the traffic model counted them."""
        totals = await asyncio.to_thread(self.installation.cluster.served)
        hashes = totals.get(f"{self.namespace}/{service}", {}).get("hashes", {})
        return {pod_hash: sum(codes.values()) for pod_hash, codes in hashes.items()}

    async def crash(self) -> None:
        """Kill -9 the controller of the cluster and start it again."""
        assert self.process is not None
        self.process.kill()
        self.process.start()

    @property
    def log(self) -> str:
        """What the controller of the cluster wrote."""
        assert self.process is not None
        return self.process.log.read_text()

    async def told(self, name: str, kind: str = "Rollout") -> list[str]:
        """What the events about an object say, in the order in which they were posted."""
        found = [e for e in await self.list("Event") if e["involvedObject"]["name"] == name]
        found = [e for e in found if e["involvedObject"]["kind"] == kind]
        ordered = sorted(found, key=lambda e: int(e["metadata"]["resourceVersion"]))
        return [f"{e['reason']}: {e['message']}" for e in ordered]

    async def told_twice(self) -> list[str]:
        """Warnings of ours that say what another one says."""
        events = [e for e in await self.list("Event") if e["type"] == "Warning"]
        events = [e for e in events if e["source"].get("component") == "rollouts-controller"]
        told = Counter((e["involvedObject"]["name"], e["reason"], e["message"]) for e in events)
        return [f"{self.namespace}: {fact}" for fact, count in told.items() if count > 1]

    async def pods(self) -> Mapping[str, int]:
        """Images, and how many pods should run them."""
        found = {
            s["spec"]["template"]["spec"]["containers"][0]["image"]: s for s in await self.list("ReplicaSet")
        }
        return {image: s["spec"]["replicas"] for image, s in found.items() if s["spec"]["replicas"]}

    async def repository(self) -> RepoInfo:
        """A bare repository of this namespace on the Git server."""
        create = self.installation.cluster.create_repository
        return await asyncio.to_thread(create, f"team/{self.namespace}")

    def pushed_to(self, repository: RepoInfo) -> str:
        """The URL that a team pushes to, with its password."""
        cluster = self.installation.cluster
        return authenticated(repository, cluster.git_username, cluster.git_password)

    def git_secret(self, name: str) -> Object:
        cluster = self.installation.cluster
        content = {"username": cluster.git_username, "password": cluster.git_password}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": content}

    def what_happened(self) -> str:
        """Everything that helps to see why a test failed: objects and events."""
        kinds = "rollouts,applications,analysisruns,replicasets,services"
        shown = [
            self._shown("get", kinds, "--output=yaml"),
            self._shown("get", "events", "--sort-by=.metadata.resourceVersion"),
        ]
        return "\n".join(shown)

    def _shown(self, *words: str) -> str:
        kubectl = str(self.installation.cluster.binaries.kubectl)
        command = (kubectl, f"--kubeconfig={self._people()}", *words)
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def _people(self) -> Path:
        """A kubeconfig whose context names this namespace."""
        path = self.directory / "kubeconfig.yaml"
        if not path.exists():
            config = yaml.safe_load(self.installation.cluster.kubeconfig.read_text())
            for context in config["contexts"]:
                context["context"]["namespace"] = self.namespace
            path.write_text(yaml.safe_dump(config))
        return path


@dataclass(frozen=True, slots=True)
class Worlds:
    """As many namespaces as a test asks for."""

    kube: Kube
    installation: Installation
    directory: Path
    process: Controller | None = None
    made: dict[str, list[World]] = field(default_factory=dict)
    """By the test or scenario that asked for them."""

    async def new(self, whose: str = "") -> World:
        name = f"e2e-{next(_numbers)}"
        directory = self.directory / name
        directory.mkdir()
        body: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        await self.kube.create(resources.NAMESPACE, body, field_manager="tests")
        kubeconfig = self.installation.kubeconfig
        world = World(
            self.kube,
            name,
            kubeconfig,
            installation=self.installation,
            directory=directory,
            process=self.process,
        )
        self.made.setdefault(whose, []).append(world)
        return world

    async def end(self) -> None:
        """Delete them; the cluster need not be done with it."""
        for world in (world for worlds in self.made.values() for world in worlds):
            await self.kube.delete(resources.NAMESPACE.ref(world.namespace))
