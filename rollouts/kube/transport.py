"""One HTTP exchange with the API server: credentials, retries, time limits; failures as our typed errors.

Decides how a request is sent and what its failure means, never whether to send it. Built on the asyncio
client's `ApiClient`, which brings kubeconfig, in-cluster tokens and TLS. Called by `Kube` only.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config

from rollouts import __version__
from rollouts.errors import Conflict, NotFound, Rejected, RolloutsError, Transient, in_words

_TIMEOUT = aiohttp.ClientTimeout(total=30.0, sock_connect=5)
_ATTEMPTS = 3
_JSON = "application/json"
_SETTLING_SECONDS = 30.0
"""An API server that has just started may refuse everybody: it has not read yet who is who, and who may do what."""
_NOT_READY = "not yet ready to handle request"
_RETRIED_STATUS = frozenset({429, 500, 502, 503, 504})

Object = dict[str, Any]

OnRequest = Callable[[str, str], None]
"""Told the method and the path of every request."""
OnAnswer = Callable[[str, str, int], None]
"""Method, path and status of an answer."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to reach the API server, for a client other than ours."""

    server: str
    ca_path: str | None = None
    insecure: bool = False
    token: str | None = None
    username: str | None = None
    password: str | None = None
    certificate_path: str | None = None
    private_key_path: str | None = None


class Transport:
    """One connection pool to one API server."""

    def __init__(self, api: Any, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._monotonic = monotonic
        self._is_away = False
        self._back_at = float("-inf")
        self._host: str = api.configuration.host.rstrip("/")
        self._user_agent = f"rollouts/{__version__}"
        self.observers: list[OnRequest] = []
        self.listeners: list[OnAnswer] = []

    async def close(self) -> None:
        await self._api.close()

    async def credentials(self) -> Credentials:
        """The credentials as they are now; tokens that rotate are read again."""
        headers: dict[str, str] = {}
        await self._api.update_params_for_auth(headers, None, ["BearerToken"], "", "GET", None)
        configuration = self._api.configuration
        return Credentials(
            server=self._host,
            ca_path=configuration.ssl_ca_cert or None,
            insecure=not configuration.verify_ssl,
            token=_bare_token(headers),
            username=configuration.username or None,
            password=configuration.password or None,
            certificate_path=configuration.cert_file or None,
            private_key_path=configuration.key_file or None,
        )

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = _JSON,
        accept: str = _JSON,
    ) -> Object:
        """Send and read the answer; what may be repeated is repeated."""
        url, attempt = _url(path, query), 1
        while True:
            try:
                return await _read(
                    await self._send(
                        method, url, body=body, content_type=content_type, accept=accept, timeout=_TIMEOUT
                    )
                )
            except Transient as e:
                if method == "POST" or attempt == _ATTEMPTS:
                    raise
                pause = _pause(attempt, e.retry_after)
            await asyncio.sleep(pause)
            attempt += 1

    async def lines(
        self, path: str, *, query: Mapping[str, str], silent_seconds: float, accept: str = _JSON
    ) -> AsyncIterator[bytes]:
        """The lines of an answer that does not end, as they come."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=silent_seconds)
        response = await self._send("GET", _url(path, query), accept=accept, timeout=timeout)
        try:
            rest = b""
            # Not by readline: a line holds a whole object and may exceed the stream's buffer.
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield line
        except (aiohttp.ClientError, TimeoutError) as e:
            raise Transient(f"watch of {path} broke: {type(e).__name__} {e}".rstrip()) from e
        finally:
            response.close()

    async def _send(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content_type: str = _JSON,
        accept: str = _JSON,
        timeout: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        headers = {
            "Accept": accept,
            "Content-Type": content_type,
            "User-Agent": self._user_agent,
        }
        for observer in self.observers:
            observer(method, path)
        try:
            await self._api.update_params_for_auth(headers, None, ["BearerToken"], path, method, body)
            answer = await self._api.call_api(
                method, self._host + path, headers, body, _request_timeout=timeout
            )
        except ssl.SSLCertVerificationError as e:
            raise Transient(f"{method} {path}: the API server's certificate is not trusted: {e}") from e
        except aiohttp.ClientConnectorError as e:
            self._is_away = True
            problem = in_words(e.os_error)
            raise Transient(f"the API server {self._host} cannot be reached: {problem}") from e
        except (aiohttp.ClientError, TimeoutError, OSError) as e:
            self._is_away = self._is_away or isinstance(e, aiohttp.ServerDisconnectedError)
            raise Transient(f"{method} {path}: {type(e).__name__} {e}".rstrip()) from e
        response: aiohttp.ClientResponse = answer.response
        if self._is_away:
            self._is_away, self._back_at = False, self._monotonic()
        for listener in self.listeners:
            listener(method, path, response.status)
        if response.status >= 400:
            raise await self._failure(response)
        return response

    async def _failure(self, response: aiohttp.ClientResponse) -> Exception:
        raw = await response.read()
        try:
            status = json.loads(raw)
        except ValueError:
            status = {"message": raw[:200].decode(errors="replace")}
        if response.status in (401, 403) and self._monotonic() < self._back_at + _SETTLING_SECONDS:
            return Transient(f"{status.get('message')} (the API server has just come back)")
        retry_after = response.headers.get("Retry-After", "")
        return error_of(response.status, status, float(retry_after) if retry_after.isdigit() else None)


async def open_transport(kubeconfig: str | None = None, context: str | None = None) -> Transport:
    """From a kubeconfig, else from the pod's service account, else from the default kubeconfig."""
    configuration = kubernetes_client.Configuration()
    try:
        if kubeconfig is None and context is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
            kubernetes_config.load_incluster_config(client_configuration=configuration)
        else:
            _require_a_file(kubeconfig)
            await kubernetes_config.load_kube_config(
                config_file=kubeconfig, context=context, client_configuration=configuration
            )
    except (kubernetes_config.ConfigException, OSError) as e:
        where = kubeconfig or os.environ.get("KUBECONFIG") or "the default kubeconfig"
        raise RolloutsError(f"{where} cannot be used: {e}; name another one with --kubeconfig") from e
    configuration.connection_pool_maxsize = 100
    # Left to itself the client looks for a proxy and into ~/.netrc, in a thread, twice for every request.
    configuration.client_session_kwargs = {"trust_env": _is_proxied(configuration.host)}
    return Transport(kubernetes_client.ApiClient(configuration=configuration))


