"""list, get: what there is, and one Rollout or Experiment in full, once or live.

Reads objects and hands them to `facts` and `tree`, which decide what they mean and how they look.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from rollouts.cli import facts, kinds, output, screen
from rollouts.cli.facts import dig
from rollouts.cli.kinds import Kind, Listed, NameAfterKind, What
from rollouts.cli.live import Live, Source
from rollouts.cli.output import AllNamespaces, Format, Output, Watch
from rollouts.cli.session import Object, Session, verb

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

    from rollouts.cli.tree import Picture

app = typer.Typer()


@verb(app, "list")
async def list_(
    session: Session,
    what: Listed = Kind.ROLLOUT.value,
    *,
    everywhere: AllNamespaces = False,
    form: Output = Format.TABLE,
) -> None:
    """Every Rollout, or every Experiment, one line each."""
    if kinds.kind(what) is Kind.EXPERIMENT:
        from rollouts.cli import experiments

        await experiments.list_(session, everywhere=everywhere, form=form)
        return
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
    what: What,
    name: NameAfterKind = "",
    *,
    watch: Watch = False,
    form: Output = Format.TABLE,
) -> None:
    """One Rollout: steps, revisions, analysis, pods, and why it stopped; or one Experiment."""
    kind, name = kinds.named(what, name)
    if kind is Kind.EXPERIMENT:
        from rollouts.cli import experiments

        await experiments.get(session, name, watch=watch, form=form)
        return
    rollout = await session.rollout(name)
    if form is not Format.TABLE:
        typer.echo(output.document(rollout, form))
        return
    from rollouts.cli import tree

    async with Live(session.kube, session.namespace, _sources(session, rollout)) as live:

        def drawn() -> RenderableType | None:
            found = _picture(live, name)
            return tree.rollout_tree(found, session.names, datetime.now(UTC)) if found else None

        def line() -> str | None:
            found = _picture(live, name)
            return tree.one_line(found.rollout) if found else None

        if watch:
            await screen.follow(live, picture=drawn, line=line)
        elif answer := drawn():
            output.show(answer)
            return
    typer.echo(f"rollout '{name}' is gone")


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

    conducts = any(dig(step, "experiment") for step in facts.raw_steps(rollout))
    labels = dig(rollout, "spec", "selector", "matchLabels") or {}
    # Pods of an Experiment may have other labels.
    selector = "" if conducts else ",".join(f"{key}={value}" for key, value in labels.items())
    experiments = {"experiments": Source(resources.experiment(session.names.group))} if conducts else {}
    return {
        "rollouts": Source(session.rollouts),
        "replica_sets": Source(resources.REPLICA_SET, selector),
        "pods": Source(resources.POD, selector),
        "analysis_runs": Source(resources.analysis_run(session.names.group)),
        **experiments,
    }


def _picture(live: Live, name: str) -> Picture | None:
    from rollouts.cli.tree import Picture

    rollout = next((r for r in live.objects("rollouts") if r["metadata"]["name"] == name), None)
    if rollout is None:
        return None
    kinds_shown = ("replica_sets", "pods", "analysis_runs", "experiments")
    return Picture(rollout, *(live.objects(kind) for kind in kinds_shown))
