"""Services and Pods as the API server has them, kept up to date by one list and one watch each."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from rollouts.sandbox.traffic import model
from rollouts.sandbox.traffic.model import Key, Pod, Service

LOG = logging.getLogger(__name__)
AGAIN_SECONDS = 0.5
WATCH_SECONDS = 300
# One event of a pod with very long annotations still fits.
LONGEST_LINE = 4 * 1024 * 1024


@dataclass(slots=True)
class World:
    """What was last seen; `changed` says that the backends must be looked up again."""

    pods: dict[Key, Pod] = field(default_factory=dict)
    services: dict[Key, Service] = field(default_factory=dict)
    changed: bool = True
    listed: set[str] = field(default_factory=set)

    @property
    def is_complete(self) -> bool:
        return {"pods", "services"} <= self.listed

    def put_pod(self, obj: Mapping[str, Any]) -> None:
        pod = model.pod_of(obj)
        if self.pods.get(pod.key) != pod:
            self.pods[pod.key] = pod
            self.changed = True

    def put_service(self, obj: Mapping[str, Any]) -> None:
        service = model.service_of(obj)
        if service is None:
            self.drop(self.services, obj)
        elif self.services.get(service.key) != service:
            self.services[service.key] = service
            self.changed = True

    def drop(self, records: dict[Key, Any], obj: Mapping[str, Any]) -> None:
        key = (obj["metadata"]["namespace"], obj["metadata"]["name"])
        if records.pop(key, None) is not None:
            self.changed = True


def session(kubeconfig: Path) -> aiohttp.ClientSession:
    """A client of the API server that a sandbox's kubeconfig names."""
    config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cafile=cluster["certificate-authority"])
    context.load_cert_chain(user["client-certificate"], user["client-key"])
    return aiohttp.ClientSession(
        cluster["server"],
        connector=aiohttp.TCPConnector(ssl=context),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=WATCH_SECONDS + 30),
        read_bufsize=LONGEST_LINE,
    )


async def follow(client: aiohttp.ClientSession, world: World) -> None:
    """Keep the world up to date until cancelled."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_follow(client, world, "pods", world.pods, world.put_pod))
        group.create_task(_follow(client, world, "services", world.services, world.put_service))


async def _follow(
    client: aiohttp.ClientSession,
    world: World,
    resource: str,
    records: dict[Key, Any],
    put: Callable[[Mapping[str, Any]], None],
) -> None:
    while True:
        try:
            version = await _list(client, world, resource, records, put)
            async for kind, obj in _watch(client, resource, version):
                if kind == "DELETED":
                    world.drop(records, obj)
                elif kind != "BOOKMARK":
                    put(obj)
        except (aiohttp.ClientError, TimeoutError, ConnectionError, Expired) as error:
            # The API server went away or forgot our place: list again. What was known stays known.
            LOG.info("%s: listing again after %s", resource, error)
        await asyncio.sleep(AGAIN_SECONDS)


async def _list(
    client: aiohttp.ClientSession,
    world: World,
    resource: str,
    records: dict[Key, Any],
    put: Callable[[Mapping[str, Any]], None],
) -> str:
    async with client.get(f"/api/v1/{resource}", params={"resourceVersion": "0"}) as response:
        response.raise_for_status()
        listed = await response.json()
    present = {(obj["metadata"]["namespace"], obj["metadata"]["name"]) for obj in listed["items"]}
    for key in records.keys() - present:
        del records[key]
        world.changed = True
    for obj in listed["items"]:
        put(obj)
    world.listed.add(resource)
    version: str = listed["metadata"]["resourceVersion"]
    return version


class Expired(Exception):
    """The API server no longer knows the place where the watch was to go on."""


async def _watch(
    client: aiohttp.ClientSession, resource: str, version: str
) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
    params = {
        "watch": "1",
        "resourceVersion": version,
        "allowWatchBookmarks": "true",
        "timeoutSeconds": str(WATCH_SECONDS),
    }
    async with client.get(f"/api/v1/{resource}", params=params) as response:
        response.raise_for_status()
        async for line in response.content:
            event = json.loads(line)
            if event["type"] == "ERROR":
                raise Expired(event["object"].get("message", ""))
            yield event["type"], event["object"]
