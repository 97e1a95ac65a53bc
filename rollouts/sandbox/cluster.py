"""A sandbox as others use it: bring one up in a directory, ask where its parts are, stop and start parts, end it.

Decides which components run and when; how each is started is `launch`, what is remembered is `state`.
Called by `rollouts sandbox`, the demo, the integration tests and the benchmarks.
"""

from __future__ import annotations

import dataclasses
import os
import secrets
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rollouts.sandbox import (
    api,
    binaries,
    components,
    kubeconfig,
    launch,
    paths,
    pki,
    ports,
    process,
    repository,
)
from rollouts.sandbox import state as states
from rollouts.sandbox.api import Api
from rollouts.sandbox.binaries import Binaries
from rollouts.sandbox.components import Component
from rollouts.sandbox.errors import PortTaken, SandboxError
from rollouts.sandbox.paths import Layout
from rollouts.sandbox.ports import LOOPBACK
from rollouts.sandbox.process import Process
from rollouts.sandbox.progress import Reporter, Silent
from rollouts.sandbox.repository import RepoInfo
from rollouts.sandbox.state import Ports, State

NODES = 4
PORT_ATTEMPTS = 3
GRACE_SECONDS = 5.0
# It would wait for open watches for a minute, and has nothing to lose.
API_SERVER_GRACE_SECONDS = 0.5
TOKEN_SECONDS = 24 * 3600

