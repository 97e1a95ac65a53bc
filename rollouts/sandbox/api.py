"""The few calls that a sandbox makes to its own API server and to the readiness pages of its servers."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from rollouts.sandbox.pki import Pki

REQUEST_SECONDS = 10.0
POLL_SECONDS = 0.05


class Api:
    """The API server, spoken to as its administrator."""

    def __init__(self, url: str, pki: Pki) -> None:
        context = ssl.create_default_context(cafile=str(pki.authority))
        context.load_cert_chain(pki.certificate("admin"), pki.key("admin"))
        self._client = httpx.Client(base_url=url, verify=context, timeout=REQUEST_SECONDS, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def is_ready(self) -> bool:
        """Whether the API server answers and all its parts are up."""
        try:
            return self._client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def get(self, path: str) -> dict[str, Any] | None:
        """An object or a list; None if it is not there."""
        response = self._client.get(path)
        return None if response.status_code == 404 else _body(response)

    def create(self, path: str, obj: Mapping[str, Any]) -> dict[str, Any]:
        """A new object, as the server stored it."""
        return _body(self._client.post(path, json=obj))

    def ensure(self, path: str, obj: Mapping[str, Any]) -> None:
        """Create the object unless one of that name is there."""
        response = self._client.post(path, json=obj)
        if response.status_code != 409:
            _body(response)


def answers(url: str, *, verify: ssl.SSLContext | bool = True) -> bool:
    """Whether a server answers at all: being asked to sign in is an answer."""
    try:
        status = httpx.get(url, verify=verify, timeout=REQUEST_SECONDS, trust_env=False).status_code
    except httpx.TransportError:
        return False
    return status < 500


def fetch(url: str) -> dict[str, Any]:
    """What a server of ours says in JSON."""
    return _body(httpx.get(url, timeout=REQUEST_SECONDS, trust_env=False))


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _body(response: httpx.Response) -> dict[str, Any]:
    response.raise_for_status()
    body: dict[str, Any] = response.json()
    return body
