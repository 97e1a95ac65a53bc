"""list, get, retry and terminate for Experiments; the verbs themselves are in `show` and `steer`.

Reads objects and hands them to `experiment_view`; decides only when a retry or an end makes sense.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from rollouts.cli import experiment_view, output, patches, screen
from rollouts.cli.branches import Objects, experiment_phase
from rollouts.cli.live import Live, Source
from rollouts.cli.output import Format
from rollouts.cli.session import FIELD_MANAGER, Object, Session
from rollouts.cli.target import CliError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from rollouts.cli.patches import Patch
    from rollouts.kube import Ref


async def list_(session: Session, *, everywhere: bool, form: Format) -> None:
    from rollouts.kube import resources

    namespace = "" if everywhere else session.namespace
    found = await session.listed(resources.experiment(session.names.group), namespace)
    if form is not Format.TABLE:
        typer.echo(output.document(output.listing(found), form))
    elif not found:
        typer.echo("no experiments" + (f" in namespace {namespace}" if namespace else ""))
    else:
        output.show(experiment_view.listing(found, datetime.now(UTC), everywhere=everywhere))


async def get(session: Session, name: str, *, watch: bool, form: Format) -> None:
    found = await session.existing(_ref(session, name))
    if form is not Format.TABLE:
        typer.echo(output.document(found, form))
        return
    async with Live(session.kube, session.namespace, _sources(session)) as live:

        def drawn() -> RenderableType | None:
            now = _named(live, name)
            return experiment_view.drawn(now, _objects(live), datetime.now(UTC)) if now else None

        def line() -> str | None:
            now = _named(live, name)
            return experiment_view.one_line(now) if now else None

        if watch:
            await screen.follow(live, picture=drawn, line=line)
        elif answer := drawn():
            output.show(answer)
            return
    typer.echo(f"experiment '{name}' is gone")


async def retry(session: Session, name: str) -> None:
    found = await session.existing(_ref(session, name))
    if not experiment_view.is_over(found):
        raise CliError(
            f"experiment {name} is {experiment_phase(found)}: there is nothing to retry; "
            f"see: rollouts get experiment {name}"
        )
    await _send(session, name, patches.retry_experiment(found))
    typer.echo(f"experiment '{name}' retried")


async def terminate(session: Session, name: str) -> None:
    found = await session.existing(_ref(session, name))
    if experiment_view.is_over(found):
        raise CliError(f"experiment {name} has ended: it is {experiment_phase(found)}")
    await _send(session, name, (patches.TERMINATE,))
    typer.echo(f"experiment '{name}' terminated")


async def _send(session: Session, name: str, wanted: Sequence[Patch]) -> None:
    for patch in wanted:
        await session.kube.merge_patch(
            _ref(session, name), patch.body, field_manager=FIELD_MANAGER, subresource=patch.subresource
        )


def _ref(session: Session, name: str) -> Ref:
    from rollouts.kube import resources

    return resources.experiment(session.names.group).ref(name, session.namespace)


def _sources(session: Session) -> dict[str, Source]:
    from rollouts.kube import resources

    group = session.names.group
    return {
        "experiments": Source(resources.experiment(group)),
        "replica_sets": Source(resources.REPLICA_SET),
        "pods": Source(resources.POD),
        "analysis_runs": Source(resources.analysis_run(group)),
    }


def _objects(live: Live) -> Objects:
    return Objects(live.objects("replica_sets"), live.objects("pods"), live.objects("analysis_runs"))


def _named(live: Live, name: str) -> Object | None:
    return next((e for e in live.objects("experiments") if e["metadata"]["name"] == name), None)
