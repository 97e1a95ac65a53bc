"""An OCI registry: tags, manifests, blobs, as the distribution specification has them.

Decides how to sign in (none, basic, or a token from where the registry says) and that what comes is what its
digest says. Which tag is wanted, and what is in a layer, is `artifacts`'.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from rollouts.api.application_status import ApplicationReason
from rollouts.gitops.sources import web
from rollouts.gitops.sources.credentials import Credentials
from rollouts.gitops.sources.git import SourceError
from rollouts.gitops.sources.web import Answer, Web

__all__ = ["DIGEST", "Registry", "Repository", "digest_of"]

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.oci.image.index.v1+json"
)
_MAX_MANIFEST_BYTES = 4 * 1024 * 1024
_MAX_TOKEN_BYTES = 64 * 1024
_MAX_PAGES = 50
_PAGE = 1000
_TOKEN_SECONDS = 60.0
_LONGEST_TOKEN_SECONDS = 300.0
_LOOPBACK = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?")
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_NEXT = re.compile(r"<([^>]*)>\s*;\s*rel=\"?next\"?")
_REASON = ApplicationReason.ARTIFACT_PULL_FAILED


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of a registry, as one Secret sees it."""

    host: str
    name: str
    credentials: Credentials | None = None

    @property
    def url(self) -> str:
        """Docker's habit: a registry on this machine is spoken to without TLS."""
        is_plain = self.credentials is not None and self.credentials.plain_http == "true"
        scheme = "http" if is_plain or _LOOPBACK.fullmatch(self.host) else "https"
        return f"{scheme}://{self.host}/v2/{self.name}"


