"""Providers: where measured values come from. One file each; the registry below is all there is to it.

Decided here: what a provider is. `pool` is the only caller: it runs `query` in a thread of its own, so a
provider may block, but never longer than its deadline.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from analysis.providers import prometheus
from analysis.providers.result import ProviderResult

__all__ = ["Provider", "ProviderResult", "registry"]


class Provider(Protocol):
    """A source of values."""

    def query(self, spec: Mapping[str, object], deadline: float) -> ProviderResult:
        """One value, within `deadline` seconds; ProviderError (without secrets) if there is none."""

    def metadata(self, spec: Mapping[str, object]) -> Mapping[str, str]:
        """What is worth showing beside the results of a metric, such as the query."""


def registry(*, prometheus_address: str | None = None) -> Mapping[str, Provider]:
    """Providers by the name that `spec.metrics[].provider` calls them."""
    return {"prometheus": prometheus.Prometheus(default_address=prometheus_address)}
