"""HTTP for providers that speak it through requests: bounded in time and size, honest about failures.

Decided here: how much of an answer is read and for how long, how a failure is worded. A timeout of requests starts anew with every packet, so the deadline is watched while reading, too.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ReadTimeoutError
from urllib3.response import BaseHTTPResponse

from analysis.errors import ProviderError
from analysis.providers import wire

_CHUNK = 16_384


class AnswerTooLarge(Exception):
    """The body is longer than what we are willing to read."""


class DeadlinePassed(Exception):
    """The body did not come to its end in time."""


class _BoundedBody:
    """A response body that ends in an error instead of going on for ever."""

    def __init__(self, raw: BaseHTTPResponse, max_bytes: int, ends_at: float) -> None:
        self._raw = raw
        self._left = max_bytes
        self._ends_at = ends_at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def stream(self, _: int, *, decode_content: bool = True) -> Iterator[bytes]:
        """The body in pieces, as they arrive."""
        try:
            while chunk := self._raw.read1(_CHUNK, decode_content=decode_content):
                self._left -= len(chunk)
                if self._left < 0:
                    raise AnswerTooLarge
                if time.monotonic() > self._ends_at:
                    raise DeadlinePassed
                yield chunk
        except ReadTimeoutError:
            raise DeadlinePassed from None


class BoundedAdapter(HTTPAdapter):
    """Transport whose answers are bounded in size and in time, with certificates as `context` says."""

    def __init__(self, *, max_bytes: int, seconds: float, context: ssl.SSLContext) -> None:
        self._max_bytes = max_bytes
        self._context = context
        self._ends_at = time.monotonic() + seconds
        super().__init__()

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        """One request; the body is read later, by requests, through the bounds."""
        response = super().send(*args, **kwargs)
        response.raw = _BoundedBody(response.raw, self._max_bytes, self._ends_at)
        return response

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Connections have our context; what requests would make of verify and cert does not count."""
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {"ssl_context": self._context}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: the context knows."""


def failure(error: requests.RequestException, address: str, seconds: float) -> ProviderError:
    """A request that got no answer, in words without secrets."""
    where = wire.origin(address)
    match error:
        case requests.exceptions.Timeout():
            return ProviderError(f"no answer from {where} within {seconds:g} s")
        case requests.exceptions.SSLError():
            return ProviderError(f"TLS with {where} failed: {wire.reason(error)}")
        case requests.exceptions.ConnectionError():
            return ProviderError(f"cannot connect to {where}: {wire.reason(error)}")
        case _:
            return ProviderError(f"the request to {where} failed: {type(error).__name__}")
