"""A GitHub App signs in as GitHub documents it: a JWT for the App, a token for the installation."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from rollouts.api.application_status import ApplicationReason
from rollouts.gitops.sources.credentials import Credentials, MissingError, of_secret
from rollouts.gitops.sources.git import SourceError
from rollouts.gitops.sources.github_app import GitHubApps
from tests import http_host

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
URL = "https://github.com/team/shop.git"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


@dataclass(slots=True)
class GitHub:
    """The part of the REST API that Apps sign in with (docs.github.com: rest/apps/apps)."""

    url: str = ""
    now: datetime = NOW
    installed: bool = True
    asked: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, authorization: str) -> tuple[int, Any]:
        self.asked.append(f"{method} {path}")
        if not self._is_the_app(authorization):
            return 401, {"message": "A JSON web token could not be decoded"}
        if not self.installed:
            return 404, {"message": "Not Found"}
        if method == "POST" and path == "/app/installations/42/access_tokens":
            expires = self.now + timedelta(hours=1)
            token = f"ghs_{len(self.asked)}"
            return 201, {"token": token, "expires_at": expires.strftime("%Y-%m-%dT%H:%M:%SZ")}
        if method == "GET" and path in ("/repos/team/shop/installation", "/users/team/installation"):
            return 200, {"id": 42, "app_id": 7}
        return 404, {"message": "Not Found"}

    def _is_the_app(self, authorization: str) -> bool:
        text, _, signature = authorization.removeprefix("Bearer ").rpartition(".")
        KEY.public_key().verify(decoded(signature), text.encode(), padding.PKCS1v15(), hashes.SHA256())
        header, claims = (json.loads(decoded(part)) for part in text.split("."))
        life = claims["exp"] - claims["iat"]
        return bool(
            header["alg"] == "RS256"
            and claims["iss"] == "7"
            and 0 < life <= 600
            and claims["exp"] > self.now.timestamp()
        )


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.fixture
def github() -> Iterator[GitHub]:
    served = GitHub()

    class Handler(http_host.Handler):
        def _answer(self) -> None:
            status, body = served.answer(self.command, self.path, self.headers["Authorization"])
            self.say(status, json.dumps(body).encode())

        do_GET = do_POST = _answer  # noqa: N815

    with http_host.running(http_host.listening(Handler)) as served.url:
        yield served


@pytest.fixture
def apps(github: GitHub) -> GitHubApps:
    return GitHubApps(lambda: github.now)


def app(github: GitHub, **values: str) -> Credentials:
    return of_secret(
        {"githubAppID": "7", "githubAppPrivateKey": pem(KEY), "githubAppBaseURL": github.url, **values}
    )


@pytest.mark.parametrize(
    ("values", "asked"),
    [
        ({"githubAppInstallationID": "42"}, []),
        ({"githubAppInstallationOwner": "team"}, ["GET /users/team/installation"]),
        ({}, ["GET /repos/team/shop/installation"]),
    ],
)
async def test_a_token_is_got_once_and_again_before_it_expires(
    apps: GitHubApps, github: GitHub, values: dict[str, str], asked: list[str]
) -> None:
    credentials = app(github, **values)

    first = await apps.signed_in(credentials, URL)
    again = await apps.signed_in(credentials, URL)
    once = tuple(github.asked)
    github.now += timedelta(minutes=56)
    later = await apps.signed_in(credentials, URL)

    assert once == (*asked, "POST /app/installations/42/access_tokens")
    assert (first.username, first.password) == ("x-access-token", f"ghs_{len(asked) + 1}")
    assert again == first
    assert later.password not in ("", first.password)


async def test_an_app_that_is_not_installed_is_named_without_its_key(
    apps: GitHubApps, github: GitHub
) -> None:
    github.installed = False

    with pytest.raises(SourceError) as refused:
        await apps.signed_in(app(github), URL)

    assert refused.value.reason is ApplicationReason.AUTHENTICATION_FAILED
    assert "GitHub App 7" in str(refused.value)
    assert "installed" in str(refused.value)
    assert "PRIVATE KEY" not in str(refused.value) + repr(app(github))


@pytest.mark.parametrize("key", ["nonsense", pem(ec.generate_private_key(ec.SECP256R1()))])
async def test_a_key_that_is_none_is_refused(apps: GitHubApps, github: GitHub, key: str) -> None:
    with pytest.raises(SourceError, match="is no RSA key") as refused:
        await apps.signed_in(replace(app(github), app_key=key), URL)

    assert "PRIVATE KEY" not in str(refused.value)


@pytest.mark.parametrize("missing", ["githubAppID", "githubAppPrivateKey"])
def test_half_an_app_is_none(missing: str) -> None:
    with pytest.raises(MissingError, match="needs githubAppID and githubAppPrivateKey"):
        of_secret({k: "x" for k in ("githubAppID", "githubAppPrivateKey") if k != missing})
