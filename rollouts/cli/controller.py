"""`rollouts controller`: flags and `ROLLOUTS_*` variables -> Settings; then the process runs.

Decides what a flag means, nothing else. Everything heavy is imported when the command runs.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from rollouts.api.meta import DEFAULT_GROUP
from rollouts.settings import LogFormat, LogLevel, Settings

app = typer.Typer()

_DEFAULT = Settings()


def _flag(
    name: str, text: str, *, least: int | None = None, check: Callable[[str], str] | None = None
) -> typer.models.OptionInfo:
    """A flag with its environment variable: --log-level and ROLLOUTS_LOG_LEVEL."""
    variable = "ROLLOUTS_" + name.partition("/")[0].removeprefix("--").replace("-", "_").upper()
    option: typer.models.OptionInfo = typer.Option(
        name, envvar=variable, help=text, min=least, callback=check, case_sensitive=False
    )
    return option


def _address(text: str) -> str:
    """Empty, or HOST:PORT."""
    _, colon, port = text.rpartition(":")
    if text and not (colon and port.isdigit() and int(port) < 65536):
        raise typer.BadParameter(f"{text} is not an address; write :8080, or 127.0.0.1:8080")
    return text


def _url(text: str) -> str:
    if text and not text.startswith(("http://", "https://")):
        raise typer.BadParameter(f"{text} is not a URL; write http://{text.lstrip('/')}")
    return text


@app.command()
def controller(  # noqa: PLR0913 - a flag each
    *,
    kubeconfig: Annotated[
        str, _flag("--kubeconfig", "Kubeconfig file. Default: the pod's service account.")
    ] = "",
    context: Annotated[str, _flag("--context", "Context of the kubeconfig.")] = "",
    namespace: Annotated[str, _flag("--namespace", "Serve only this namespace. Default: all.")] = "",
    api_group: Annotated[
        str, _flag("--api-group", "API group of the Rollouts; argoproj.io serves those of Argo Rollouts.")
    ] = DEFAULT_GROUP,
    instance_id: Annotated[
        str, _flag("--instance-id", "Serve only objects with this controller-instance-id label.")
    ] = "",
    leader_elect: Annotated[
        bool, _flag("--leader-elect/--no-leader-elect", "Write only while holding the Lease.")
    ] = True,
    lease_name: Annotated[str, _flag("--lease-name", "Name of the Lease.")] = _DEFAULT.lease_name,
    lease_namespace: Annotated[
        str, _flag("--lease-namespace", "Namespace of the Lease. Default: that of this pod.")
    ] = "",
    metrics_address: Annotated[
        str, _flag("--metrics-address", "Where /metrics is served; empty: nowhere.", check=_address)
    ] = _DEFAULT.metrics_address,
    health_address: Annotated[
        str,
        _flag(
            "--health-address",
            "Where /healthz, /livez and /readyz are served; empty: nowhere.",
            check=_address,
        ),
    ] = _DEFAULT.health_address,
    log_format: Annotated[LogFormat, _flag("--log-format", "Format of log lines.")] = LogFormat.TEXT,
    log_level: Annotated[
        LogLevel, _flag("--log-level", "What is logged, and what is worse.")
    ] = _DEFAULT.log_level,
    workers: Annotated[
        int, _flag("--workers", "Rollouts that are handled at once.", least=1)
    ] = _DEFAULT.workers,
    max_concurrent_rollouts: Annotated[
        int,
        _flag(
            "--max-concurrent-rollouts", "Updates that go on at once, others wait. 0: any number.", least=0
        ),
    ] = _DEFAULT.max_concurrent_rollouts,
    analysis_workers: Annotated[
        int, _flag("--analysis-workers", "Measurements that are taken at once.", least=1)
    ] = _DEFAULT.analysis_workers,
    application_workers: Annotated[
        int, _flag("--application-workers", "Applications that are handled at once.", least=1)
    ] = _DEFAULT.application_workers,
    prometheus_address: Annotated[
        str, _flag("--prometheus-address", "Prometheus for metrics that name no address.", check=_url)
    ] = "",
    resync_seconds: Annotated[
        int, _flag("--resync-seconds", "Seconds between two complete lists of all kinds.", least=1)
    ] = _DEFAULT.resync_seconds,
    git_cache_dir: Annotated[
        Path, _flag("--git-cache-dir", "Where fetched Git repositories are kept.")
    ] = _DEFAULT.git_cache_dir,
    webhook_address: Annotated[
        str,
        _flag(
            "--webhook-address", "Where webhooks of Git hosts are received; empty: nowhere.", check=_address
        ),
    ] = "",
    webhook_secret_file: Annotated[
        Path | None, _flag("--webhook-secret-file", "Secrets that sign webhooks, one a line.")
    ] = None,
    tools_dir: Annotated[
        Path | None, _flag("--tools-dir", "Where kustomize, helm and sops are. Default: on PATH.")
    ] = None,
) -> None:
    """Run the controller until it is stopped."""
    if webhook_address and not webhook_secret_file:
        raise typer.BadParameter(
            "it needs --webhook-secret-file: only signed webhooks are received",
            param_hint="--webhook-address",
        )
    settings = Settings(
        kubeconfig=kubeconfig,
        context=context,
        namespace=namespace,
        api_group=api_group,
        instance_id=instance_id,
        leader_elect=leader_elect,
        lease_name=lease_name,
        lease_namespace=lease_namespace,
        metrics_address=metrics_address,
        health_address=health_address,
        log_format=log_format,
        log_level=log_level,
        workers=workers,
        max_concurrent_rollouts=max_concurrent_rollouts,
        analysis_workers=analysis_workers,
        application_workers=application_workers,
        prometheus_address=prometheus_address,
        resync_seconds=resync_seconds,
        git_cache_dir=git_cache_dir,
        webhook_address=webhook_address,
        webhook_secret_file=webhook_secret_file,
        tools_dir=tools_dir,
    )
    from rollouts.controller import logs, main

    logs.configure(settings.log_format, settings.log_level)
    sys.exit(asyncio.run(main.run(settings)))
