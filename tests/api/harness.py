"""A namespace of a real API server and controllers on it, in domain words."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from rollouts import kube as kubes
from rollouts.controller import main
from rollouts.controller.writes import Checkpoint, no_checkpoint
from rollouts.errors import Conflict, NotFound, Transient
from rollouts.kube import Kube, Ref, Resource, resources
from rollouts.settings import Settings

T = TypeVar("T")
Object = dict[str, Any]

_POLL_SECONDS = 0.1


async def becomes(kube: Kube, ref: Ref, holds: Callable[[Object], bool], *, seconds: float = 60) -> Object:
    """An object as it is when this holds, now or after a change; fails with the object as it was last."""
    found: Object = {}
    try:
        async with asyncio.timeout(seconds), contextlib.aclosing(_versions(kube, ref)) as versions:
            async for found in versions:
                if holds(found):
                    break
    except TimeoutError:
        raise AssertionError(f"{ref} did not come to that within {seconds} s: {found}") from None
    return found


async def _versions(kube: Kube, ref: Ref) -> AsyncGenerator[Object, None]:
    """An object as it is, and then after each change."""
    while True:
        found = await kube.get(ref)
        yield found
        version = found["metadata"]["resourceVersion"]
        # A watch that the server ends, or does not grant yet, is followed by another one.
        with contextlib.suppress(Conflict, Transient):
            async for event, body in kube.watch(ref.resource, ref.namespace, resource_version=version):
                if event == "DELETED" and body["metadata"]["name"] == ref.name:
                    break
                if event != "BOOKMARK" and body["metadata"]["name"] == ref.name:
                    yield body
        await asyncio.sleep(_POLL_SECONDS)


async def eventually(question: Callable[[], Awaitable[T]], *, seconds: float = 60) -> T:
    """The first answer that is true; fails with the last one.

    For what no watch tells: several objects at once, a log, a port, a Git host. For one object there is `becomes`.
    """
    deadline = time.monotonic() + seconds
    while not (answer := await question()):
        assert time.monotonic() < deadline, f"it did not come true within {seconds} s: {answer!r}"
        await asyncio.sleep(_POLL_SECONDS)
    return answer


@dataclass(frozen=True, slots=True)
class Requests:
    """What a controller asked of the API server."""

    seen: list[tuple[str, str]] = field(default_factory=list)

    def writes(self, part: str = "") -> list[str]:
        return [f"{method} {path}" for method, path in self.seen if method != "GET" and part in path]


@dataclass(frozen=True, slots=True)
class Bench:
    """One namespace, and what a test does in it."""

    kube: Kube
    namespace: str
    kubeconfig: Path
    group: str = "rollouts.dev"

    @property
    def settings(self) -> Settings:
        return Settings(
            kubeconfig=str(self.kubeconfig),
            namespace=self.namespace,
            leader_elect=False,
            metrics_address="",
            health_address="",
            api_group=self.group,
        )

    @contextlib.asynccontextmanager
    async def controller(
        self, checkpoint: Checkpoint = no_checkpoint, **changes: Any
    ) -> AsyncIterator[Requests]:
        """A controller on this namespace, stopped in good order at the end."""
        requests, stopping = Requests(), asyncio.Event()
        client = await kubes.connect(str(self.kubeconfig))
        client.observe(lambda method, path: requests.seen.append((method, path)))
        task = asyncio.create_task(
            main.serve(client, replace(self.settings, **changes), stopping, checkpoint)
        )
        try:
            yield requests
            assert not task.done(), "the controller has ended by itself"
        finally:
            stopping.set()
            status = await task
            await client.close()
        assert status == 0

    def resource(self, kind: str) -> Resource:
        known: dict[str, Resource] = {
            "Rollout": resources.rollout(self.group),
            "AnalysisRun": resources.analysis_run(self.group),
            "Experiment": resources.experiment(self.group),
            "AnalysisTemplate": resources.analysis_template(self.group),
            "ClusterAnalysisTemplate": resources.cluster_analysis_template(self.group),
            "ReplicaSet": resources.REPLICA_SET,
            "Deployment": resources.DEPLOYMENT,
            "Service": resources.SERVICE,
            "Secret": resources.SECRET,
            "ConfigMap": resources.CONFIG_MAP,
            "Pod": resources.POD,
            "Event": resources.EVENT,
        }
        return known[kind]

    async def create(self, body: Mapping[str, Any]) -> Object:
        metadata = {"namespace": self.namespace, **body["metadata"]}
        resource = self.resource(body["kind"])
        return await self.kube.create(resource, {**body, "metadata": metadata}, field_manager="tests")

    async def get(self, kind: str, name: str) -> Object:
        return await self.kube.get(self.resource(kind).ref(name, self.namespace))

    async def find(self, kind: str, name: str) -> Object | None:
        try:
            return await self.get(kind, name)
        except NotFound:
            return None

    async def list(self, kind: str) -> list[Object]:
        return list((await self.kube.list(self.resource(kind), self.namespace)).items)

    async def patch(self, kind: str, name: str, patch: Mapping[str, Any], *, subresource: str = "") -> Object:
        ref = self.resource(kind).ref(name, self.namespace)
        return await self.kube.merge_patch(ref, patch, field_manager="tests", subresource=subresource)

    async def delete(self, kind: str, name: str, propagation: str = "Background") -> None:
        await self.kube.delete(self.resource(kind).ref(name, self.namespace), propagation=propagation)

    async def set_image(self, name: str, image: str) -> Object:
        template = (await self.get("Rollout", name))["spec"]["template"]
        containers = [{**template["spec"]["containers"][0], "image": image}]
        return await self.patch("Rollout", name, {"spec": {"template": {"spec": {"containers": containers}}}})

    async def steer(self, name: str, **status: Any) -> Object:
        """What a person does to a Rollout: a patch of its status."""
        return await self.patch("Rollout", name, {"status": status}, subresource="status")

    async def reaches(self, name: str, phase: str, **status: Any) -> Object:
        """The Rollout when it is in this phase, with its latest spec observed."""

        def there(found: Object) -> bool:
            now = found.get("status", {})
            observed = now.get("observedGeneration") == str(found["metadata"]["generation"])
            wanted = {"phase": phase, **status}
            return observed and all(now.get(k) == v for k, v in wanted.items())

        return await self.becomes("Rollout", name, there)

    async def becomes(
        self, kind: str, name: str, holds: Callable[[Object], bool], *, seconds: float = 60
    ) -> Object:
        """An object when this holds."""
        ref = self.resource(kind).ref(name, self.namespace)
        return await becomes(self.kube, ref, holds, seconds=seconds)

    async def ends(self, kind: str, name: str, phase: str) -> Object:
        """An AnalysisRun or Experiment when it is in this phase; no other end is on the way there."""

        def there(found: Object) -> bool:
            now = found.get("status", {}).get("phase")
            assert now in (phase, "Running", "Pending", None), found["status"]
            return bool(now == phase)

        return await self.becomes(kind, name, there)

    async def replicas(self, rollout: str) -> dict[str, int]:
        """Asked-for pods by revision."""
        sets = [s for s in await self.list("ReplicaSet") if s["metadata"]["name"].startswith(f"{rollout}-")]
        revision = f"rollout.{self.group}/revision"
        return {s["metadata"]["annotations"][revision]: s["spec"]["replicas"] for s in sets}

    async def events(self, name: str) -> list[str]:
        """Reasons of the events about a Rollout, in the order in which they were posted."""
        found = [e for e in await self.list("Event") if e["involvedObject"]["name"] == name]
        found = [e for e in found if e["involvedObject"]["kind"] == "Rollout"]
        ordered = sorted(found, key=lambda e: int(e["metadata"]["resourceVersion"]))
        return [e["reason"] for e in ordered]


def rollout(name: str = "web", *, replicas: int = 3, image: str = "web:1", **strategy: Any) -> Object:
    """A Rollout; the strategy by keyword, canary without steps by default."""
    return {
        "apiVersion": "rollouts.dev/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": image}]},
            },
            "strategy": strategy or {"canary": {}},
        },
    }


def analysis_run(name: str, *metrics: Object, **spec: Any) -> Object:
    return {
        "apiVersion": "rollouts.dev/v1alpha1",
        "kind": "AnalysisRun",
        "metadata": {"name": name},
        "spec": {"metrics": list(metrics), **spec},
    }


def steps(*steps: Object) -> Object:
    return {"canary": {"steps": list(steps)}}


def service(name: str, *, app: str = "web") -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": app}, "ports": [{"port": 80}]},
    }
