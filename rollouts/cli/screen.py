"""A live view: redrawn in place on a terminal, one line for each change elsewhere.

Decides when to draw; what is drawn is its caller's. Ends when there is nothing left to draw.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from rollouts.cli import output

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rollouts.cli.live import Live

# Countdowns and ages move on without events.
_TICK_SECONDS = 1.0


async def follow(
    live: Live, *, picture: Callable[[], RenderableType | None], line: Callable[[], str | None]
) -> None:
    """Until the object is gone (None) or Ctrl-C."""
    if sys.stdout.isatty():
        await _redraw(live, picture)
    else:
        await _print_changes(live, line)


async def _redraw(live: Live, picture: Callable[[], RenderableType | None]) -> None:
    from rich import live as rich_live
    from rich.console import Group
    from rich.text import Text

    # One write a frame and no clearing of the screen: nothing flickers, and the last frame stays.
    with rich_live.Live(console=output.console(), auto_refresh=False, vertical_overflow="ellipsis") as screen:
        while (drawn := picture()) is not None:
            note = Text(f"may be old: {live.trouble}" if live.trouble else "", style="yellow")
            screen.update(Group(drawn, note), refresh=True)
            await live.changed(_TICK_SECONDS)


async def _print_changes(live: Live, line: Callable[[], str | None]) -> None:
    said = ""
    while (now := line()) is not None:
        if now != said:
            typer.echo(f"{datetime.now(UTC):%H:%M:%S}  {now}")
            said = now
        await live.changed()
