"""The stage: sandbox, Git repository, controller, CRDs. The story itself is in `story`.

Exit code 0 only when every assertion was true.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from rollouts import kube, sandbox
from rollouts.api import crd
from rollouts.api.meta import VERSION, Names
from rollouts.demo import manifests, story
from rollouts.demo.controller import ControllerProcess
from rollouts.demo.screen import Screen
from rollouts.demo.team import Team
from rollouts.errors import Conflict, NotFound, Transient
from rollouts.kube import Kube, resources
from rollouts.sandbox import progress

_FIELD_MANAGER = "rollouts-demo"
_SERVED_SECONDS = 60.0
_SECRET = "shop-git"  # noqa: S105 - the name of the Secret, not its content


def play(*, keep: bool = False) -> int:
    """Set everything up, tell the story, tear down (unless `keep`); the process's exit code."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # closing the terminal ends the sandbox, too
    directory = Path(tempfile.mkdtemp(prefix="rollouts-demo-"))
    cluster = sandbox.up(directory / "sandbox", wanted=sandbox.ALL, report=progress.to_stderr())
    controller = ControllerProcess(
        kubeconfig=cluster.kubeconfig, prometheus_url=cluster.prometheus_url, directory=directory
    )
    passed = False
    try:
        with Screen() as screen:
            passed = asyncio.run(_perform(screen, cluster, controller, directory))
    finally:
        if keep and controller.pid:
            _what_to_try(screen, cluster, controller)
        else:
            controller.stop()
            cluster.down(remove=True)
            if passed:
                shutil.rmtree(directory, ignore_errors=True)
    return 0 if passed else 1


async def _perform(
    screen: Screen, cluster: sandbox.Sandbox, controller: ControllerProcess, directory: Path
) -> bool:
    client = await kube.connect(str(cluster.kubeconfig))
    try:
        await _set_the_stage(client, cluster)
        repository = cluster.create_repository("shop")
        team = Team(
            directory / "team", repository.url, username=cluster.git_username, password=cluster.git_password
        )
        controller.start()
        stage = story.Stage(
            screen=screen,
            kube=client,
            team=team,
            controller=controller,
            kubeconfig=cluster.kubeconfig,
            traffic_url=cluster.traffic_url,
            repository_url=repository.url,
            secret=_SECRET,
        )
        checks = await story.tell(stage)
    finally:
        await client.close()
    screen.console.print(_summary(checks))
    if not all(c.passed for c in checks):
        screen.console.print(f"The controller's log is in {controller.log}", markup=False)
    return all(c.passed for c in checks)


async def _set_the_stage(client: Kube, cluster: sandbox.Sandbox) -> None:
    """CRDs, the namespace, and the Secret with which the Application reads the repository."""
    for definition in crd.crds(Names()):
        await _ensure(client, resources.CUSTOM_RESOURCE_DEFINITION, definition)
    async with asyncio.timeout(_SERVED_SECONDS):
        for definition in crd.crds(Names()):
            await _wait_until_served(client, definition["spec"])
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": manifests.NAMESPACE}}
    await _ensure(client, resources.NAMESPACE, namespace)
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": _SECRET, "namespace": manifests.NAMESPACE},
        "stringData": {"username": cluster.git_username, "password": cluster.git_password},
    }
    await _ensure(client, resources.SECRET, secret)


async def _wait_until_served(client: Kube, spec: Mapping[str, Any]) -> None:
    """An API server takes a moment from the definition of a kind to its first object."""
    names = spec["names"]
    resource = kube.Resource(spec["group"], VERSION, names["plural"], names["kind"])
    while True:
        try:
            await client.list(resource)
        except (NotFound, Transient):
            await asyncio.sleep(0.1)
        else:
            return


async def _ensure(client: Kube, resource: kube.Resource, body: Mapping[str, object]) -> None:
    try:
        await client.create(resource, body, field_manager=_FIELD_MANAGER)
    except Conflict:
        return


def _summary(checks: tuple[story.Check, ...]) -> Table:
    failed = sum(not c.passed for c in checks)
    table = Table(title=f"{len(checks) - failed} passed, {failed} failed", title_style="bold")
    table.add_column("What was claimed")
    table.add_column("Is it so?")
    for check in checks:
        table.add_row(check.text, "[green]yes[/]" if check.passed else f"[bold red]no[/] {check.detail}")
    return table


def _what_to_try(screen: Screen, cluster: sandbox.Sandbox, controller: ControllerProcess) -> None:
    tries = (
        f"export KUBECONFIG={cluster.kubeconfig} PATH={cluster.binaries.kubectl.parent}:$PATH",
        "kubectl get applications,rollouts -n shop -w",
        "kubectl rollouts get web -n shop -w",
        "kubectl rollouts set image web web=registry.example.com/web:v9 -n shop",
        f"git clone {cluster.git_url}/shop.git   # {cluster.git_username} / {cluster.git_password}",
        f"tail -f {controller.log}",
        f"kill {controller.pid}; rollouts sandbox down --directory {cluster.directory}   # when you are done",
    )
    screen.console.print("\nIt goes on running. What to try:")
    for line in tries:
        screen.console.print(f"  {line}", markup=False)
