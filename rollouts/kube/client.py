"""Get, list, watch and write plain dicts; failures as our typed errors.

Decides how a request is sent and what its failure means, never whether to send it. Built on the
asyncio client's `ApiClient`, which brings kubeconfig, in-cluster tokens and TLS.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp
import tenacity
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config

from rollouts import __version__
from rollouts.errors import Conflict, NotFound, Rejected, Transient
from rollouts.kube.resources import Ref, Resource

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

_PAGE_SIZE = 500
_REQUEST_SECONDS = 30.0
_WATCH_SECONDS = 290
_ATTEMPTS = 3
_RETRIED_STATUS = frozenset({429, 500, 502, 503, 504})

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """A whole list: its items and the resourceVersion that it is a picture of."""

    items: tuple[Object, ...]
    resource_version: str


class Kube:
    """One connection to one API server. Safe to share between tasks of one event loop."""

    def __init__(self, api: Any) -> None:
        self._api = api
        self._host: str = api.configuration.host.rstrip("/")
        self._resources: dict[str, dict[str, Resource]] = {}
        self._api.user_agent = f"rollouts/{__version__}"

    async def close(self) -> None:
        await self._api.close()

    async def get(self, ref: Ref, subresource: str = "") -> Object:
        return await self._request("GET", _with(ref, subresource))

    async def list(
        self, resource: Resource, namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> Page:
        """Every object of a kind, read in chunks."""
        items: list[Object] = []
        query = {"limit": str(_PAGE_SIZE), "labelSelector": label_selector, "fieldSelector": field_selector}
        while True:
            body = await self._request("GET", resource.path(namespace), query=query)
            items.extend(_typed(item, resource) for item in body.get("items") or ())
            query = {**query, "continue": body["metadata"].get("continue", "")}
            if not query["continue"]:
                return Page(tuple(items), body["metadata"]["resourceVersion"])

    async def watch(
        self, resource: Resource, namespace: str = "", *, resource_version: str, label_selector: str = ""
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
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=_WATCH_SECONDS + 10)
        response = await self._send("GET", resource.path(namespace), query=query, timeout=timeout)
        try:
            async for line in response.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise _error(int(event["object"].get("code", 500)), event["object"], None)
                yield event["type"], _typed(event["object"], resource)
        except (aiohttp.ClientError, TimeoutError) as e:
            raise Transient(f"watch of {resource.plural} broke: {e}") from e
        finally:
            response.close()

    async def create(
        self, resource: Resource, body: Mapping[str, Any], *, field_manager: str, dry_run: bool = False
    ) -> Object:
        """Create; an object that exists already is a `Conflict`."""
        namespace = body["metadata"].get("namespace", "")
        query = {"fieldManager": field_manager, "dryRun": _all(dry_run)}
        return await self._request("POST", resource.path(namespace), query=query, body=body)

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
        return await self._request(
            "PATCH", _with(ref, subresource), query=query, body=body, content_type=MERGE_PATCH
        )

    async def json_patch(self, ref: Ref, body: Sequence[Mapping[str, Any]], *, field_manager: str) -> Object:
        query = {"fieldManager": field_manager}
        return await self._request("PATCH", ref.path, query=query, body=body, content_type=JSON_PATCH)

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
        return await self._request("PATCH", ref.path, query=query, body=body, content_type=APPLY_PATCH)

    async def replace(self, ref: Ref, body: Mapping[str, Any], *, field_manager: str) -> Object:
        return await self._request("PUT", ref.path, query={"fieldManager": field_manager}, body=body)

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
        await self._request("DELETE", ref.path, query={"dryRun": _all(dry_run)}, body=body)

    async def evict(self, ref: Ref, *, uid: str) -> None:
        """Evict a pod. A PodDisruptionBudget that forbids it is `Transient`."""
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": ref.name, "namespace": ref.namespace},
            "deleteOptions": {"preconditions": {"uid": uid}},
        }
        await self._request("POST", f"{ref.path}/eviction", body=body, attempts=1)

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

    async def _discover(self, api_version: str) -> dict[str, Resource]:
        group, _, version = api_version.rpartition("/")
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        try:
            body = await self._request("GET", path)
        except NotFound:
            return {}
        return {
            r["kind"]: Resource(group, version, r["name"], r["kind"], bool(r["namespaced"]))
            for r in body["resources"]
            if "/" not in r["name"]
        }

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        attempts: int = _ATTEMPTS,
    ) -> Object:
        timeout = aiohttp.ClientTimeout(total=_REQUEST_SECONDS, sock_connect=5)
        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(1 if method == "POST" else attempts),
            wait=_wait,
            retry=tenacity.retry_if_exception_type(Transient),
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                response = await self._send(
                    method, path, query=query, body=body, content_type=content_type, timeout=timeout
                )
                return await _read(response)
        raise AssertionError("tenacity re-raises")

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        timeout: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        headers = {
            "Accept": "application/json",
            "Content-Type": content_type,
            "User-Agent": self._api.user_agent,
        }
        await self._api.update_params_for_auth(headers, None, ["BearerToken"], path, method, body)
        url = self._host + path + _encoded(query)
        try:
            answer = await self._api.call_api(method, url, headers, body, _request_timeout=timeout)
        except ssl.SSLCertVerificationError as e:
            raise Transient(f"{method} {path}: the API server's certificate is not trusted: {e}") from e
        except (aiohttp.ClientError, TimeoutError, OSError) as e:
            raise Transient(f"{method} {path}: {type(e).__name__} {e}".rstrip()) from e
        response: aiohttp.ClientResponse = answer.response
        if response.status >= 400:
            raise await _failure(response)
        return response


async def connect(kubeconfig: str | None = None, context: str | None = None) -> Kube:
    """A client from a kubeconfig, else from the pod's service account, else from the default kubeconfig."""
    configuration = kubernetes_client.Configuration()
    if kubeconfig is None and context is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
        kubernetes_config.load_incluster_config(client_configuration=configuration)
    else:
        await kubernetes_config.load_kube_config(
            config_file=kubeconfig, context=context, client_configuration=configuration
        )
    configuration.connection_pool_maxsize = 100
    return Kube(kubernetes_client.ApiClient(configuration=configuration))


