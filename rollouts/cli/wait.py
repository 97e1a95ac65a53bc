"""status: is it done, and did it go well? The exit code tells, so that a pipeline can wait for it.

0 Healthy; 1 Degraded; 3 not there yet: the time is up, or nobody was asked to wait.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

import typer

from rollouts.api import parse
from rollouts.api.rollout_status import Phase
from rollouts.cli import facts
from rollouts.cli.live import Live, Source
from rollouts.cli.session import Object, RolloutName, Session, verb
from rollouts.cli.target import CliError
from rollouts.errors import SpecError

app = typer.Typer()

NOT_YET = 3
_CODES = {Phase.HEALTHY: 0, Phase.DEGRADED: 1, Phase.PROGRESSING: NOT_YET, Phase.PAUSED: NOT_YET}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `status` says last."""

    phase: Phase
    message: str
    timed_out: bool = False

    @property
    def code(self) -> int:
        return _CODES[self.phase]

    def __str__(self) -> str:
        return f"{self.phase} - {self.message}" if self.message else str(self.phase)


@verb(app, "status")
async def status(
    session: Session,
    name: RolloutName,
    *,
    watch: Annotated[
        bool, typer.Option("--watch/--no-watch", "-w", help="Wait until it is Healthy or Degraded.")
    ] = True,
    timeout: Annotated[
        str, typer.Option(metavar="DURATION", help="Wait no longer than this, such as 5m; 0: no limit.")
    ] = "0",
) -> None:
    """Wait for the update to end; the exit code tells how: 0 Healthy, 1 Degraded, 3 not yet."""
    limit = _limit(timeout)
    rollout = await session.rollout(name)
    outcome = await _wait(session, name, limit) if watch else Outcome(*facts.phase(rollout))
    if not watch:
        typer.echo(str(outcome))
    if outcome.timed_out:
        typer.echo(
            f"error: rollout {name} is {outcome.phase} after {timeout}; see: rollouts get {name}", err=True
        )
    elif watch and outcome.phase is Phase.DEGRADED:
        typer.echo(f"error: rollout {name} is {outcome.phase}; see: rollouts get {name}", err=True)
    raise typer.Exit(outcome.code)


async def _wait(session: Session, name: str, limit: float | None) -> Outcome:
    last: Outcome | None = None
    async with Live(session.kube, session.namespace, {"rollouts": Source(session.rollouts)}) as live:
        try:
            async with asyncio.timeout(limit):
                while last is None or last.code == NOT_YET:
                    await live.changed()
                    last = _told(_outcome(live, name), last)
        except TimeoutError:
            # The first look is never cut short: Live has listed before it was entered.
            assert last is not None
            return Outcome(last.phase, last.message, timed_out=True)
    return last


def _outcome(live: Live, name: str) -> Outcome:
    found: Object | None = next((r for r in live.objects("rollouts") if r["metadata"]["name"] == name), None)
    if found is None:
        raise CliError(f"rollout {name} was deleted while it was waited for")
    return Outcome(*facts.phase(found))


def _told(new: Outcome, old: Outcome | None) -> Outcome:
    if new != old:
        typer.echo(str(new))
    return new


def _limit(text: str) -> float | None:
    try:
        limit = parse.duration(text, "--timeout")
    except SpecError as e:
        raise typer.BadParameter(str(e)) from e
    return limit.total_seconds() if limit > timedelta() else None
