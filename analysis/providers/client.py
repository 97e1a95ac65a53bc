"""HTTP for providers that speak it through httpx: bounded in time and size, retried a little, silent about secrets.

Decided here: which failures are worth a second try within the deadline, how much of an answer is read, how a
failure is worded. Called by every provider but Prometheus', which has a client library of its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import httpx
import tenacity

from analysis.errors import ProviderError
from analysis.language import conversions
from analysis.providers import tls, wire

MAX_ANSWER_BYTES = 8 * 1024 * 1024
_ATTEMPTS = 3
_AGAIN = frozenset({429, 502, 503, 504})
_SHOWN_BODY = 200
_SHORTEST_SECRET = 4


@dataclass(frozen=True, slots=True)
class Request:
    """One question. `secrets` never show in an error."""

    url: str
    method: str = "GET"
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    auth: httpx.Auth | tuple[str, str] | None = None
    insecure: bool = False
    certificates: tls.Certificates = tls.NONE
    secrets: tuple[str, ...] = ()


class _Again(Exception):
    """Worth another try; carries what to say if there is no time for one."""

    def __init__(self, error: ProviderError) -> None:
        self.error = error


def send(request: Request, seconds: float) -> bytes:
    """The body of a good answer, within so many seconds; ProviderError for anything else."""
    ends_at = time.monotonic() + seconds
    check_url(request.url)
    try:
        for attempt in tenacity.Retrying(
            stop=tenacity.stop_after_attempt(_ATTEMPTS) | tenacity.stop_before_delay(seconds),
            wait=tenacity.wait_exponential(multiplier=0.1, max=1) + tenacity.wait_random(0, 0.1),
            retry=tenacity.retry_if_exception_type(_Again),
            reraise=True,
        ):
            with attempt:
                return _once(request, ends_at, seconds)
    except _Again as again:
        raise redacted(again.error, request.secrets) from None
    except ProviderError as error:
        raise redacted(error, request.secrets) from None
    raise AssertionError("tenacity returns or raises")


def document(request: Request, seconds: float) -> object:
    """The answer as JSON."""
    body = send(request, seconds)
    try:
        return conversions.parsed(body)
    except (ValueError, RecursionError):
        raise ProviderError(f"the answer of {wire.origin(request.url)} is not JSON") from None


def redacted(error: ProviderError, secrets: Iterable[str]) -> ProviderError:
    """The error without secrets."""
    text = str(error)
    for secret in sorted((s for s in secrets if len(s) >= _SHORTEST_SECRET), key=len, reverse=True):
        text = text.replace(secret, "*****")
    return ProviderError(text)


def check_url(url: str) -> None:
    """ProviderError for what cannot be asked."""
    try:
        parsed = httpx.URL(url)
        usable = parsed.scheme in {"http", "https"} and bool(parsed.host)
    except (httpx.InvalidURL, ValueError):
        usable = False
    if not usable:
        raise ProviderError("the address is not a URL such as https://metrics.example.com")


def _once(request: Request, ends_at: float, seconds: float) -> bytes:
    where = wire.origin(request.url)
    left = max(0.05, ends_at - time.monotonic())
    try:
        with (
            httpx.Client(
                verify=tls.context(request.certificates, insecure=request.insecure),
                timeout=left,
                follow_redirects=True,
            ) as client,
            client.stream(
                request.method,
                request.url,
                params=dict(request.params) or None,
                headers=dict(request.headers),
                content=request.content,
                auth=request.auth,
            ) as response,
        ):
            body = _read(response, ends_at, seconds)
            _check(response, body, where)
            return body
    except httpx.TimeoutException:
        raise _late(where, seconds) from None
    except httpx.TransportError as error:
        raise _Again(ProviderError(f"cannot connect to {where}: {wire.reason(error)}")) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ProviderError(f"the request to {where} failed: {type(error).__name__}") from None


def _read(response: httpx.Response, ends_at: float, seconds: float) -> bytes:
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise ProviderError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes; ask for less")
        if time.monotonic() > ends_at:
            raise _late(wire.origin(str(response.url)), seconds)
    return bytes(body)


def _check(response: httpx.Response, body: bytes, where: str) -> None:
    if response.is_success:
        return
    status = f"HTTP {response.status_code} {response.reason_phrase}".strip()
    if response.status_code in {401, 403}:
        raise ProviderError(f"{where} refuses the credentials: {status}")
    said = " ".join(body[: 4 * _SHOWN_BODY].decode(errors="replace").split())[:_SHOWN_BODY]
    error = ProviderError(f"{where} answers {status}" + (f": {said}" if said else ""))
    raise _Again(error) if response.status_code in _AGAIN else error


def _late(where: str, seconds: float) -> ProviderError:
    return ProviderError(f"no complete answer from {where} within {seconds:g} s")
