"""Providers of others: `provider.plugin: {name: settings}`, found by Python entry points.

A package that is installed beside the controller declares
`[project.entry-points."rollouts.analysis.providers"] name = "package.module:Class"`; the class has the methods of
`Provider` and takes no arguments. It is loaded when a metric first names it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from analysis.errors import ProviderError
from analysis.providers.result import ProviderResult

log = logging.getLogger(__name__)

GROUP = "rollouts.analysis.providers"


class Plugins:
    """The provider: hands on to the plugin that the settings name."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}
        self._lock = threading.Lock()

    def query(self, spec: Mapping[str, object], deadline: float) -> ProviderResult:
        plugin, settings = self._chosen(spec)
        found = plugin.query(settings, deadline)
        if isinstance(found, ProviderResult):
            return found
        raise ProviderError("the plugin gave something else than a ProviderResult; ask its author")

    def metadata(self, spec: Mapping[str, object]) -> Mapping[str, str]:
        """Nothing, if the plugin has nothing to show or breaks: a measurement will tell the reason."""
        try:
            plugin, settings = self._chosen(spec)
            return {str(key): str(text) for key, text in plugin.metadata(settings).items()}
        except Exception as error:  # noqa: BLE001
            log.warning("a plugin has no metadata: %s", type(error).__name__)
            return {}

    def _chosen(self, spec: Mapping[str, object]) -> tuple[Any, Mapping[str, object]]:
        if len(spec) != 1:
            raise ProviderError(f"plugin needs exactly one name with its settings, this one has {len(spec)}")
        ((name, settings),) = spec.items()
        if settings is not None and not isinstance(settings, Mapping):
            raise ProviderError(f"plugin.{name[:40]} must be an object")
        return self._plugin(name), settings or {}

    def _plugin(self, name: str) -> Any:
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = _load(name)
            return self._loaded[name]


def _load(name: str) -> Any:
    installed = metadata.entry_points(group=GROUP)
    if name not in installed.names:
        known = ", ".join(sorted(installed.names)) or "none"
        raise ProviderError(f"there is no plugin {name[:40]}; installed: {known}")
    try:
        return installed[name].load()()
    except Exception as error:  # a plugin that does not load is the problem of its metrics
        raise ProviderError(f"plugin {name[:40]} cannot be loaded: {type(error).__name__}") from error
