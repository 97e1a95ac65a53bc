"""A controller in a process of its own that dies at a chosen boundary, as `kill -9` ends it.

A boundary is a place between two writes: right after each write of a Rollout's plan (its checkpoints) and
right before each write about an AnalysisRun. Every process notes the boundaries that it passes in a file, so
that a test can count them in a run that nobody disturbs and then die at each of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import multiprocessing
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterable
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
        return tuple(self.trace.read_text().splitlines()) if self.trace.exists() else ()

    @property
    def deaths(self) -> tuple[str, ...]:
        """Those at which a process died."""
        return tuple(b.removesuffix(_KILLED) for b in self.boundaries if b.endswith(_KILLED))

    @property
    def last_words(self) -> str:
        return "".join(self.log.read_text().splitlines(keepends=True)[-40:])


@contextlib.asynccontextmanager
async def kept_running(
    settings: Settings, directory: Path, deaths: Iterable[int] = ()
) -> AsyncIterator[Life]:
    """A controller that is started again whenever it dies: at the n-th boundary that it passes, one n a
    process; when the numbers are used up it lives. Stopped in good order at the end."""
    life = Life(directory)
    stopping = asyncio.Event()
    keeper = asyncio.create_task(_keep(settings, life, stopping, iter(deaths)))
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


async def _keep(settings: Settings, life: Life, stopping: asyncio.Event, deaths: Iterable[int]) -> int:
    """Start process after process until told to stop; the exit status of the last one."""
    for dies_at in itertools.chain(deaths, itertools.repeat(0)):
        process = _forks.Process(target=_serve, args=(settings, life, dies_at), daemon=True)
        process.start()
        status = await _end_of(process, stopping)
        if stopping.is_set() or status != -signal.SIGKILL:
            return status
    raise AssertionError("it is started for ever")


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


def _serve(settings: Settings, life: Life, dies_at: int) -> None:
    """What a process of ours does."""
    log = os.open(life.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    logs.configure(LogFormat.TEXT, "info")
    sys.exit(asyncio.run(_run(settings, _Boundaries(life.trace, dies_at))))


class _Boundaries:
    """Counts boundaries, notes them, and dies at the one that was chosen (0: at none)."""

    def __init__(self, trace: Path, dies_at: int) -> None:
        self._trace = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._dies_at = dies_at
        self._passed = 0

    def checkpoint(self, name: str) -> None:
        # Where a plan starts, nothing was written since the last boundary.
        if name != _START_OF_PLAN:
            self._pass(name)

    def request(self, method: str, path: str) -> None:
        if method != "GET" and "/analysisruns/" in path and path.endswith("/status"):
            self._pass("AnalysisRun")

    def _pass(self, name: str) -> None:
        self._passed += 1
        dies = self._passed == self._dies_at
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
