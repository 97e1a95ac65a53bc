"""What providers take from Secrets that they name: keys of Datadog, New Relic and InfluxDB, and certificates.

Decided here: which Secret of which namespace. For keys the Secret of the run's namespace goes before the controller's,
so a team can have its own account; certificates are the namespace's own. A metric that names a Secret nowhere to be
found says so when it is measured.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from rollouts.errors import NotFound

Read = Callable[[str, str], Awaitable[Mapping[str, Any]]]
"""Namespace and name -> the Secret; NotFound if there is none."""

_SECRETS = {"datadog": "datadog", "newRelic": "newrelic", "influxdb": "influxdb"}
_CERTIFICATES = ("ca.crt", "tls.crt", "tls.key")


async def added(
    metric: Mapping[str, object], read: Read, namespaces: tuple[str, ...]
) -> tuple[Mapping[str, object], tuple[str, ...]]:
    """The metric with what its provider needs, and the values that must not be shown.

    `namespaces` begins with the run's.
    """
    provider = metric.get("provider")
    name = next(iter(provider)) if isinstance(provider, Mapping) and provider else ""
    spec = provider[name] if isinstance(provider, Mapping) and name else None
    if not isinstance(spec, Mapping):
        return metric, ()
    keys = await _keys(spec, _SECRETS[name], read, namespaces) if name in _SECRETS else {}
    certificates = await _certificates(spec, read, namespaces[:1])
    more = {"credentials": keys, "certificates": certificates}
    if not any(more.values()):
        return metric, ()
    filled = {**spec, **{field: found for field, found in more.items() if found}}
    return {**metric, "provider": {name: filled}}, (*keys.values(), *certificates.values())


async def _keys(
    spec: Mapping[str, object], default: str, read: Read, namespaces: tuple[str, ...]
) -> Mapping[str, str]:
    reference = _mapping(spec.get("secretRef"))
    name = str(spec.get("profile") or reference.get("name") or default)
    return await _found(name, read, namespaces[:1] if reference.get("namespaced") else namespaces)


async def _certificates(
    spec: Mapping[str, object], read: Read, namespaces: tuple[str, ...]
) -> Mapping[str, str]:
    name = str(_mapping(spec.get("certSecretRef")).get("name") or "")
    found = await _found(name, read, namespaces) if name else {}
    return {key: found[key] for key in _CERTIFICATES if key in found}


async def _found(name: str, read: Read, namespaces: tuple[str, ...]) -> Mapping[str, str]:
    for namespace in dict.fromkeys(namespaces):
        try:
            return _decoded(await read(namespace, name))
        except NotFound:
            continue
    return {}


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _decoded(secret: Mapping[str, Any]) -> Mapping[str, str]:
    found = {}
    for key, encoded in (secret.get("data") or {}).items():
        try:
            found[key] = base64.b64decode(encoded).decode().strip()
        except (binascii.Error, UnicodeDecodeError):
            continue  # not text, so no address, no key and no certificate in PEM either
    return found
