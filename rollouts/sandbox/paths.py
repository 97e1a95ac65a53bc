"""Where a sandbox keeps things: the shared build cache, and the files of one sandbox directory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


def cache_directory() -> Path:
    """Built binaries, shared by all sandboxes of this user."""
    return _xdg("XDG_CACHE_HOME", ".cache") / "rollouts" / "sandbox"


def state_directory(name: str = "default") -> Path:
    """The directory of a named sandbox, used when no directory is given."""
    return _xdg("XDG_STATE_HOME", ".local/state") / "rollouts" / "sandbox" / name


def _xdg(variable: str, default: str) -> Path:
    value = os.environ.get(variable, "")
    return Path(value) if value else Path.home() / default


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one sandbox."""

    directory: Path

    @property
    def state(self) -> Path:
        return self.directory / "state.json"

    @property
    def lock(self) -> Path:
        return self.directory / "lock"

    @property
    def kubeconfig(self) -> Path:
        return self.directory / "kubeconfig.yaml"

    @property
    def kubeconfigs(self) -> Path:
        return self.directory / "kubeconfigs"

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    @property
    def pki(self) -> Path:
        return self.directory / "pki"

    @property
    def etcd(self) -> Path:
        return self.directory / "etcd"

    @property
    def repositories(self) -> Path:
        return self.directory / "git"

    @property
    def prometheus(self) -> Path:
        return self.directory / "prometheus"

    def component_kubeconfig(self, name: str) -> Path:
        return self.kubeconfigs / f"{name}.yaml"

    def log(self, component: str) -> Path:
        return self.logs / f"{component}.log"
