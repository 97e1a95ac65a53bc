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
    seen = _inspect(pid)
    return Process(pid, seen.started if seen else "")


def is_running(process: Process) -> bool:
    """Whether this very process still runs; a zombie does not."""
    seen = _inspect(process.pid)
    if seen is None or seen.started != process.started:
        return False
    return not seen.is_zombie or not _collect(process.pid)


def stop(processes: Sequence[Process], *, grace_seconds: float) -> None:
    """End the processes and their children: first politely, then for certain."""
    _signal(processes, signal.SIGTERM)
    if not _ended(processes, within=grace_seconds):
        _signal(processes, signal.SIGKILL)
        _ended(processes, within=grace_seconds)


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


@dataclass(frozen=True, slots=True)
class _Seen:
    started: str
    is_zombie: bool


def _collect(pid: int) -> bool:
    """Whether a zombie is done for; one that this interpreter started is collected, else it would stay."""
    try:
        collected, _ = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return True
    # Not yet: the first thread has ended, others of the same process still do.
    return collected == pid


def _inspect(pid: int) -> _Seen | None:
    """A process as the system shows it; its start time is a mark that no other process of that id shares."""
    if Path("/proc/self/stat").exists():
        return _inspect_linux(pid)
    shown = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split(maxsplit=1)
    return _Seen(shown[1].strip(), shown[0].startswith("Z")) if len(shown) == 2 else None


def _inspect_linux(pid: int) -> _Seen | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name may contain spaces and brackets; what follows the last bracket does not.
    fields = stat.rpartition(")")[2].split()
    return _Seen(fields[19], fields[0] in {"Z", "X"})