# What a component needs is ended after it: first everything else, then the API server, then its store.
LAST_TO_STOP = (Component.API_SERVER, Component.ETCD)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running, or once running, sandbox in a directory."""

    directory: Path
    binaries: Binaries
    report: Reporter

    @property
    def kubeconfig(self) -> Path:
        """Signs in as the cluster's administrator."""
        return self._layout.kubeconfig

    @property
    def api_url(self) -> str:
        return f"https://{LOOPBACK}:{self._state.ports.api_server}"

    @property
    def prometheus_url(self) -> str:
        return f"http://{LOOPBACK}:{self._state.ports.prometheus}"

    @property
    def traffic_url(self) -> str:
        """The traffic model: `/served` says where requests really went."""
        return f"http://{LOOPBACK}:{self._state.ports.traffic}"

    @property
    def git_url(self) -> str:
        return launch.git_url(self._state)

    @property
    def git_username(self) -> str:
        return self._state.git_username

    @property
    def git_password(self) -> str:
        return self._state.git_password

    @property
    def certificate_authority(self) -> Path:
        """Trusted by clients of the API server, and of Git where that speaks https."""
        return pki.Pki(self._layout.pki).authority

    @property
    def components(self) -> frozenset[Component]:
        """The components that run."""
        return frozenset(name for name, one in self._state.processes.items() if process.is_running(one))

    def log(self, component: Component) -> Path:
        """What the component printed since it was last started."""
        return self._layout.log(component)

    def start(self, *wanted: Component) -> None:
        """Start components that do not run, with what they need; those that run are left alone."""
        with states.exclusive(self._layout.lock):
            self._start(components.with_requirements(frozenset(wanted)))

    def stop(self, *unwanted: Component) -> None:
        """End components; their data and ports are kept for a later start."""
        with states.exclusive(self._layout.lock):
            self._stop(frozenset(unwanted))

    def restart(self, *which: Component) -> None:
        """End components and start them again at the same address."""
        self.stop(*which)
        self.start(*which)

    def down(self, *, remove: bool = False) -> None:
        """End everything that this sandbox started; `remove` deletes its directory too."""
        with states.exclusive(self._layout.lock):
            self._stop(frozenset(Component))
        if remove:
            shutil.rmtree(self.directory)

    def create_repository(self, name: str) -> RepoInfo:
        """A bare repository on the Git server; the one that is there if there is one of that name."""
        return repository.create(self._layout.repositories, name, server=self.git_url)

    def served(self) -> dict[str, Any]:
        """Where the traffic model's requests really went, by `namespace/service`.

        Each entry has `requests`, and counts by code in `codes`, in `hashes` by pod template hash and in
        `pods` by pod; the empty hash and pod stand for requests that found no ready pod.
        """
        return api.fetch(f"{self.traffic_url}/served")

    def kubeconfig_for_service_account(self, namespace: str, name: str) -> Path:
        """A kubeconfig that signs in as that account, with exactly its rights, for a day."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": TOKEN_SECONDS},
        }
        authority = pki.Pki(self._layout.pki)
        with Api(self.api_url, authority) as server:
            token = server.create(path, request)["status"]["token"]
        target = self._layout.component_kubeconfig(f"{namespace}.{name}")
        kubeconfig.write_for_token(target, server=self.api_url, pki=authority, name=name, token=token)
        return target

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    @property
    def _layout(self) -> Layout:
        return Layout(self.directory)

    @property
    def _state(self) -> State:
        found = states.load(self._layout.state)
        if found is None:
            raise SandboxError(
                step="Use a sandbox",
                why=f"there is none in {self.directory}",
                remedy="Start it: `rollouts sandbox up`.",
            )
        return found

    def _start(self, wanted: frozenset[Component]) -> None:
        missing = [component for component in Component if component in wanted - self.components]
        if not missing:
            return
        programs = self.binaries.ensure(launch.required_programs(missing))
        context = launch.Context(self._layout, pki.ensure(self._layout.pki), self._state, programs)
        launch.prepare(context)
        self.report.say(f"Starting {', '.join(missing)}")
        try:
            self._start_in_waves(missing, context)
        except BaseException:
            # Also for an interrupt: what was started by a failed start must not stay behind.
            self._stop(frozenset(missing))
            raise

    def _start_in_waves(self, missing: Iterable[Component], context: launch.Context) -> None:
        first = [component for component in missing if component in launch.FIRST_WAVE]
        second = [component for component in missing if component not in launch.FIRST_WAVE]
        for wave in (first, second):
            started = {component: self._spawn(component, context) for component in wave}
            launch.await_ready(started, context)

    def _spawn(self, component: Component, context: launch.Context) -> Process:
        started = launch.spawn(component, context)
        # Remembered before anything else is done: a crash here must not orphan the process.
        self._remember({**self._state.processes, component: started})
        return started

    def _stop(self, unwanted: frozenset[Component]) -> None:
        processes = self._state.processes
        order = (unwanted - set(LAST_TO_STOP), *(unwanted & {last} for last in LAST_TO_STOP))
        for group in order:
            grace = API_SERVER_GRACE_SECONDS if Component.API_SERVER in group else GRACE_SECONDS
            process.stop([processes[name] for name in group if name in processes], grace_seconds=grace)
        self._remember({name: one for name, one in processes.items() if name not in unwanted})

    def _remember(self, processes: Mapping[Component, Process]) -> None:
        states.save(self._layout.state, dataclasses.replace(self._state, processes=dict(processes)))


def up(
    directory: Path | None = None,
    *,
    wanted: frozenset[Component] = components.ALL,
    bin_dir: Path | None = None,
    nodes: int = NODES,
    git_https: bool = False,
    report: Reporter | None = None,
) -> Sandbox:
    """A sandbox with the components running; those that run already are used as they are."""
    sandbox = _at(directory, bin_dir=bin_dir, report=report)
    layout = Layout(sandbox.directory)
    sandbox.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    full = components.with_requirements(wanted)
    # Building takes minutes: not under the lock, so that `status` and `down` need not wait for it.
    sandbox.binaries.ensure(launch.required_programs(c for c in Component if c in full))
    with states.exclusive(layout.lock):
        for attempt in range(1, PORT_ATTEMPTS + 1):
            _settle(sandbox, layout, nodes=nodes, git_https=git_https)
            try:
                sandbox._start(full)  # noqa: SLF001  same module; the lock is held here
                break
            except PortTaken:
                if attempt == PORT_ATTEMPTS or sandbox.components:
                    raise
    return sandbox


def load(directory: Path | None = None, *, bin_dir: Path | None = None) -> Sandbox:
    """The sandbox in a directory, running or not."""
    sandbox = _at(directory, bin_dir=bin_dir, report=None)
    _ = sandbox.components  # fails if there never was one
    return sandbox


def _at(directory: Path | None, *, bin_dir: Path | None, report: Reporter | None) -> Sandbox:
    reporter = report or Silent()
    where = (directory or paths.state_directory()).expanduser().absolute()
    return Sandbox(where, binaries.locate(bin_dir, environ=os.environ, report=reporter), reporter)


def _settle(sandbox: Sandbox, layout: Layout, *, nodes: int, git_https: bool) -> None:
    """Choose ports and credentials for a new sandbox, and new ports for one that does not run.

    A sandbox of which anything runs keeps its ports: the running parts know each other by them.
    """
    old = states.load(layout.state)
    if old is not None and sandbox.components:
        return
    fresh = State(
        ports=Ports(*ports.find(len(dataclasses.fields(Ports)))),
        git_username=old.git_username if old else "git",
        git_password=old.git_password if old else secrets.token_urlsafe(16),
        git_https=git_https,
        nodes=nodes,
        processes={},
    )
    if old is not None and all(map(ports.is_free, dataclasses.astuple(old.ports))):
        fresh = dataclasses.replace(fresh, ports=old.ports)
    states.save(layout.state, fresh)
