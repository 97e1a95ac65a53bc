"""Starts single components and knows when each is ready to be used.

`cluster` decides which to start and remembers them; here is what each needs and how to see that it works.
"""

from __future__ import annotations

import os
import shutil
import socket
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from rollouts.sandbox import api, control_plane, kubeconfig, nodes, process, services
from rollouts.sandbox.api import Api
from rollouts.sandbox.components import Component
from rollouts.sandbox.errors import PortTaken, SandboxError
from rollouts.sandbox.paths import Layout
from rollouts.sandbox.pki import Pki
from rollouts.sandbox.ports import LOOPBACK
from rollouts.sandbox.process import Process
from rollouts.sandbox.state import State

READY_SECONDS = 90.0
TAIL_LINES = 6

# The second wave talks to the first from its first moment.
FIRST_WAVE = frozenset({Component.ETCD, Component.API_SERVER, Component.PROMETHEUS, Component.GIT})

PROGRAMS = {
    Component.ETCD: "etcd",
    Component.API_SERVER: "kube-apiserver",
    Component.CONTROLLER_MANAGER: "kube-controller-manager",
    Component.SCHEDULER: "kube-scheduler",
    Component.NODES: "kwok",
    Component.PROMETHEUS: "prometheus",
}
"""The built program of a component; the others are Python modules of ours."""


@dataclass(frozen=True, slots=True)
class Context:
    """What starting any component may need."""

    layout: Layout
    pki: Pki
    state: State
    programs: Mapping[str, Path]

    @property
    def api_url(self) -> str:
        return f"https://{LOOPBACK}:{self.state.ports.api_server}"


def prepare(context: Context) -> None:
    """Write the files that components read when they start."""
    for name in ("kube-controller-manager", "kube-scheduler", "kwok", "traffic"):
        path = context.layout.component_kubeconfig(name)
        kubeconfig.write_for_certificate(path, server=context.api_url, pki=context.pki, name=name)
    kubeconfig.write_for_certificate(
        context.layout.kubeconfig, server=context.api_url, pki=context.pki, name="admin"
    )
    context.layout.repositories.mkdir(exist_ok=True)
    context.layout.prometheus.mkdir(exist_ok=True)
    configuration = context.layout.prometheus / "prometheus.yaml"
    configuration.write_text(services.prometheus_configuration(context.state.ports), encoding="utf-8")


def spawn(component: Component, context: Context) -> Process:
    """Start a component; its log of the last run is kept beside the new one."""
    log = context.layout.log(component)
    if log.exists():
        log.replace(log.with_suffix(".previous.log"))
    try:
        return process.spawn(_command(component, context), env=_environment(component, context), log=log)
    except OSError as error:
        raise SandboxError(
            step=f"Start {component}",
            why=str(error),
            remedy="Check that the program exists and may be executed.",
        ) from error


def await_ready(started: Mapping[Component, Process], context: Context) -> None:
    """Wait until each of the components can be used, or say why it cannot."""
    with Api(context.api_url, context.pki) as server:
        if Component.NODES in started:
            _register_nodes(server, context.state.nodes)
        for component, one in started.items():
            _await_one(component, one, server, context)


def _await_one(component: Component, one: Process, server: Api, context: Context) -> None:
    def settled() -> bool:
        return not process.is_running(one) or _is_ready(component, server, context)

    in_time = api.wait_until(settled, seconds=READY_SECONDS)
    if not in_time or not process.is_running(one):
        raise _failure(component, context, ended=in_time)


def _failure(component: Component, context: Context, *, ended: bool) -> SandboxError:
    log = context.layout.log(component)
    tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:])
    kind = PortTaken if ended and "address already in use" in tail.lower() else SandboxError
    what = "it ended at once" if ended else f"it was not ready after {READY_SECONDS:.0f} s"
    return kind(
        step=f"Start {component}",
        why=f"{what}; the end of its log says:\n{tail}\n",
        remedy=f"Read {log}; `rollouts sandbox down` and a new `up` start from a clean slate.",
    )


def _command(component: Component, context: Context) -> list[str]:  # noqa: PLR0911  one a component
    layout, pki, ports = context.layout, context.pki, context.state.ports
    name = PROGRAMS.get(component)
    program = context.programs[name] if name else Path()
    match component:
        case Component.ETCD:
            return control_plane.etcd(program, layout=layout, pki=pki, ports=ports)
        case Component.API_SERVER:
            return control_plane.api_server(program, pki=pki, ports=ports)
        case Component.CONTROLLER_MANAGER:
            return control_plane.controller_manager(program, layout=layout, pki=pki)
        case Component.SCHEDULER:
            return control_plane.scheduler(program, layout=layout)
        case Component.NODES:
            return control_plane.nodes(program, layout=layout)
        case Component.PROMETHEUS:
            return services.prometheus(program, layout=layout, ports=ports)
        case Component.TRAFFIC:
            return services.traffic(layout=layout, ports=ports)
        case Component.GIT:
            return services.git(layout=layout, pki=pki, ports=ports, https=context.state.git_https)
        case _:
            assert_never(component)


def _environment(component: Component, context: Context) -> dict[str, str]:
    # A proxy of the user's must not come between the parts of a sandbox.
    inherited = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    if component is not Component.GIT:
        return inherited
    credentials = (context.state.git_username, context.state.git_password)
    return inherited | dict(zip(services.GIT_CREDENTIALS, credentials, strict=True))


def _is_ready(component: Component, server: Api, context: Context) -> bool:  # noqa: PLR0911  likewise
    ports = context.state.ports
    match component:
        case Component.ETCD:
            return _listens(ports.etcd)
        case Component.API_SERVER:
            return server.is_ready()
        case Component.CONTROLLER_MANAGER:
            return server.get("/api/v1/namespaces/default/serviceaccounts/default") is not None
        case Component.SCHEDULER:
            return True
        case Component.NODES:
            return _nodes_are_usable(server, context.state.nodes)
        case Component.PROMETHEUS:
            return api.answers(f"http://{LOOPBACK}:{ports.prometheus}/-/ready")
        case Component.TRAFFIC:
            return api.answers(f"http://{LOOPBACK}:{ports.traffic}/healthz")
        case Component.GIT:
            return api.answers(git_url(context.state), verify=_trust(context.pki))
        case _:
            assert_never(component)


def git_url(state: State) -> str:
    """Where the Git server answers."""
    return f"{'https' if state.git_https else 'http'}://{LOOPBACK}:{state.ports.git}"


def required_programs(components: Iterable[Component]) -> tuple[str, ...]:
    """The built programs that the components need; fails early where Git itself is missing."""
    wanted = tuple(components)
    if Component.GIT in wanted and shutil.which("git") is None:
        raise SandboxError(
            step="Find git",
            why="there is no `git` on PATH",
            remedy="Install git, or start a sandbox without its Git server: --preset cluster.",
        )
    return tuple(PROGRAMS[component] for component in wanted if component in PROGRAMS)


def _register_nodes(server: Api, count: int) -> None:
    for index in range(1, count + 1):
        server.ensure("/api/v1/nodes", nodes.node(index))


def _nodes_are_usable(server: Api, count: int) -> bool:
    listed = (server.get("/api/v1/nodes") or {}).get("items", ())
    return sum(nodes.is_usable(one) for one in listed) >= count


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def _trust(pki: Pki) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(pki.authority))
