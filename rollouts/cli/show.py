"""list, get: what there is, and one Rollout in full, once or live.

Reads objects and hands them to `facts` and `tree`; decides how often a live view is drawn.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from rollouts.cli import facts, output
from rollouts.cli.facts import dig
from rollouts.cli.live import Live, Source
from rollouts.cli.output import Format, Output
from rollouts.cli.session import Object, RolloutName, Session, verb

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from rollouts.cli.tree import Picture

app = typer.Typer()

# Countdowns and ages move on without events.
_TICK_SECONDS = 1.0

AllNamespaces = Annotated[bool, typer.Option("-A", "--all-namespaces", help="Every namespace.")]
Watch = Annotated[bool, typer.Option("-w", "--watch", help="Follow it until Ctrl-C.")]


@verb(app, "list")
async def list_(session: Session, *, everywhere: AllNamespaces = False, form: Output = Format.TABLE) -> None:
    """Every Rollout, one line each."""
    namespace = "" if everywhere else session.namespace
    found = await session.listed(session.rollouts, namespace)
    if form is not Format.TABLE:
        typer.echo(output.document(output.listing(found), form))
    elif not found:
        typer.echo("no rollouts" + (f" in namespace {namespace}" if namespace else ""))
    else:
        output.show(rollout_table(found, datetime.now(UTC), everywhere=everywhere))


@verb(app, "get")
async def get(
    session: Session,
    name: RolloutName,
    *,
    watch: Watch = False,
    form: Output = Format.TABLE,
) -> None:
    """One Rollout: steps, revisions, analysis, pods, and why it stopped."""
    rollout = await session.rollout(name)
    if form is not Format.TABLE:
        typer.echo(output.document(rollout, form))
        return
    async with Live(session.kube, session.namespace, _sources(session, rollout)) as live:
        if not watch:
            _print_once(session, live, name)
        elif sys.stdout.isatty():
            await _draw(session, live, name)
        else:
            await _print_changes(live, name)


def rollout_table(rollouts: tuple[Object, ...], now: datetime, *, everywhere: bool) -> Table:
    """What `kubectl get` shows, with the strategy, and the phase as clients must read it."""
    columns = ("NAME", "PHASE", "STRATEGY", "STEP", "WEIGHT", "READY", "DESIRED", "REV", "AGE", "MESSAGE")
    rows = [_row(rollout, now) for rollout in rollouts]
    if not everywhere:
        return output.table(columns, rows)
    namespaces = [str(dig(rollout, "metadata", "namespace")) for rollout in rollouts]
    return output.table(("NAMESPACE", *columns), [(n, *row) for n, row in zip(namespaces, rows, strict=True)])


def _row(rollout: Object, now: datetime) -> tuple[str | Text, ...]:
    phase, message = facts.phase(rollout)
    weight = facts.actual_weight(rollout)
    return (
        str(dig(rollout, "metadata", "name")),
        output.styled(phase),
        facts.strategy(rollout),
        facts.step_count(rollout) or "-",
        "-" if weight is None else str(weight),
        str(dig(rollout, "status", "readyReplicas") or 0),
        str(dig(rollout, "spec", "replicas") or 0),
        str(dig(rollout, "status", "currentRevision") or "-"),
        facts.age(facts.created_at(rollout), now),
        message,
    )


def _sources(session: Session, rollout: Object) -> dict[str, Source]:
    from rollouts.kube import resources

    labels = dig(rollout, "spec", "selector", "matchLabels") or {}
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    return {
        "rollouts": Source(session.rollouts),
        "replica_sets": Source(resources.REPLICA_SET, selector),
        "pods": Source(resources.POD, selector),
        "analysis_runs": Source(resources.analysis_run(session.names.group)),
    }


def _picture(live: Live, name: str) -> Picture | None:
    from rollouts.cli.tree import Picture

    rollout = next((r for r in live.objects("rollouts") if r["metadata"]["name"] == name), None)
    if rollout is None:
        return None
    return Picture(rollout, live.objects("replica_sets"), live.objects("pods"), live.objects("analysis_runs"))


def _print_once(session: Session, live: Live, name: str) -> None:
    from rollouts.cli import tree

    if picture := _picture(live, name):
        output.show(tree.rollout_tree(picture, session.names, datetime.now(UTC)))


async def _draw(session: Session, live: Live, name: str) -> None:
    """Redraw in place on every change and every second; the last picture stays on the screen."""
    from rich import live as rich_live
    from rich import text
    from rich.console import Group

    from rollouts.cli import tree

    console = output.console()
    with rich_live.Live(console=console, auto_refresh=False, vertical_overflow="visible") as screen:
        while picture := _picture(live, name):
            drawn = tree.rollout_tree(picture, session.names, datetime.now(UTC))
            note = text.Text(f"may be old: {live.trouble}" if live.trouble else "", style="yellow")
            screen.update(Group(drawn, note), refresh=True)
            await live.changed(_TICK_SECONDS)
    typer.echo(f"rollout '{name}' is gone")


async def _print_changes(live: Live, name: str) -> None:
    """One line for every change that a reader would notice."""
    from rollouts.cli import tree

    said = ""
    while picture := _picture(live, name):
        line = tree.one_line(picture.rollout)
        if line != said:
            typer.echo(f"{datetime.now(UTC):%H:%M:%S}  {line}")
            said = line
        await live.changed()
    typer.echo(f"rollout '{name}' is gone")
