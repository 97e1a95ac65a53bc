"""app list, get, diff, preview, sync, retry, rollback: what Git says, what runs, what was refused and why.

People talk to the controller through annotations, each a token that is handled once; see `api.application`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from rollouts.api.application import (
    REFRESH_ANNOTATION,
    RETRY_ANNOTATION,
    ROLLBACK_ANNOTATION,
    SYNC_ANNOTATION,
)
from rollouts.cli import application_diff, completion, output, screen
from rollouts.cli.facts import dig
from rollouts.cli.live import Live, Source
from rollouts.cli.output import AllNamespaces, Format, Output, Watch
from rollouts.cli.session import FIELD_MANAGER, Object, Session, verb
from rollouts.cli.target import CliError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rollouts.kube import Ref

app = typer.Typer()
app.registered_commands += application_diff.app.registered_commands

ApplicationName = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="Name of the Application.",
        show_default=False,
        autocompletion=completion.application_names,
    ),
]


@verb(app, "list")
async def list_(session: Session, *, everywhere: AllNamespaces = False, form: Output = Format.TABLE) -> None:
    """Every Application, one line each."""
    from rollouts.cli import application_view
    from rollouts.kube import resources

    namespace = "" if everywhere else session.namespace
    found = await session.listed(resources.APPLICATION, namespace)
    if form is not Format.TABLE:
        typer.echo(output.document(output.listing(found), form))
    elif not found:
        typer.echo("no applications" + (f" in namespace {namespace}" if namespace else ""))
    else:
        output.show(application_view.listing(found, datetime.now(UTC), everywhere=everywhere))


@verb(app, "get")
async def get(
    session: Session, name: ApplicationName, *, watch: Watch = False, form: Output = Format.TABLE
) -> None:
    """One Application: its four revisions, its objects, and what was refused and why."""
    from rollouts.cli import application_view
    from rollouts.kube import resources

    found = await session.existing(_ref(session, name))
    if form is not Format.TABLE:
        typer.echo(output.document(found, form))
    elif not watch:
        output.show(application_view.drawn(found, datetime.now(UTC)))
    else:
        async with Live(session.kube, session.namespace, {"": Source(resources.APPLICATION)}) as live:

            def drawn() -> RenderableType | None:
                now = _named(live, name)
                return application_view.drawn(now, datetime.now(UTC)) if now else None

            def line() -> str | None:
                now = _named(live, name)
                return application_view.one_line(now) if now else None

            await screen.follow(live, picture=drawn, line=line)
        typer.echo(f"application '{name}' is gone")


@verb(app, "sync")
async def sync(session: Session, name: ApplicationName) -> None:
    """Look at Git now, and apply what it says."""
    found = await session.existing(_ref(session, name))
    if dig(found, "spec", "suspend"):
        raise CliError(f"application {name} is suspended; set spec.suspend to false first")
    await _annotate(session, name, REFRESH_ANNOTATION, SYNC_ANNOTATION)
    typer.echo(f"application '{name}' sync requested")


@verb(app, "retry")
async def retry(session: Session, name: ApplicationName) -> None:
    """Try the quarantined revision that Git asks for once more."""
    found = await session.existing(_ref(session, name))
    if not dig(found, "status", "quarantine"):
        raise CliError(
            f"application {name} has no quarantined revision to retry; see: rollouts app get {name}"
        )
    await _annotate(session, name, RETRY_ANNOTATION)
    typer.echo(f"application '{name}' retry of {dig(found, 'status', 'desiredRevision')} requested")


@verb(app, "rollback")
async def rollback(
    session: Session,
    name: ApplicationName,
    *,
    to: Annotated[
        int | None, typer.Option("--to", help="Id in status.history. Default: the good revision before.")
    ] = None,
) -> None:
    """Go back to an earlier good revision; what Git says now stays out until Git says something else."""
    found = await session.existing(_ref(session, name))
    if problem := no_way_back(found, to):
        raise CliError(f"application {name} has {problem}")
    token = datetime.now(UTC).isoformat()
    await _annotate(session, name, ROLLBACK_ANNOTATION, token=f"{to}@{token}" if to is not None else token)
    typer.echo(f"application '{name}' rollback requested")


def no_way_back(application: Object, to: int | None) -> str:
    """Why there is nothing to roll back to; empty where there is."""
    history = dig(application, "status", "history") or []
    if to is not None:
        known = ", ".join(str(h.get("id")) for h in history) or "none"
        is_known = to in {h.get("id") for h in history}
        return "" if is_known else f"no good revision {to} in its history; there are: {known}"
    tried = dig(application, "status", "operationState", "syncResult", "digest")
    if any(h.get("digest") != tried for h in history):
        return ""
    return (
        f"no other good revision to go back to; see: rollouts app get {dig(application, 'metadata', 'name')}"
    )


async def _annotate(session: Session, name: str, *annotations: str, token: str = "") -> None:
    token = token or datetime.now(UTC).isoformat()
    await session.kube.merge_patch(
        _ref(session, name),
        {"metadata": {"annotations": dict.fromkeys(annotations, token)}},
        field_manager=FIELD_MANAGER,
    )


def _ref(session: Session, name: str) -> Ref:
    from rollouts.kube import resources

    return resources.APPLICATION.ref(name, session.namespace)


def _named(live: Live, name: str) -> Object | None:
    return next((a for a in live.objects("") if a["metadata"]["name"] == name), None)
