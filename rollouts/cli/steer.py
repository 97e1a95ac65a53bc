"""promote, abort, retry, pause, resume, restart, terminate: a person steers an update or an Experiment.

Each verb reads the Rollout, sends the patches of `patches` and says in one line what it did.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from rollouts.api import parse
from rollouts.cli import facts, kinds, patches
from rollouts.cli.kinds import ExperimentName, Kind, KindToEnd, NameAfterKind, What
from rollouts.cli.patches import Patch
from rollouts.cli.session import FIELD_MANAGER, Object, RolloutName, Session, verb
from rollouts.cli.target import CliError
from rollouts.errors import SpecError

app = typer.Typer()


@verb(app, "promote")
async def promote(
    session: Session,
    name: RolloutName,
    *,
    full: Annotated[bool, typer.Option("--full", help="Skip all steps, pauses and analyses.")] = False,
) -> None:
    """Go on: end the pause, or skip the current step."""
    rollout = await session.rollout(name)
    wanted = patches.promote_full(rollout) if full else patches.promote(rollout)
    await _send(session, name, wanted)
    typer.echo(f"rollout '{name}' {_promoted(rollout, full=full) if wanted else 'has nothing to promote'}")


@verb(app, "abort")
async def abort(session: Session, name: RolloutName) -> None:
    """Stop the update and give everything back to the stable revision."""
    rollout = await session.rollout(name)
    if facts.is_fully_promoted(rollout):
        raise CliError(
            f"rollout {name} has no update to abort: what runs is stable; "
            f"to go back to an earlier revision: rollouts undo {name}"
        )
    await _send(session, name, (patches.ABORT,))
    typer.echo(f"rollout '{name}' aborted")


@verb(app, "retry")
async def retry(session: Session, what: What, name: NameAfterKind = "") -> None:
    """Start an aborted update again, from its first step; or an Experiment that has ended."""
    kind, name = kinds.named(what, name)
    if kind is Kind.EXPERIMENT:
        from rollouts.cli import experiments

        await experiments.retry(session, name)
        return
    rollout = await session.rollout(name)
    if not facts.dig(rollout, "status", "abort"):
        raise CliError(f"rollout {name} is not aborted: there is nothing to retry; see: rollouts get {name}")
    await _send(session, name, (patches.RETRY,))
    typer.echo(f"rollout '{name}' retried")


@verb(app, "terminate")
async def terminate(session: Session, what: KindToEnd, name: ExperimentName) -> None:
    """End an Experiment now, as Successful unless it has failed."""
    if kinds.kind(what) is not Kind.EXPERIMENT:
        raise CliError(f"only an Experiment is terminated; for a Rollout: rollouts abort {name}")
    from rollouts.cli import experiments

    await experiments.terminate(session, name)


@verb(app, "pause")
async def pause(session: Session, name: RolloutName) -> None:
    """Hold the update where it is."""
    await session.rollout(name)
    await _send(session, name, (patches.PAUSE,))
    typer.echo(f"rollout '{name}' paused")


@verb(app, "resume")
async def resume(session: Session, name: RolloutName) -> None:
    """End what `pause` began. A pause step is ended by `promote`."""
    rollout = await session.rollout(name)
    await _send(session, name, (patches.RESUME,))
    waiting = facts.dig(rollout, "status", "pauseConditions")
    hint = f"; it waits at a pause step, which ends with: rollouts promote {name}" if waiting else ""
    typer.echo(f"rollout '{name}' resumed{hint}")


@verb(app, "restart")
async def restart(
    session: Session,
    name: RolloutName,
    delay: Annotated[
        str, typer.Option("--in", metavar="DURATION", help="Restart after this time, such as 10m.")
    ] = "0s",
) -> None:
    """Replace every pod, a few at a time, without a new revision."""
    at = datetime.now(UTC) + _duration(delay)
    await session.rollout(name)
    await _send(session, name, (patches.restart(at),))
    typer.echo(f"rollout '{name}' restarts in {delay}" if delay != "0s" else f"rollout '{name}' restarts")


async def _send(session: Session, name: str, wanted: Sequence[Patch]) -> None:
    ref = session.rollouts.ref(name, session.namespace)
    for patch in wanted:
        await session.kube.merge_patch(
            ref, patch.body, field_manager=FIELD_MANAGER, subresource=patch.subresource
        )


def _promoted(rollout: Object, *, full: bool) -> str:
    if full:
        return "promoted fully: no further steps, pauses or analyses"
    done = facts.step_count(rollout)
    return f"promoted (was at step {done})" if done else "promoted"


def _duration(text: str) -> timedelta:
    try:
        return parse.duration(text, "--in")
    except SpecError as e:
        raise typer.BadParameter(str(e)) from e
