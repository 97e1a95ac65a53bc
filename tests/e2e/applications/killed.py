"""A controller of Applications that is killed with -9 right before each of its writes, once.

A process dies before a write, the next process is let through with it and dies before the one that follows: so
every place between two writes, a push to Git included, is a place where a process has died. Once a status is
written, its next version is another write, and so is what leads to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from rollouts import kube as kubes
from rollouts.controller import logs, main
from rollouts.settings import LogFormat, Settings

_DIED = "died before "
_STATUS = "/status"

# Processes are forked from one that has imported everything: a restart costs a few milliseconds.
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["pytest", "tests.e2e.applications.killed"])


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
    deaths, stopping = Deaths(directory), asyncio.Event()
    keeper = asyncio.create_task(_keep(settings, deaths, stopping))
    try:
        yield deaths
        assert not keeper.done(), f"the controller has ended by itself:\n{deaths.log.read_text()[-4000:]}"
    finally:
        stopping.set()
        status = await keeper
    assert status in (0, -signal.SIGKILL, -signal.SIGTERM), deaths.log.read_text()[-4000:]


async def _keep(settings: Settings, deaths: Deaths, stopping: asyncio.Event) -> int:
    """Start process after process until told to stop; the exit status of the last one."""
    while True:
        process = _forks.Process(target=_serve, args=(settings, deaths), daemon=True)
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


def _serve(settings: Settings, deaths: Deaths) -> None:
    """What a process does."""
    log = os.open(deaths.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    logs.configure(LogFormat.TEXT, "info")
    sys.exit(asyncio.run(_run(settings, deaths)))


async def _run(settings: Settings, deaths: Deaths) -> int:
    stopping, spared = asyncio.Event(), deaths.spared
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

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    client = await kubes.connect(settings.kubeconfig)
    client.observe(about_to)
    try:
        return await main.serve(client, settings, stopping)
    finally:
        await client.close()
