"""HTTP to registries, Helm repositories and providers' APIs: bounded in time and size, silent about secrets.

Decides how a request is made and what its failure means; never what is asked. Credentials stay with the origin
that they are for, also over redirects.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from rollouts.api.application_status import ApplicationReason
from rollouts.gitops.sources.credentials import Credentials
from rollouts.gitops.sources.git import SourceError, shown

__all__ = ["Answer", "SlowError", "Web", "denied", "failed"]

_SECONDS = 60.0
_CONNECT_SECONDS = 10.0
_MAX_REDIRECTS = 5


class SlowError(SourceError):
    """Nobody answered in time: others who ask the same host would only wait, too."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)


@dataclass(slots=True)
class Web:
    """Makes requests. `reason` is what a failure is called."""

    reason: ApplicationReason
    seconds: float = _SECONDS
    _usual: ssl.SSLContext | None = field(default=None, init=False, repr=False)
    """For whoever brings neither an authority nor a certificate; to read all authorities takes a while."""

    async def ask(
        self,
        method: str,
        url: str,
        *,
        limit: int,
        headers: Mapping[str, str] | None = None,
        credentials: Credentials | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """The answer, whatever its status; at most `limit` bytes of it. Raises `SourceError`."""
        try:
            async with asyncio.timeout(self.seconds), self._client(credentials) as client:
                sent = {"Accept-Encoding": "identity", **(headers or {})}
                async with client.stream(method, url, headers=sent, content=body) as response:
                    content = bytearray()
                    async for chunk in response.aiter_bytes():
                        content += chunk
                        if len(content) > limit:
                            raise failed(self.reason, url, f"answers with more than {limit} bytes")
                    return Answer(response.status_code, response.headers, bytes(content))
        except (TimeoutError, httpx.TimeoutException):
            problem = f"{_plain(url)} took longer than {self.seconds:g} s"
            raise SlowError(self.reason, problem, definite=False) from None
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as e:
            raise failed(self.reason, url, f"cannot be asked: {type(e).__name__} {e}"[:300]) from None

    @contextlib.asynccontextmanager
    async def _client(self, credentials: Credentials | None) -> AsyncIterator[httpx.AsyncClient]:
        timeout = httpx.Timeout(self.seconds, connect=_CONNECT_SECONDS)
        async with httpx.AsyncClient(
            verify=await self._tls(credentials),
            timeout=timeout,
            follow_redirects=True,
            max_redirects=_MAX_REDIRECTS,
        ) as client:
            yield client

    async def _tls(self, credentials: Credentials | None) -> ssl.SSLContext:
        if credentials and (credentials.authority or credentials.certificate):
            return await asyncio.to_thread(_own_tls, credentials)
        if self._usual is None:
            self._usual = await asyncio.to_thread(ssl.create_default_context)
        return self._usual


def failed(reason: ApplicationReason, url: str, problem: str, *, definite: bool = False) -> SourceError:
    return SourceError(reason, f"{_plain(url)} {problem}", definite=definite)


def denied(url: str, status: int, credentials: Credentials | None) -> SourceError:
    remedy = "check the Secret of secretRef" if credentials else "name a Secret in secretRef"
    message = f"{_plain(url)} refuses access (HTTP {status}); {remedy}"
    return SourceError(ApplicationReason.AUTHENTICATION_FAILED, message, definite=True)


def _plain(url: str) -> str:
    """Without what may be a signature or a token."""
    return shown(url).partition("?")[0]


def _own_tls(credentials: Credentials) -> ssl.SSLContext:
    """Whom we trust, and who we are."""
    context = ssl.create_default_context(cadata=credentials.authority or None)
    if credentials.certificate:
        # ssl reads a key from files only.
        with tempfile.TemporaryDirectory(prefix="rollouts-tls-") as directory:
            certificate, key = Path(directory, "tls.crt"), Path(directory, "tls.key")
            certificate.write_text(credentials.certificate + "\n", encoding="utf-8")
            key.touch(mode=0o600)
            key.write_text(credentials.key + "\n", encoding="utf-8")
            context.load_cert_chain(certificate, key)
    return context
