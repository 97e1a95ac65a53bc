"""Everything that can be set, in one frozen value. Parsed once from flags and `ROLLOUTS_*` variables.

A setting with a `Flag` can be set from outside. The command line (`rollouts.cli.controller`) builds the value; every
other module receives it, or single values of it, as an argument.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from pathlib import Path
from typing import Annotated

from rollouts.api.meta import DEFAULT_GROUP, Names

__all__ = ["Flag", "Form", "LogFormat", "LogLevel", "Settings"]


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Form(Enum):
    """What a text has to look like, unless it is empty."""

    ADDRESS = auto()
    """HOST:PORT; no host means every one of this machine."""
    URL = auto()


@dataclass(frozen=True, slots=True)
class Flag:
    """What the command line says of a setting, and what it takes."""

    text: str
    least: int | None = None
    form: Form | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one controller process. An empty address switches that server off."""

    kubeconfig: Annotated[str, Flag("Kubeconfig file. Default: the pod's service account.")] = ""
    context: Annotated[str, Flag("Context of the kubeconfig.")] = ""
    namespace: Annotated[str, Flag("Serve only this namespace. Default: all.")] = ""
    api_group: Annotated[
        str, Flag("API group of the Rollouts; argoproj.io serves those of Argo Rollouts.")
    ] = DEFAULT_GROUP
    instance_id: Annotated[str, Flag("Serve only objects with this controller-instance-id label.")] = ""
    leader_elect: Annotated[bool, Flag("Write only while holding the Lease.")] = True
    lease_name: Annotated[str, Flag("Name of the Lease.")] = "rollouts-controller"
    lease_namespace: Annotated[str, Flag("Namespace of the Lease. Default: that of this pod.")] = ""
    """Empty: `namespace` if there is one, else the namespace of this pod."""
    identity: str = ""
    """Name of this process in the Lease; empty: host name and a random part."""
    metrics_address: Annotated[str, Flag("Where /metrics is served; empty: nowhere.", form=Form.ADDRESS)] = (
        ":8090"
    )
    health_address: Annotated[
        str, Flag("Where /healthz, /livez and /readyz are served; empty: nowhere.", form=Form.ADDRESS)
    ] = ":8080"
    log_format: Annotated[LogFormat, Flag("Format of log lines.")] = LogFormat.TEXT
    log_level: Annotated[LogLevel, Flag("What is logged, and what is worse.")] = LogLevel.INFO
    workers: Annotated[int, Flag("Rollouts that are handled at once.", least=1)] = 10
    max_concurrent_rollouts: Annotated[
        int, Flag("Updates that go on at once, others wait. 0: any number.", least=0)
    ] = 0
    analysis_workers: Annotated[int, Flag("Measurements that are taken at once.", least=1)] = 30
    application_workers: Annotated[int, Flag("Applications that are handled at once.", least=1)] = 10
    prometheus_address: Annotated[
        str, Flag("Prometheus for metrics that name no address.", form=Form.URL)
    ] = ""
    resync_seconds: Annotated[int, Flag("Seconds between two complete lists of all kinds.", least=1)] = 420
    git_cache_dir: Annotated[Path, Flag("Where fetched Git repositories are kept.")] = field(
        default_factory=lambda: Path("/var/cache/rollouts")
    )
    webhook_address: Annotated[
        str, Flag("Where webhooks of Git hosts are received; empty: nowhere.", form=Form.ADDRESS)
    ] = ""
    webhook_secret_file: Annotated[Path | None, Flag("Secrets that sign webhooks, one a line.")] = None
    """Without it no webhook is received."""
    tools_dir: Annotated[Path | None, Flag("Where kustomize, helm and sops are. Default: on PATH.")] = None

    @property
    def names(self) -> Names:
        return Names(self.api_group)
