"""Credentials of providers that name a Secret instead of taking arguments: Datadog, New Relic, InfluxDB.

Decided here: which Secret of which namespace. The Secret of the run's namespace goes before the controller's, so a
team can have its own account; a metric that names a Secret nowhere to be found says so when it is measured.
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


async def added(
    metric: Mapping[str, object], read: Read, namespaces: tuple[str, ...]
) -> tuple[Mapping[str, object], tuple[str, ...]]:
    """The metric with its provider's credentials, and the values that must not be shown."""
    provider = metric.get("provider")
    name = next(iter(provider)) if isinstance(provider, Mapping) and provider else ""
    spec = provider[name] if isinstance(provider, Mapping) and name in _SECRETS else None
    if not isinstance(spec, Mapping):
        return metric, ()
    found = await _found(spec, _SECRETS[name], read, namespaces)
    if not found:
        return metric, ()
    return {**metric, "provider": {name: {**spec, "credentials": found}}}, tuple(found.values())


async def _found(
    spec: Mapping[str, object], default: str, read: Read, namespaces: tuple[str, ...]
) -> Mapping[str, str]:
    reference = spec.get("secretRef")
    reference = reference if isinstance(reference, Mapping) else {}
    name = str(spec.get("profile") or reference.get("name") or default)
    for namespace in dict.fromkeys(namespaces[:1] if reference.get("namespaced") else namespaces):
        try:
            secret = await read(namespace, name)
        except NotFound:
            continue
        return _decoded(secret)
    return {}


def _decoded(secret: Mapping[str, Any]) -> Mapping[str, str]:
    found = {}
    for key, encoded in (secret.get("data") or {}).items():
        try:
            found[key] = base64.b64decode(encoded).decode().strip()
        except (binascii.Error, UnicodeDecodeError):
            continue  # not text, so no address and no key either
    return found
