"""What `helm install` brings, with the controller as a process: its arguments, its account, its rights.

The chart is rendered by the real helm; nothing that it says is repeated here but where a process is not a pod.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rollouts import sandbox

Object = dict[str, Any]

_CHART = Path(__file__).parents[2] / "charts" / "rollouts"
_NAMESPACE = "rollouts-system"
_RBAC = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
_STOP_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Installation:
    """The chart's rights are in the cluster; its controller can be started."""

    cluster: sandbox.Sandbox
    kubeconfig: Path
    """Signs in as the chart's ServiceAccount, with exactly its rights."""
    arguments: tuple[str, ...]
    """As the chart's Deployment has them."""

    def controller(self, directory: Path) -> Controller:
        """The controller, not yet started."""
        metrics = f"127.0.0.1:{_free_port()}"
        here = (
            f"--kubeconfig={self.kubeconfig}",
            f"--metrics-address={metrics}",
            "--health-address=127.0.0.1:0",
            f"--git-cache-dir={directory / 'git'}",
        )
        command = (sys.executable, "-m", "rollouts", *self.arguments, *here)
        return Controller(command, directory / "controller.log", f"http://{metrics}/metrics")


@dataclass(slots=True)
class Controller:
    """`rollouts controller` as a process; its log goes to a file."""

    command: tuple[str, ...]
    log: Path
    metrics_url: str
    _process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self.command, stdout=log, stderr=log)

    def kill(self) -> None:
        """What a node failure does to it."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """What the kubelet does to it; the exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(_STOP_SECONDS)


def install(cluster: sandbox.Sandbox) -> Installation:
    """Render the chart and give its ServiceAccount its rights."""
    objects = _rendered(cluster)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE}}
    _apply(cluster, [namespace, *(o for o in objects if o["kind"] in _RBAC)])
    (account,) = (o["metadata"]["name"] for o in objects if o["kind"] == "ServiceAccount")
    (deployment,) = (o for o in objects if o["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    kubeconfig = cluster.kubeconfig_for_service_account(_NAMESPACE, account)
    return Installation(cluster, kubeconfig, tuple(container["args"]))


def _rendered(cluster: sandbox.Sandbox) -> list[Object]:
    values = {"controller.prometheusAddress": cluster.prometheus_url, "controller.logFormat": "text"}
    settings = [f"--set={name}={value}" for name, value in values.items()]
    helm = (str(cluster.binaries.helm), "template", "rollouts", str(_CHART), f"--namespace={_NAMESPACE}")
    rendered = subprocess.run([*helm, *settings], check=True, capture_output=True, text=True).stdout
    return [body for body in yaml.safe_load_all(rendered) if body]


def _apply(cluster: sandbox.Sandbox, objects: Sequence[Object]) -> None:
    kubectl = (str(cluster.binaries.kubectl), f"--kubeconfig={cluster.kubeconfig}")
    body = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    subprocess.run([*kubectl, "apply", "-f", "-"], input=body, text=True, check=True, capture_output=True)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