@dataclass(slots=True)
class Registry:
    """Asks registries, with a token for as long as one is good."""

    web: Web = field(default_factory=lambda: Web(_REASON))
    _tokens: dict[Repository, tuple[str, float]] = field(default_factory=dict)
    """`Authorization` by repository, and until when."""

    async def tags(self, repository: Repository) -> list[str]:
        """Every tag. Raises `SourceError`."""
        url: str | None = f"{repository.url}/tags/list?{urlencode({'n': _PAGE})}"
        found: list[str] = []
        for _ in range(_MAX_PAGES):
            if url is None:
                return found
            answer = await self._asked("GET", url, repository, limit=_MAX_MANIFEST_BYTES)
            found += [str(t) for t in _parsed(answer, url).get("tags") or ()]
            following = _NEXT.search(answer.headers.get("link", ""))
            url = _same_host(url, following[1]) if following else None
        raise web.failed(_REASON, repository.url, f"has more than {_MAX_PAGES * _PAGE} tags")

    async def digest(self, repository: Repository, tag: str) -> str:
        """The digest of the manifest that a tag names. Raises `SourceError`."""
        url = f"{repository.url}/manifests/{tag}"
        answer = await self._asked("HEAD", url, repository, limit=_MAX_MANIFEST_BYTES)
        found = answer.headers.get("docker-content-digest", "")
        if DIGEST.fullmatch(found):
            return found
        answer = await self._asked("GET", url, repository, limit=_MAX_MANIFEST_BYTES)
        return digest_of(answer.content)

    async def manifest(self, repository: Repository, digest: str) -> Mapping[str, Any]:
        """The manifest with this digest, and no other. Raises `SourceError`."""
        url = f"{repository.url}/manifests/{digest}"
        answer = await self._asked("GET", url, repository, limit=_MAX_MANIFEST_BYTES)
        _check(answer.content, digest, url)
        return _parsed(answer, url)

    async def blob(self, repository: Repository, digest: str, limit: int) -> bytes:
        """The blob with this digest, and no other. Raises `SourceError`."""
        if not DIGEST.fullmatch(digest):
            raise web.failed(_REASON, repository.url, "names a blob without a sha256 digest", definite=True)
        url = f"{repository.url}/blobs/{digest}"
        answer = await self._asked("GET", url, repository, limit=limit)
        _check(answer.content, digest, url)
        return answer.content

    async def _asked(self, method: str, url: str, repository: Repository, *, limit: int) -> Answer:
        answer = await self._ask(method, url, repository, limit)
        if answer.status == 401:
            await self._sign_in(repository, answer.headers.get("www-authenticate", ""))
            answer = await self._ask(method, url, repository, limit)
        if answer.status in (401, 403):
            self._tokens.pop(repository, None)
            raise web.denied(url, answer.status, repository.credentials)
        if answer.status == 404:
            raise web.failed(_REASON, url, "is not there", definite=True)
        if answer.status != 200:
            raise web.failed(_REASON, url, f"answers {answer.status}")
        return answer

    async def _ask(self, method: str, url: str, repository: Repository, limit: int) -> Answer:
        headers = {"Accept": _MANIFESTS} if "/manifests/" in url else {}
        token, until = self._tokens.get(repository, ("", 0.0))
        if token and until > asyncio.get_running_loop().time():
            headers["Authorization"] = token
        return await self.web.ask(
            method, url, limit=limit, headers=headers, credentials=repository.credentials
        )

    async def _sign_in(self, repository: Repository, challenge: str) -> None:
        """As the registry's challenge asks. (distribution: docs/spec/auth/token)"""
        login = repository.credentials.for_host(repository.host) if repository.credentials else None
        basic = f"Basic {base64.b64encode(':'.join(login).encode()).decode()}" if login else ""
        scheme, _, rest = challenge.partition(" ")
        now = asyncio.get_running_loop().time()
        if scheme.lower() == "basic" and basic:
            self._keep(repository, basic, now + _LONGEST_TOKEN_SECONDS)
        elif scheme.lower() == "bearer":
            token, seconds = await self._token(repository, dict(_PARAMETER.findall(rest)), basic)
            self._keep(repository, f"Bearer {token}", now + min(seconds, _LONGEST_TOKEN_SECONDS) * 0.8)

    async def _token(
        self, repository: Repository, challenge: Mapping[str, str], basic: str
    ) -> tuple[str, float]:
        realm = challenge.get("realm", "")
        if urlsplit(realm).scheme != "https" and not repository.url.startswith("http://"):
            raise web.failed(_REASON, repository.url, "sends us to a token server without TLS", definite=True)
        scope = challenge.get("scope") or f"repository:{repository.name}:pull"
        query = {"service": challenge.get("service", ""), "scope": scope}
        url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(query)}"
        headers = {"Authorization": basic} if basic else {}
        answer = await self.web.ask(
            "GET", url, limit=_MAX_TOKEN_BYTES, headers=headers, credentials=repository.credentials
        )
        if answer.status in (400, 401, 403):
            raise web.denied(url, answer.status, repository.credentials)
        if answer.status != 200:
            raise web.failed(_REASON, url, f"answers {answer.status}")
        found = _parsed(answer, url)
        token = str(found.get("token") or found.get("access_token") or "")
        seconds = found.get("expires_in")
        return token, float(seconds) if isinstance(seconds, int) else _TOKEN_SECONDS

    def _keep(self, repository: Repository, token: str, until: float) -> None:
        now = asyncio.get_running_loop().time()
        self._tokens = {k: v for k, v in self._tokens.items() if v[1] > now}
        self._tokens[repository] = token, until


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _check(content: bytes, digest: str, url: str) -> None:
    if digest_of(content) != digest:
        raise web.failed(_REASON, url, "answers with something that has another digest")


def _parsed(answer: Answer, url: str) -> Mapping[str, Any]:
    try:
        found = json.loads(answer.content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, Mapping):
        raise web.failed(_REASON, url, "does not answer as a registry does")
    return found


def _same_host(url: str, following: str) -> str:
    """A page's successor; what lies elsewhere is none, or our token would go there."""
    found = urljoin(url, following)
    if urlsplit(found)[:2] != urlsplit(url)[:2]:
        raise SourceError(_REASON, f"{urlsplit(url).netloc} pages to another host", definite=True)
    return found
