"""A controller in a process of its own that dies at a chosen boundary, as `kill -9` ends it.

A boundary is a place between two writes: right after each write of a plan (its checkpoints) and right before each
write about an AnalysisRun. It is called by what is written and by how often that was written before, whichever
process did it: `PatchReplicaSet web-2 3 #1`. Every process notes the boundaries that it passes in a file, so that a
test can name them in a run that nobody disturbs and then die at each of them.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from pathlib import Path

from rollouts.settings import Settings
from tests import respawned
from tests.respawned import Witness

_START_OF_PLAN = "plan"
_KILLED = " killed"


@dataclass(frozen=True, slots=True)
class Life:
    """What is known of the processes that served one after the other."""

    directory: Path

    @property
    def log(self) -> Path:
        return self.directory / "controller.log"

    @property
    def trace(self) -> Path:
        return self.directory / "boundaries"

    @property
    def boundaries(self) -> tuple[str, ...]:
        """All that were passed, in order."""
        return tuple(line.removesuffix(_KILLED) for line in self._lines)

    @property
    def deaths(self) -> tuple[str, ...]:
        """Those at which a process died."""
        return tuple(line.removesuffix(_KILLED) for line in self._lines if line.endswith(_KILLED))

    @property
    def _lines(self) -> list[str]:
        return self.trace.read_text().splitlines() if self.trace.exists() else []


@contextlib.asynccontextmanager
async def kept_running(
    settings: Settings, directory: Path, deaths: Collection[str] = ()
) -> AsyncIterator[Life]:
    """A controller that dies at each of these boundaries, once, and is started again whenever it has died.

    Stopped in good order at the end.
    """
    life = Life(directory)
    witness = functools.partial(_witness, life, frozenset(deaths))
    async with respawned.serving(settings, life.log, witness):
        yield life


def _witness(life: Life, deaths: frozenset[str]) -> Witness:
    boundaries = _Boundaries(life, deaths)
    return Witness(boundaries.request, boundaries.checkpoint)


class _Boundaries:
    """Names boundaries, notes them, and dies at those that were chosen and not died at before."""

    def __init__(self, life: Life, deaths: frozenset[str]) -> None:
        self._deaths = deaths - frozenset(life.deaths)
        self._passed = Counter(name.rpartition(" #")[0] for name in life.boundaries)
        self._trace = os.open(life.trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def checkpoint(self, name: str) -> None:
        # Where a plan starts, nothing was written since the last boundary.
        if name != _START_OF_PLAN:
            self._pass(name)

    def request(self, method: str, path: str) -> None:
        if method != "GET" and "/analysisruns/" in path and path.endswith("/status"):
            self._pass(f"before the status of AnalysisRun {path.split('/')[-2]}")

    def _pass(self, what: str) -> None:
        self._passed[what] += 1
        name = f"{what} #{self._passed[what]}"
        dies = name in self._deaths
        os.write(self._trace, f"{name}{_KILLED if dies else ''}\n".encode())
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)
