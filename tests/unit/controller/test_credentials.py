"""What a metric takes from Secrets: which one, of which namespace, and what must not be shown."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pytest

from rollouts.controller import credentials
from rollouts.errors import NotFound

SECRETS = {
    ("shop", "datadog"): {"api-key": "of-the-team"},
    ("system", "datadog"): {"api-key": "of-everybody"},
    ("system", "newrelic"): {"personal-api-key": "of-everybody"},
    ("shop", "certificates"): {"ca.crt": "CA", "tls.crt": "CERT", "tls.key": "KEY", "other": "x"},
    ("system", "elsewhere"): {"ca.crt": "CA"},
}


async def read(namespace: str, name: str) -> Mapping[str, Any]:
    if (namespace, name) not in SECRETS:
        raise NotFound(f"Secret {namespace}/{name}")
    data = SECRETS[namespace, name]
    return {"data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}}


async def added(provider: str, **spec: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    metric, hidden = await credentials.added({"provider": {provider: spec}}, read, ("shop", "system"))
    found: Any = metric["provider"]
    return found[provider], hidden


@pytest.mark.parametrize(
    ("provider", "spec", "found"),
    [
        ("datadog", {}, {"api-key": "of-the-team"}),
        ("newRelic", {}, {"personal-api-key": "of-everybody"}),
        ("datadog", {"secretRef": {"name": "newrelic"}}, {"personal-api-key": "of-everybody"}),
        ("datadog", {"secretRef": {"name": "newrelic", "namespaced": True}}, None),
        ("influxdb", {}, None),
    ],
)
async def test_keys_are_the_teams_or_else_everybodys(
    provider: str, spec: dict[str, Any], found: dict[str, str] | None
) -> None:
    filled, hidden = await added(provider, **spec)
    assert filled.get("credentials") == found
    assert hidden == tuple((found or {}).values())


@pytest.mark.parametrize("provider", ["prometheus", "web"])
async def test_certificates_come_from_the_namespace_of_the_run_only(provider: str) -> None:
    filled, hidden = await added(provider, certSecretRef={"name": "certificates"})
    assert filled["certificates"] == {"ca.crt": "CA", "tls.crt": "CERT", "tls.key": "KEY"}
    assert hidden == ("CA", "CERT", "KEY")
    filled, hidden = await added(provider, certSecretRef={"name": "elsewhere"})
    assert "certificates" not in filled
    assert hidden == ()


async def test_a_metric_that_needs_no_secret_is_left_as_it_is() -> None:
    metric = {"provider": {"prometheus": {"query": "up"}}}
    assert await credentials.added(metric, read, ("shop",)) == (metric, ())
