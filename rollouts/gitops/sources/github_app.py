"""A GitHub App's key -> an installation's token, which git and the API take as a password.

Decides where the API of a host is, which installation is meant (the named one, else the one of the repository or
owner), and when a token is asked for again. The JWT is signed with `cryptography` alone: nothing here reads one.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from rollouts.api.application_status import ApplicationReason
from rollouts.gitops.sources.credentials import Credentials
from rollouts.gitops.sources.git import SourceError
from rollouts.gitops.sources.web import Web

__all__ = ["GitHubApps", "json_web_token"]

_PUBLIC = "github.com"
_API = "https://api.github.com"
_EARLY = timedelta(minutes=5)
_CLOCK_SKEW = timedelta(seconds=60)
_JWT_LIFE = timedelta(minutes=9)
_MAX_BYTES = 1024 * 1024
_APPS_KEPT = 1000
_VERSION = "2022-11-28"


@dataclass(frozen=True, slots=True)
class _Token:
    text: str = field(repr=False)
    expires_at: datetime


@dataclass(slots=True)
class GitHubApps:
    """Tokens of installations, kept until shortly before they expire."""

    now: Callable[[], datetime]
    _tokens: dict[Credentials, dict[str, _Token]] = field(default_factory=dict)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _web: Web = field(default_factory=lambda: Web(ApplicationReason.GIT_OPERATION_FAILED, 20.0))

    async def signed_in(self, credentials: Credentials, url: str) -> Credentials:
        """The credentials with a token for the repository at `url`. Raises `SourceError`."""
        owner, repository = _owner_and_repository(url)
        # One installation is an owner's; without its number each repository is asked about by itself.
        place = credentials.app_installation or credentials.app_owner or f"{owner}/{repository}"
        async with self._lock:
            if len(self._tokens) > _APPS_KEPT:
                self._tokens.clear()
            known = self._tokens.setdefault(credentials, {})
            token = known.get(place)
            if token is None or token.expires_at - _EARLY <= self.now():
                token = known[place] = await self._new(credentials, url)
        return replace(credentials, username="x-access-token", password=token.text)

    def forget(self, credentials: Credentials | None) -> None:
        """Ask for new tokens: these were refused, or nobody needs them any more."""
        if credentials:
            self._tokens.pop(credentials, None)

    async def _new(self, credentials: Credentials, url: str) -> _Token:
        api = credentials.app_url.rstrip("/") or _api_of(url)
        installation = credentials.app_installation or await self._installation(credentials, api, url)
        path = f"/app/installations/{quote(installation, safe='')}/access_tokens"
        answer = await self._ask(credentials, "POST", api + path)
        try:
            return _Token(str(answer["token"]), datetime.fromisoformat(answer["expires_at"]).astimezone(UTC))
        except (KeyError, TypeError, ValueError):
            raise _refused(f"{api} answers without a token") from None

    async def _installation(self, credentials: Credentials, api: str, url: str) -> str:
        owner, repository = _owner_and_repository(url)
        if credentials.app_owner:
            path = f"/users/{quote(credentials.app_owner, safe='')}/installation"
        else:
            path = f"/repos/{quote(owner, safe='')}/{quote(repository, safe='')}/installation"
        answer = await self._ask(credentials, "GET", api + path)
        if "id" not in answer:
            raise _refused(f"{api} names no installation of GitHub App {credentials.app_id}")
        return str(answer["id"])

    async def _ask(self, credentials: Credentials, method: str, url: str) -> dict[str, Any]:
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {json_web_token(credentials, self.now())}",
            "X-GitHub-Api-Version": _VERSION,
        }
        answer = await self._web.ask(method, url, limit=_MAX_BYTES, headers=headers, credentials=credentials)
        if answer.status in (401, 403, 404):
            raise _refused(
                f"GitHub App {credentials.app_id}: {url} answers {answer.status}; check githubAppID, "
                "githubAppPrivateKey, and that the App is installed where the repository is"
            )
        if answer.status not in (200, 201):
            message = f"GitHub App {credentials.app_id}: {url} answers {answer.status}"
            raise SourceError(ApplicationReason.GIT_OPERATION_FAILED, message, definite=False)
        try:
            found = json.loads(answer.content)
        except ValueError:
            found = None
        return found if isinstance(found, dict) else {}


def json_web_token(credentials: Credentials, now: datetime) -> str:
    """Signed with the App's private key; good for a few minutes. Raises `SourceError`."""
    claims = {
        "iat": int((now - _CLOCK_SKEW).timestamp()),
        "exp": int((now + _JWT_LIFE).timestamp()),
        "iss": credentials.app_id,
    }
    text = b".".join(_encoded(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT"}, claims))
    signature = _key(credentials).sign(text, padding.PKCS1v15(), hashes.SHA256())
    return (text + b"." + _encoded(signature)).decode()


def _key(credentials: Credentials) -> rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(credentials.app_key.encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        # Not what the library says: it may quote the key.
        raise _refused(f"githubAppPrivateKey of GitHub App {credentials.app_id} is no RSA key in PEM form")
    return key


def _encoded(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _owner_and_repository(url: str) -> tuple[str, str]:
    owner, _, repository = urlsplit(url).path.strip("/").removesuffix(".git").partition("/")
    return owner, repository


def _api_of(url: str) -> str:
    """GitHub Enterprise Server answers below /api/v3."""
    host = urlsplit(url).netloc.rpartition("@")[2]
    return _API if host == _PUBLIC else f"https://{host}/api/v3"


def _refused(message: str) -> SourceError:
    return SourceError(ApplicationReason.AUTHENTICATION_FAILED, message, definite=True)
