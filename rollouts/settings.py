"""Everything that can be set, in one frozen value. Parsed once from flags and `ROLLOUTS_*` variables.

The command line (`rollouts.cli.controller`) builds it; every other module receives it, or single values
of it, as an argument.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from rollouts.api.meta import DEFAULT_GROUP, Names

__all__ = ["LogFormat", "LogLevel", "Settings"]


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one controller process. An empty address switches that server off."""

    kubeconfig: str = ""
    context: str = ""
    namespace: str = ""
    """Only this namespace is served; empty: all of them."""
    api_group: str = DEFAULT_GROUP
    instance_id: str = ""
    leader_elect: bool = True
    lease_name: str = "rollouts-controller"
    lease_namespace: str = ""
    """Empty: `namespace` if there is one, else the namespace of this pod."""
    identity: str = ""
    """Name of this process in the Lease; empty: host name and a random part."""
    metrics_address: str = ":8090"
    health_address: str = ":8080"
    log_format: LogFormat = LogFormat.TEXT
    log_level: LogLevel = LogLevel.INFO
    workers: int = 10
    max_concurrent_rollouts: int = 0
    """Updates that go on at once; 0: any number."""
    analysis_workers: int = 30
    application_workers: int = 10
    prometheus_address: str = ""
    resync_seconds: int = 420
    git_cache_dir: Path = field(default_factory=lambda: Path("/var/cache/rollouts"))
    webhook_address: str = ""
    webhook_secret_file: Path | None = None
    """One secret a line; without it no webhook is received."""
    tools_dir: Path | None = None
    """Where kustomize, helm and sops are; None: on PATH."""

    @property
    def names(self) -> Names:
        return Names(self.api_group)
