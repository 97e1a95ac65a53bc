"""Starts and ends the processes of a sandbox, and nothing else.

A process is known by its id *and* its start time, so that a recycled id is never signalled. Each one leads
a session of its own: a Ctrl-C in the terminal does not reach it, and its children end with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Process:
    """A process that a sandbox started."""

    pid: int
    started: str


def spawn(argv: Sequence[str], *, env: Mapping[str, str], log: Path) -> Process:
    """Start a program in a session of its own; what it prints is appended to the log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        pid = os.posix_spawn(
            argv[0],
            list(argv),
            dict(env),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
            ],
            setsid=True,
        )
    finally:
        os.close(output)
    return Process(pid, _start_time(pid) or "")


def is_running(process: Process) -> bool:
    """Whether this very process still runs; a zombie does not."""
    if process.started and _start_time(process.pid) == process.started:
        return True
    # It is our child if this interpreter started it: collect it, else it would stay a zombie.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)
    return False


def stop(processes: Sequence[Process], *, grace_seconds: float) -> None:
    """End the processes and their children: first politely, then for certain."""
    _signal(processes, signal.SIGTERM)
    if not _ended(processes, within=grace_seconds):
        _signal(processes, signal.SIGKILL)
        _ended(processes, within=grace_seconds)


def kill(processes: Sequence[Process]) -> None:
    """End the processes at once, as a crash would."""
    _signal(processes, signal.SIGKILL)
    _ended(processes, within=10)


def _signal(processes: Sequence[Process], number: signal.Signals) -> None:
    for process in processes:
        if is_running(process):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)


def _ended(processes: Sequence[Process], *, within: float) -> bool:
    deadline = time.monotonic() + within
    while any(is_running(process) for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _start_time(pid: int) -> str | None:
    """An opaque mark that two processes with the same id do not share; None if there is no such process."""
    if Path("/proc/self/stat").exists():
        return _start_time_linux(pid)
    shown = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split(maxsplit=1)
    return shown[1].strip() if len(shown) == 2 and not shown[0].startswith("Z") else None


def _start_time_linux(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name may contain spaces and brackets; what follows the last bracket does not.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else fields[19]
