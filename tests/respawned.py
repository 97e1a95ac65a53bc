"""A controller in processes of its own, one after the other: killed with -9, it is started again.

Decides nothing about deaths: a `Witness` is called in the process and kills it where it likes. Called by
`tests.crashing_controller` and `tests.e2e.applications.killed`.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from rollouts import kube as kubes
from rollouts.controller import logs, main
from rollouts.controller.writes import Checkpoint, no_checkpoint
from rollouts.settings import LogFormat, Settings

# Processes are forked from one that has imported everything: a restart costs a few milliseconds.
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["pytest", "tests.respawned"])


@dataclass(frozen=True, slots=True)
class Witness:
    """What a process calls: before each request, and at each checkpoint."""

    request: Callable[[str, str], None]
    checkpoint: Checkpoint = no_checkpoint


@contextlib.asynccontextmanager
async def serving(settings: Settings, log: Path, witness: Callable[[], Witness]) -> AsyncIterator[None]:
    """Started again whenever it has died; stopped in good order at the end. `witness` is made in each process."""
    stopping = asyncio.Event()
    keeper = asyncio.create_task(_keep(settings, log, witness, stopping))
    try:
        yield
        assert not keeper.done(), f"the controller has ended by itself:\n{_last_words(log)}"
    finally:
        stopping.set()
        status = await keeper
    # Told to stop before it was up, a process ends as any program does.
    assert status in (0, -signal.SIGKILL, -signal.SIGTERM), (
        f"the controller ended with status {status}:\n{_last_words(log)}"
    )


async def _keep(
    settings: Settings, log: Path, witness: Callable[[], Witness], stopping: asyncio.Event
) -> int:
    """Start process after process until told to stop; the exit status of the last one."""
    while True:
        process = _forks.Process(target=_serve, args=(settings, log, witness), daemon=True)
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


def _serve(settings: Settings, log: Path, witness: Callable[[], Witness]) -> None:
    """What a process does."""
    words = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(words, 1)
    os.dup2(words, 2)
    logs.configure(LogFormat.TEXT, "info")
    sys.exit(asyncio.run(_run(settings, witness())))


async def _run(settings: Settings, witness: Witness) -> int:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    client = await kubes.connect(settings.kubeconfig)
    client.observe(witness.request)
    try:
        return await main.serve(client, settings, stopping, witness.checkpoint)
    finally:
        await client.close()


def _last_words(log: Path) -> str:
    return "".join(log.read_text().splitlines(keepends=True)[-40:])
