"""A controller in a process of its own that dies at a chosen boundary, as `kill -9` ends it.

A boundary is a place between two writes: right after each write of a plan (its checkpoints) and right before each
write about an AnalysisRun. It is called by what is written and by how often that was written before, whichever
process did it: `PatchReplicaSet web-2 3 #1`. Every process notes the boundaries that it passes in a file, so that a
test can name them in a run that nobody disturbs and then die at each of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from rollouts import kube as kubes
from rollouts.controller import logs, main
from rollouts.settings import LogFormat, Settings

# Processes are forked from one that has imported everything: a restart costs a few milliseconds.
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["pytest", "tests.crashing_controller"])

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

    @property
    def last_words(self) -> str:
        return "".join(self.log.read_text().splitlines(keepends=True)[-40:])


@contextlib.asynccontextmanager
async def kept_running(
    settings: Settings, directory: Path, deaths: Collection[str] = ()
) -> AsyncIterator[Life]:
    """A controller that dies at each of these boundaries, once, and is started again whenever it has died.

    Stopped in good order at the end.
    """
    life = Life(directory)
    stopping = asyncio.Event()
    keeper = asyncio.create_task(_keep(settings, life, stopping, frozenset(deaths)))
    try:
        yield life
        assert not keeper.done(), f"the controller has ended by itself:\n{life.last_words}"
    finally:
        stopping.set()
        status = await keeper
    # Told to stop before it was up, a process ends as any program does.
    assert status in (0, -signal.SIGKILL, -signal.SIGTERM), (
        f"the controller ended with status {status}:\n{life.last_words}"
    )


async def _keep(settings: Settings, life: Life, stopping: asyncio.Event, deaths: frozenset[str]) -> int:
    """Start process after process until told to stop; the exit status of the last one."""
    while True:
        process = _forks.Process(target=_serve, args=(settings, life, deaths), daemon=True)
        process.start()
        status = await _end_of(process, stopping)
        if stopping.is_set() or status != -signal.SIGKILL:
            return status


async def _end_of(process: BaseProcess, stopping: asyncio.Event) -> int:
    """Its exit status, when it ends by itself or was asked to."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(process.sentinel, ended.set)
    asked = asyncio.create_task(stopping.wait())
    asked.add_done_callback(lambda task: None if task.cancelled() else process.terminate())
    try:
        await ended.wait()
    finally:
        loop.remove_reader(process.sentinel)
        asked.cancel()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _serve(settings: Settings, life: Life, deaths: frozenset[str]) -> None:
    """What a process of ours does."""
    log = os.open(life.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    logs.configure(LogFormat.TEXT, "info")
    sys.exit(asyncio.run(_run(settings, _Boundaries(life, deaths))))


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


async def _run(settings: Settings, boundaries: _Boundaries) -> int:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    client = await kubes.connect(settings.kubeconfig)
    client.observe(boundaries.request)
    try:
        return await main.serve(client, settings, stopping, boundaries.checkpoint)
    finally:
        await client.close()
