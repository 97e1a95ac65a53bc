"""`provider.prometheus` -> settings. Pure.

Decided here: defaults, and what is refused before anything is sent. A wrong field is a ProviderError, so that
it shows as the message of the measurement.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard
from urllib.parse import urlsplit

from analysis.errors import ProviderError
from analysis.providers import oauth2, ranges, tls
from analysis.providers.aws import Identity

DEFAULT_TIMEOUT_SECONDS = 30.0
_SHORTEST_SECRET_IN_HEADER = 4
_WHERE = "prometheus.authentication"


@dataclass(frozen=True, slots=True)
class Settings:
    """One query: where to, what, as whom."""

    address: str
    query: str
    timeout: float
    insecure: bool
    certificates: tls.Certificates
    headers: Sequence[tuple[str, str]]
    basic_auth: tuple[str, str] | None
    oauth2: oauth2.Client | None
    sigv4: Identity | None
    range: ranges.Range | None


def parse(spec: Mapping[str, object], default_address: str | None) -> Settings:
    """The settings of a metric; ProviderError for a field that cannot work."""
    authentication = _mapping(spec, "authentication")
    insecure, certificates = spec.get("insecure") is True, tls.parse(spec, "prometheus")
    found = Settings(
        address=_address(_text(spec, "address") or default_address or ""),
        query=_required(spec, "query", "write the PromQL query to measure"),
        timeout=_timeout(spec.get("timeout")),
        insecure=insecure,
        certificates=certificates,
        headers=_headers(spec.get("headers")),
        basic_auth=_basic_auth(authentication),
        oauth2=oauth2.parse(authentication, _WHERE, insecure=insecure, certificates=certificates),
        sigv4=_sigv4(authentication),
        range=ranges.parse(spec, "prometheus"),
    )
    if sum(map(bool, (found.basic_auth, found.oauth2, found.sigv4))) > 1:
        raise ProviderError("prometheus.authentication names several methods; choose one")
    return found


def redacted(text: str, settings: Settings) -> str:
    """The text without anything that the settings hold as a secret."""
    for secret in sorted(_secrets(settings), key=len, reverse=True):
        text = text.replace(secret, "*****")
    return text


def _secrets(settings: Settings) -> Iterator[str]:
    for _, value in settings.headers:
        yield from (part for part in (value, *value.split()) if len(part) >= _SHORTEST_SECRET_IN_HEADER)
    password = urlsplit(settings.address).password
    if password:
        yield password
    if settings.oauth2:
        yield settings.oauth2.client_secret
    if settings.basic_auth:
        yield settings.basic_auth[1]
        yield base64.b64encode(":".join(settings.basic_auth).encode()).decode()


def _address(address: str) -> str:
    if not address:
        raise ProviderError("prometheus.address is not set, and the controller has no default address")
    try:
        parts = urlsplit(address)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ProviderError("prometheus.address is not a URL such as http://prometheus.monitoring:9090")
    return address.rstrip("/")


def _timeout(value: object) -> float:
    """Seconds; 0 and absent mean the default."""
    seconds = float(value) if _is_number(value) else 0.0
    if seconds < 0 or (value is not None and not _is_number(value)):
        raise ProviderError("prometheus.timeout must be a number of seconds, not negative")
    return seconds or DEFAULT_TIMEOUT_SECONDS


def _is_number(value: object) -> TypeGuard[int | float | str]:
    if isinstance(value, str):
        return value.isascii() and value.isdigit()
    return isinstance(value, int | float) and not isinstance(value, bool)


def _headers(value: object) -> Sequence[tuple[str, str]]:
    if value is None:
        return ()
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ProviderError("prometheus.headers must be a list of key and value")
    found = [
        (_text(header, "key"), _text(header, "value")) for header in value if isinstance(header, Mapping)
    ]
    if len(found) < len(value) or not all(key for key, _ in found):
        raise ProviderError("prometheus.headers must be a list of key and value")
    return found


def _basic_auth(authentication: Mapping[str, object]) -> tuple[str, str] | None:
    basic = _mapping(authentication, "basicAuth")
    username, password = _text(basic, "username"), _text(basic, "password")
    if not username and not password:
        return None
    if not username or not password:
        missing = "password" if username else "username"
        raise ProviderError(f"prometheus.authentication.basicAuth.{missing} is missing")
    return username, password


def _sigv4(authentication: Mapping[str, object]) -> Identity | None:
    spec = _mapping(authentication, "sigv4")
    region, profile, role = (_text(spec, field) for field in ("region", "profile", "roleArn"))
    return Identity(region, profile, role) if spec else None


def _required(spec: Mapping[str, object], field: str, remedy: str) -> str:
    found = _text(spec, field)
    if not found.strip():
        raise ProviderError(f"prometheus: {field} is missing; {remedy}")
    return found


def _text(spec: Mapping[str, object], field: str) -> str:
    found = spec.get(field)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise ProviderError(f"prometheus: {field} must be a string")
    return found


def _mapping(spec: Mapping[str, object], field: str) -> Mapping[str, object]:
    found = spec.get(field)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise ProviderError(f"prometheus: {field} must be an object")
    return found
