"""A controller of Applications that is killed with -9 right before each of its writes, once.

A process dies before a write, the next process is let through with it and dies before the one that follows: so
every place between two writes, a push to Git included, is a place where a process has died. Once a status is
written, its next version is another write, and so is what leads to it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from rollouts.settings import Settings
from tests import respawned
from tests.respawned import Witness

_DIED = "died before "
_STATUS = "/status"


@dataclass(frozen=True, slots=True)
class Deaths:
    """What the processes noted that served one after the other."""

    directory: Path

    @property
    def log(self) -> Path:
        return self.directory / "controller.log"

    @property
    def trace(self) -> Path:
        return self.directory / "writes"

    @property
    def lines(self) -> tuple[str, ...]:
        """All that was about to be written, in order, with how it went on."""
        return tuple(self.trace.read_text().splitlines()) if self.trace.exists() else ()

    @property
    def before(self) -> tuple[str, ...]:
        """The writes that a process died before."""
        return tuple(line.removeprefix(_DIED) for line in self.lines if line.startswith(_DIED))

    @property
    def spared(self) -> set[str]:
        """The writes before which nobody dies again until a status is written."""
        found: set[str] = set()
        for line in self.lines:
            if line.startswith(_DIED):
                found.add(line.removeprefix(_DIED))
            elif line.endswith(_STATUS):
                found.clear()
        return found


@contextlib.asynccontextmanager
async def serving(settings: Settings, directory: Path) -> AsyncIterator[Deaths]:
    """Started again whenever it has died; stopped in good order at the end."""
    deaths = Deaths(directory)
    async with respawned.serving(settings, deaths.log, functools.partial(_witness, deaths)):
        yield deaths


def _witness(deaths: Deaths) -> Witness:
    """In the process that dies next."""
    spared = deaths.spared
    trace = os.open(deaths.trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def about_to(method: str, path: str) -> None:
        place, _, query = path.partition("?")
        if method == "GET" or "dryRun" in query:
            return
        write = f"{method} {place}"
        dies = write not in spared
        os.write(trace, f"{_DIED if dies else ''}{write}\n".encode())
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)
        if write.endswith(_STATUS):
            spared.clear()

    return Witness(about_to)
