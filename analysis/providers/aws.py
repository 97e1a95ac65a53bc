"""Who we are to AWS, and requests in that name.

Decided here: where credentials come from, in the order of the AWS SDKs: a named profile, the environment, a web
identity (IAM roles for service accounts), the container's endpoint (EKS Pod Identity, ECS); and a role to assume on
top. Temporary credentials are kept until shortly before they end.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import threading
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from analysis.errors import ProviderError
from analysis.providers import client, sigv4
from analysis.providers.sigv4 import Credentials, Scope

_EARLY = 300.0  # seconds before their end credentials are replaced
_SESSION = "rollouts"
_REMEDY = "give the controller an IAM role (IRSA or EKS Pod Identity) or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom to ask; nothing set means: as the controller."""

    region: str = ""
    profile: str = ""
    role_arn: str = ""

    def located(self) -> str:
        """The region; ProviderError if nobody names one."""
        region = self.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""
        if region:
            return region
        raise ProviderError("the AWS region is not set; give it, or set AWS_REGION for the controller")


@dataclass(frozen=True, slots=True)
class _Known:
    credentials: Credentials
    ends_at: float


class Session:
    """Credentials by identity. Called from many threads."""

    def __init__(self) -> None:
        self._known: dict[Identity, _Known] = {}
        self._lock = threading.Lock()

    def signed(
        self, request: client.Request, identity: Identity, service: str, seconds: float
    ) -> client.Request:
        """The request with a signature. Its parameters have to stand in its URL."""
        credentials = self.credentials(identity, seconds)
        return _signed(request, credentials, Scope(identity.located(), service))

    def credentials(self, identity: Identity, seconds: float) -> Credentials:
        """Credentials that are good now."""
        with self._lock:
            known = self._known.get(identity)
        if known is None or known.ends_at < time.time():
            known = _found(identity, seconds)
            with self._lock:
                self._known[identity] = known
        return known.credentials


def _signed(request: client.Request, credentials: Credentials, scope: Scope) -> client.Request:
    headers = sigv4.headers(
        request.method,
        request.url,
        request.content or b"",
        request.headers,
        credentials=credentials,
        scope=scope,
        now=datetime.now(UTC),
    )
    secrets = credentials.secret_access_key, credentials.session_token
    return replace(request, headers=headers, secrets=(*request.secrets, *secrets))


def _found(identity: Identity, seconds: float) -> _Known:
    base = _of_profile(identity.profile) if identity.profile else _of_surroundings(identity, seconds)
    return _assumed(base.credentials, identity, seconds) if identity.role_arn else base


def _of_profile(profile: str) -> _Known:
    path = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials").expanduser()
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
        section = parser[profile]
        key, secret = section["aws_access_key_id"], section["aws_secret_access_key"]
    except (OSError, KeyError, configparser.Error, UnicodeDecodeError):
        raise ProviderError(
            f"there is no AWS profile {profile[:60]} with a key pair in the credentials file"
        ) from None
    return _Known(Credentials(key, secret, section.get("aws_session_token", "")), time.time() + _EARLY)


def _of_surroundings(identity: Identity, seconds: float) -> _Known:
    env = os.environ
    if env.get("AWS_ACCESS_KEY_ID") and env.get("AWS_SECRET_ACCESS_KEY"):
        token = env.get("AWS_SESSION_TOKEN", "")
        pair = Credentials(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], token)
        return _Known(pair, time.time() + _EARLY)
    if env.get("AWS_WEB_IDENTITY_TOKEN_FILE") and env.get("AWS_ROLE_ARN"):
        return _of_web_identity(identity, seconds)
    if env.get("AWS_CONTAINER_CREDENTIALS_FULL_URI") or env.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        return _of_container(seconds)
    raise ProviderError(f"there are no AWS credentials; {_REMEDY}")


def _of_web_identity(identity: Identity, seconds: float) -> _Known:
    token = _file(os.environ["AWS_WEB_IDENTITY_TOKEN_FILE"])
    form = {
        "Action": "AssumeRoleWithWebIdentity",
        "RoleArn": os.environ["AWS_ROLE_ARN"],
        "RoleSessionName": os.environ.get("AWS_ROLE_SESSION_NAME") or _SESSION,
        "WebIdentityToken": token,
    }
    return _of_sts(client.send(_sts(identity, form, (token,)), seconds))


def _assumed(credentials: Credentials, identity: Identity, seconds: float) -> _Known:
    form = {"Action": "AssumeRole", "RoleArn": identity.role_arn, "RoleSessionName": _SESSION}
    request = _signed(_sts(identity, form, ()), credentials, Scope(identity.located(), "sts"))
    return _of_sts(client.send(request, seconds))


def _sts(identity: Identity, form: Mapping[str, str], secrets: tuple[str, ...]) -> client.Request:
    url = os.environ.get("AWS_ENDPOINT_URL_STS") or f"https://sts.{identity.located()}.amazonaws.com/"
    return client.Request(
        url=url,
        method="POST",
        headers={"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
        content=urllib.parse.urlencode({**form, "Version": "2011-06-15"}).encode(),
        secrets=secrets,
    )


def _of_sts(body: bytes) -> _Known:
    text = body.decode(errors="replace")
    found = {
        name: match[1]
        for name in ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
        if (match := re.search(rf"<{name}>\s*([^<]+?)\s*</{name}>", text))
    }
    return _temporary(found, "SessionToken")


def _of_container(seconds: float) -> _Known:
    relative = os.environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    url = f"http://169.254.170.2{relative}" if relative else os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
    token = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
    if os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        token = _file(os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"])
    headers = {"Authorization": token} if token else {}
    try:
        found = json.loads(client.send(client.Request(url=url, headers=headers, secrets=(token,)), seconds))
    except (ValueError, RecursionError):
        raise ProviderError("the container's AWS credentials cannot be read") from None
    return _temporary(found, "Token")


def _temporary(found: object, token: str) -> _Known:
    try:
        assert isinstance(found, Mapping)
        credentials = Credentials(found["AccessKeyId"], found["SecretAccessKey"], found[token])
        ends_at = datetime.fromisoformat(found["Expiration"]).timestamp()
    except (AssertionError, KeyError, TypeError, ValueError):
        raise ProviderError("AWS gave an answer without credentials") from None
    return _Known(credentials, ends_at - _EARLY)


def _file(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ProviderError(f"the AWS token file cannot be read: {type(error).__name__}") from None
