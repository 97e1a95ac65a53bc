"""Providers: where measured values come from. One file each; the registry below is all there is to it.

Decided here: what a provider is. `pool` is the only caller: it runs `query` in a thread of its own, so a
provider may block, but never longer than its deadline. A provider is loaded when a metric first names it: who
measures with Prometheus only does not pay for the rest.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from analysis.providers.result import ProviderResult

__all__ = ["Provider", "ProviderResult", "registry"]

_PLACES = {
    "cloudWatch": "cloudwatch:CloudWatch",
    "datadog": "datadog:Datadog",
    "graphite": "graphite:Graphite",
    "influxdb": "influxdb:InfluxDB",
    "loki": "loki:Loki",
    "newRelic": "newrelic:NewRelic",
    "plugin": "plugin:Plugins",
    "prometheus": "prometheus:Prometheus",
    "web": "web:Web",
}


class Provider(Protocol):
    """A source of values."""

    def query(self, spec: Mapping[str, object], deadline: float) -> ProviderResult:
        """One value, within `deadline` seconds; ProviderError (without secrets) if there is none."""

    def metadata(self, spec: Mapping[str, object]) -> Mapping[str, str]:
        """What is worth showing beside the results of a metric, such as the query."""


class _Registry(Mapping[str, Provider]):
    """Providers by name, made when first asked for. Called from many threads."""

    def __init__(self, arguments: Mapping[str, Mapping[str, Any]]) -> None:
        self._arguments = arguments
        self._made: dict[str, Provider] = {}
        self._lock = threading.Lock()

    def __getitem__(self, name: str) -> Provider:
        with self._lock:
            if name not in self._made:
                module, _, kind = _PLACES[name].partition(":")
                made = getattr(importlib.import_module(f"{__name__}.{module}"), kind)
                self._made[name] = made(**self._arguments.get(name, {}))
            return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in _PLACES

    def __iter__(self) -> Iterator[str]:
        return iter(_PLACES)

    def __len__(self) -> int:
        return len(_PLACES)


def registry(*, prometheus_address: str | None = None) -> Mapping[str, Provider]:
    """Providers by the name that `spec.metrics[].provider` calls them."""
    return _Registry({"prometheus": {"default_address": prometheus_address}})