def error_of(code: int, status: Mapping[str, Any], retry_after: float | None = None) -> Exception:
    """The typed error for a `Status` object of the API server."""
    message = str(status.get("message", f"HTTP {code}"))
    if code == 401:
        remedy = "check the user of the kubeconfig, its token may have expired"
        return Rejected(f"the API server refuses the credentials ({message}); {remedy}")
    if code == 404:
        return NotFound(message)
    if code in (409, 410) or (code == 422 and _is_precondition(status)):
        return Conflict(message)
    if (code in _RETRIED_STATUS and not _is_about_the_content(message)) or _NOT_READY in message:
        return Transient(message, retry_after)
    return Rejected(message)


def _require_a_file(kubeconfig: str | None) -> None:
    """The client reads a kubeconfig that is not there as an empty one, and complains of its content."""
    paths = (kubeconfig or os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")).split(
        os.pathsep
    )
    if not any(Path(path).is_file() for path in paths if path):
        named = ", ".join(paths)
        raise RolloutsError(
            f"kubeconfig {named} does not exist; name one with --kubeconfig, or set KUBECONFIG"
        )


def _is_proxied(server: str) -> bool:
    """The environment names a proxy for it."""
    url = urlsplit(server)
    return url.scheme in getproxies() and not proxy_bypass(url.hostname or "")


def _bare_token(headers: Mapping[str, str]) -> str | None:
    value = next((v for k, v in headers.items() if k.lower() == "authorization"), "")
    return value.removeprefix("Bearer ") or None


async def _read(response: aiohttp.ClientResponse) -> Object:
    try:
        return json.loads(await response.read())  # type: ignore[no-any-return]
    except (aiohttp.ClientError, TimeoutError) as e:
        raise Transient(f"the answer to {response.method} {response.url.path} broke off: {e}") from e


def _is_precondition(status: Mapping[str, Any]) -> bool:
    causes = (status.get("details") or {}).get("causes") or ()
    return any(c.get("field") == "metadata.uid" for c in causes) or "uid mismatch" in str(
        status.get("message")
    )


def _is_about_the_content(message: str) -> bool:
    """A 500 that no retry will mend: a webhook says no, or an applied field is not in the schema."""
    denied = message.startswith("admission webhook") and "denied the request" in message
    return denied or message.startswith("failed to create typed patch object")


def _pause(attempt: int, asked: float | None) -> float:
    return min(asked, 5.0) if asked is not None else 0.2 * 2**attempt


def _url(path: str, query: Mapping[str, str] | None) -> str:
    pairs = {k: v for k, v in (query or {}).items() if v}
    return f"{path}?{urlencode(pairs)}" if pairs else path
