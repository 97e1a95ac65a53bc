"""Get, list, watch and write plain dicts.

Decides how a verb becomes a request; how it is sent and what its failure means is `transport`'s. Every
part of the product speaks to the API server through `Kube`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rollouts.errors import NotFound
from rollouts.kube.resources import Ref, Resource
from rollouts.kube.transport import (
    Credentials,
    Object,
    OnAnswer,
    OnRequest,
    Transport,
    error_of,
    open_transport,
)

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

_JSON = "application/json"
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_PAGE_SIZE = 500
_WATCH_SECONDS = 290


@dataclass(frozen=True, slots=True)
class Page:
    """A list, or one chunk of it, and the resourceVersion that it is a picture of."""

    items: tuple[Object, ...]
    resource_version: str


class Kube:
    """One connection to one API server. Safe to share between tasks of one event loop."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._guard: Callable[[], None] | None = None
        self._resources: dict[str, dict[str, Resource]] = {}

    def guarded(self, guard: Callable[[], None]) -> Kube:
        """The same connection for a writer that may have to stop: `guard` raises before a write is sent."""
        guarded = copy.copy(self)
        guarded._guard = guard  # noqa: SLF001 - our own copy
        return guarded

    def observe(self, on_request: OnRequest) -> None:
        """Tell `on_request` the method and path of every request from now on."""
        self._transport.observers.append(on_request)

    def listen(self, on_answer: OnAnswer) -> None:
        """Tell `on_answer` the method, path and status of every answer from now on."""
        self._transport.listeners.append(on_answer)

    async def credentials(self) -> Credentials:
        """How this client reaches the API server, for another one."""
        return await self._transport.credentials()

    async def close(self) -> None:
        await self._transport.close()

    async def get(self, ref: Ref, subresource: str = "") -> Object:
        return await self._transport.request("GET", _with(ref, subresource))

    async def list(
        self, resource: Resource, namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> Page:
        """Every object of a kind, read in chunks."""
        pages = [
            page
            async for page in self.pages(
                resource, namespace, label_selector=label_selector, field_selector=field_selector
            )
        ]
        return Page(tuple(item for page in pages for item in page.items), pages[-1].resource_version)

    async def pages(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        page_size: int = _PAGE_SIZE,
        metadata_only: bool = False,
    ) -> AsyncIterator[Page]:
        """Every object of a kind, chunk by chunk, as of one instant. `Conflict`: too slow, start again."""
        query = {"limit": str(page_size), "labelSelector": label_selector, "fieldSelector": field_selector}
        while True:
            accept = _METADATA_LIST if metadata_only else _JSON
            body = await self._transport.request("GET", resource.path(namespace), query=query, accept=accept)
            items = tuple(_typed(item, resource) for item in body.get("items") or ())
            yield Page(items, body["metadata"]["resourceVersion"])
            query = {**query, "continue": body["metadata"].get("continue", "")}
            if not query["continue"]:
                return

    async def watch(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        metadata_only: bool = False,
    ) -> AsyncIterator[tuple[str, Object]]:
        """(ADDED|MODIFIED|DELETED|BOOKMARK, object) until the server ends the watch.

        Raises `Conflict` when `resource_version` is too old: list again.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(_WATCH_SECONDS),
            "labelSelector": label_selector,
        }
        lines = self._transport.lines(
            resource.path(namespace),
            query=query,
            silent_seconds=_WATCH_SECONDS + 10,
            accept=_METADATA if metadata_only else _JSON,
        )
        async for line in lines:
            event = json.loads(line)
            if event["type"] == "ERROR":
                raise error_of(int(event["object"].get("code", 500)), event["object"])
            yield event["type"], _typed(event["object"], resource)

    async def create(
        self, resource: Resource, body: Mapping[str, Any], *, field_manager: str, dry_run: bool = False
    ) -> Object:
        """Create; an object that exists already is a `Conflict`."""
        namespace = body["metadata"].get("namespace", "")
        query = {"fieldManager": field_manager, "dryRun": _all(dry_run)}
        return await self._write("POST", resource.path(namespace), query=query, body=body)

    async def merge_patch(
        self,
        ref: Ref,
        body: Mapping[str, Any],
        *,
        field_manager: str,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Object:
        """A JSON merge patch. Put `metadata.resourceVersion` (or `uid`) in `body` as the precondition."""
        query = {"fieldManager": field_manager, "fieldValidation": "Strict", "dryRun": _all(dry_run)}
        path = _with(ref, subresource)
        return await self._write("PATCH", path, query=query, body=body, content_type=MERGE_PATCH)

    async def json_patch(self, ref: Ref, body: Sequence[Mapping[str, Any]], *, field_manager: str) -> Object:
        query = {"fieldManager": field_manager}
        # The client library takes a JSON patch for a merge patch unless it is a list.
        return await self._write("PATCH", ref.path, query=query, body=list(body), content_type=JSON_PATCH)

    async def apply(
        self,
        ref: Ref,
        body: Mapping[str, Any],
        *,
        field_manager: str,
        force: bool = True,
        dry_run: bool = False,
    ) -> Object:
        """Server-side apply, with strict field validation."""
        query = {
            "fieldManager": field_manager,
            "force": "true" if force else "false",
            "fieldValidation": "Strict",
            "dryRun": _all(dry_run),
        }
        return await self._write("PATCH", ref.path, query=query, body=body, content_type=APPLY_PATCH)

    async def replace(self, ref: Ref, body: Mapping[str, Any], *, field_manager: str) -> Object:
        return await self._write("PUT", ref.path, query={"fieldManager": field_manager}, body=body)

    async def delete(
        self,
        ref: Ref,
        *,
        uid: str = "",
        resource_version: str = "",
        propagation: str = "Background",
        dry_run: bool = False,
    ) -> None:
        """Delete, if it is still the object with this uid and version. Absent is `NotFound`."""
        preconditions = {k: v for k, v in (("uid", uid), ("resourceVersion", resource_version)) if v}
        body: Object = {"propagationPolicy": propagation, "preconditions": preconditions or None}
        await self._write("DELETE", ref.path, query={"dryRun": _all(dry_run)}, body=body)

    async def evict(self, ref: Ref, *, uid: str) -> None:
        """Evict a pod. A PodDisruptionBudget that forbids it is `Transient`."""
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": ref.name, "namespace": ref.namespace},
            "deleteOptions": {"preconditions": {"uid": uid}},
        }
        await self._write("POST", f"{ref.path}/eviction", body=body)

    async def resource(self, api_version: str, kind: str) -> Resource:
        """The resource that serves a kind, by discovery. `NotFound` when the server does not know it.

        Known answers are remembered; an unknown kind is asked for each time, because a CRD may have
        been added since.
        """
        known = self._resources.get(api_version, {})
        if kind not in known:
            known = await self._discover(api_version)
            self._resources[api_version] = known
        if kind not in known:
            raise NotFound(f"the API server has no kind {kind} in {api_version}; is its CRD installed?")
        return known[kind]

    async def schemas(self, api_version: str) -> Mapping[str, Object]:
        """The schema of each kind of a group as the server publishes it (OpenAPI v3). `NotFound` when it does not."""
        published = await self._transport.request("GET", f"/openapi/v3/apis/{api_version}")
        group, _, version = api_version.rpartition("/")
        return {
            kind["kind"]: schema
            for schema in published["components"]["schemas"].values()
            for kind in schema.get("x-kubernetes-group-version-kind", ())
            if (kind["group"], kind["version"]) == (group, version)
        }

    async def _discover(self, api_version: str) -> dict[str, Resource]:
        group, _, version = api_version.rpartition("/")
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        try:
            body = await self._transport.request("GET", path)
        except NotFound:
            return {}
        return {
            r["kind"]: Resource(group, version, r["name"], r["kind"], bool(r["namespaced"]))
            for r in body["resources"]
            if "/" not in r["name"]
        }

    async def _write(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Object:
        if self._guard:
            self._guard()
        return await self._transport.request(method, path, query=query, body=body, content_type=content_type)


async def connect(kubeconfig: str | None = None, context: str | None = None) -> Kube:
    """A client from a kubeconfig, else from the pod's service account, else from the default kubeconfig."""
    return Kube(await open_transport(kubeconfig, context))


def _with(ref: Ref, subresource: str) -> str:
    return f"{ref.path}/{subresource}" if subresource else ref.path


def _all(dry_run: bool) -> str:  # noqa: FBT001
    return "All" if dry_run else ""


def _typed(item: Object, resource: Resource) -> Object:
    """List items come without their type; everything behind the edge may rely on it."""
    item.setdefault("apiVersion", resource.api_version)
    item.setdefault("kind", resource.kind)
    return item
