"""AWS Signature Version 4: the headers that make a request AWS's. Pure; the instant comes in as an argument.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html. Used for CloudWatch, STS
and Amazon Managed Prometheus. Written out here since botocore pins an older python-dateutil than the Kubernetes
client needs.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl, quote, urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key pair; temporary ones have a session token."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a signature is good for."""

    region: str
    service: str


def headers(  # noqa: PLR0913 - what is signed is what a request is made of
    method: str,
    url: str,
    body: bytes,
    extra: Mapping[str, str],
    *,
    credentials: Credentials,
    scope: Scope,
    now: datetime,
) -> Mapping[str, str]:
    """`extra` and the headers of the signature, to be sent with the request as they are."""
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    signed = {"host": _host(url), "x-amz-date": stamp, **{k.lower(): v.strip() for k, v in extra.items()}}
    if credentials.session_token:
        signed["x-amz-security-token"] = credentials.session_token
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{' '.join(signed[name].split())}\n" for name in sorted(signed))
    canonical = "\n".join((method, _path(url, scope.service), _query(url), lines, names, digest))
    where = f"{stamp[:8]}/{scope.region}/{scope.service}/aws4_request"
    to_sign = "\n".join((_ALGORITHM, stamp, where, hashlib.sha256(canonical.encode()).hexdigest()))
    signature = hmac.new(_key(credentials, stamp[:8], scope), to_sign.encode(), hashlib.sha256).hexdigest()
    authorization = f"{_ALGORITHM} Credential={credentials.access_key_id}/{where}, SignedHeaders={names}, Signature={signature}"
    sent = {name: value for name, value in signed.items() if name != "host"}
    return {**sent, "authorization": authorization}


def _host(url: str) -> str:
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    host = parts.hostname or ""
    return host if parts.port in {None, default} else f"{host}:{parts.port}"


def _path(url: str, service: str) -> str:
    path = urlsplit(url).path or "/"
    return path if service == "s3" else quote(path, safe="/-_.~")


def _query(url: str) -> str:
    pairs = sorted(
        (quote(key, safe="-_.~"), quote(value, safe="-_.~"))
        for key, value in parse_qsl(urlsplit(url).query, keep_blank_values=True)
    )
    return "&".join(f"{key}={value}" for key, value in pairs)


def _key(credentials: Credentials, day: str, scope: Scope) -> bytes:
    key = f"AWS4{credentials.secret_access_key}".encode()
    for part in (day, scope.region, scope.service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