async def _read(response: aiohttp.ClientResponse) -> Object:
    try:
        return json.loads(await response.read())  # type: ignore[no-any-return]
    except (aiohttp.ClientError, TimeoutError) as e:
        raise Transient(f"the answer to {response.method} {response.url.path} broke off: {e}") from e


async def _failure(response: aiohttp.ClientResponse) -> Exception:
    raw = await response.read()
    try:
        status = json.loads(raw)
    except ValueError:
        status = {"message": raw[:200].decode(errors="replace")}
    retry_after = response.headers.get("Retry-After", "")
    return _error(response.status, status, float(retry_after) if retry_after.isdigit() else None)


def _error(code: int, status: Mapping[str, Any], retry_after: float | None) -> Exception:
    message = str(status.get("message", f"HTTP {code}"))
    if code == 404:
        return NotFound(message)
    if code in (409, 410) or (code == 422 and _is_precondition(status)):
        return Conflict(message)
    if code in _RETRIED_STATUS and not _denied_by_webhook(message):
        return Transient(message, retry_after)
    return Rejected(message)


def _is_precondition(status: Mapping[str, Any]) -> bool:
    causes = (status.get("details") or {}).get("causes") or ()
    return any(c.get("field") == "metadata.uid" for c in causes) or "uid mismatch" in str(
        status.get("message")
    )


def _denied_by_webhook(message: str) -> bool:
    return message.startswith("admission webhook") and "denied the request" in message


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, Transient) else None
    return min(asked, 5.0) if asked is not None else 0.2 * 2**state.attempt_number


def _with(ref: Ref, subresource: str) -> str:
    return f"{ref.path}/{subresource}" if subresource else ref.path


def _encoded(query: Mapping[str, str] | None) -> str:
    pairs = {k: v for k, v in (query or {}).items() if v}
    return f"?{urlencode(pairs)}" if pairs else ""


def _all(dry_run: bool) -> str:  # noqa: FBT001
    return "All" if dry_run else ""


def _typed(item: Object, resource: Resource) -> Object:
    """List items come without their type; everything behind the edge may rely on it."""
    item.setdefault("apiVersion", resource.api_version)
    item.setdefault("kind", resource.kind)
    return item
