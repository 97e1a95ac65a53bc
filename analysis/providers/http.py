"""HTTP for providers that speak it through requests: bounded in time and size, honest about failures.

Decided here: which certificates are trusted, how much of an answer is read and for how long, how a failure is
worded. A timeout of requests starts anew with every packet, so the deadline is watched while reading, too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ReadTimeoutError
from urllib3.response import BaseHTTPResponse

from analysis.errors import ProviderError

_CHUNK = 16_384
_SHOWN_REASON = 200


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
    """Transport whose answers are bounded in size and in time."""

    def __init__(self, *, max_bytes: int, seconds: float) -> None:
        self._max_bytes = max_bytes
        self._ends_at = time.monotonic() + seconds
        super().__init__()

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        """One request; the body is read later, by requests, through the bounds."""
        response = super().send(*args, **kwargs)
        response.raw = _BoundedBody(response.raw, self._max_bytes, self._ends_at)
        return response


def trusted(*, insecure: bool) -> bool | str:
    """What requests is to verify certificates against.

    requests knows REQUESTS_CA_BUNDLE only; SSL_CERT_FILE and SSL_CERT_DIR are what everything else honours.
    """
    if insecure:
        return False
    if os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE"):
        return True
    return os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR") or True


def origin(address: str) -> str:
    """Scheme, host and port of a URL, without the user and password that may stand in it."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def failure(error: requests.RequestException, address: str, seconds: float) -> ProviderError:
    """A request that got no answer, in words without secrets."""
    where = origin(address)
    match error:
        case requests.exceptions.Timeout():
            return ProviderError(f"no answer from {where} within {seconds:g} s")
        case requests.exceptions.SSLError():
            return ProviderError(f"TLS with {where} failed: {_reason(error)}")
        case requests.exceptions.ConnectionError():
            return ProviderError(f"cannot connect to {where}: {_reason(error)}")
        case _:
            return ProviderError(f"the request to {where} failed: {type(error).__name__}")


def _reason(error: BaseException) -> str:
    """The text of the operating system at the bottom of a chain of exceptions; never a URL."""
    seen: BaseException | None = error
    reason = type(error).__name__
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            reason = seen.strerror
        inner = getattr(seen, "reason", None) or next(iter(seen.args), None)
        seen = inner if isinstance(inner, BaseException) else seen.__cause__ or seen.__context__
    return reason[:_SHOWN_REASON]
