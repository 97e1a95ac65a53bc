"""Only what was started is ended, and it is ended for certain."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rollouts.sandbox import api, process
from rollouts.sandbox.process import Process

SLEEP = "import time; time.sleep(300)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(300)"
PARENT = (
    "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)']);"
    "print(child.pid, flush=True); time.sleep(300)"
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "one.log"


@pytest.fixture
def sleeper(log: Path) -> Iterator[Process]:
    started = python(SLEEP, log)
    yield started
    process.stop([started], grace_seconds=5)


def python(program: str, log: Path) -> Process:
    return process.spawn([sys.executable, "-c", program], env=os.environ, log=log)


def printed(log: Path) -> str:
    assert api.wait_until(lambda: "\n" in log.read_text(), seconds=30)
    return log.read_text()


def test_a_started_process_runs_in_a_session_of_its_own(sleeper: Process) -> None:
    assert process.is_running(sleeper)
    assert os.getsid(sleeper.pid) == sleeper.pid


def test_a_stopped_process_is_gone_and_no_zombie(sleeper: Process) -> None:
    process.stop([sleeper], grace_seconds=10)

    assert not process.is_running(sleeper)
    with pytest.raises(ProcessLookupError):
        os.kill(sleeper.pid, 0)


def test_a_process_that_ignores_the_polite_signal_is_ended_too(log: Path) -> None:
    stubborn = python(STUBBORN, log)
    printed(log)

    process.stop([stubborn], grace_seconds=0.2)

    assert not process.is_running(stubborn)


def test_children_end_with_their_parent(log: Path) -> None:
    parent = python(PARENT, log)
    child = int(printed(log))

    process.stop([parent], grace_seconds=10)

    assert api.wait_until(lambda: not runs(child), seconds=10)


def test_a_recycled_process_id_is_not_ours(sleeper: Process) -> None:
    recycled = dataclasses.replace(sleeper, started="another time")

    process.stop([recycled], grace_seconds=0.1)

    assert not process.is_running(recycled)
    assert process.is_running(sleeper)


def test_a_process_is_recognised_by_another_program_after_its_parent_died(log: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from rollouts.sandbox import process\n"
        f"one = process.spawn([sys.executable, '-c', {SLEEP!r}], env=os.environ, log=Path({str(log)!r}))\n"
        "print(one.pid, one.started)"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    pid, started = shown.split()
    orphan = Process(int(pid), started)

    assert process.is_running(orphan)
    process.stop([orphan], grace_seconds=10)
    assert not process.is_running(orphan)


def test_a_program_that_does_not_exist_says_so(log: Path) -> None:
    with pytest.raises(FileNotFoundError):
        process.spawn(["/nowhere/etcd"], env=os.environ, log=log)


def test_a_crashed_child_counts_as_ended(log: Path) -> None:
    crashed = python(SLEEP, log)
    os.kill(crashed.pid, signal.SIGKILL)

    assert api.wait_until(lambda: not process.is_running(crashed), seconds=10)


def runs(pid: int) -> bool:
    seen = process._inspect(pid)
    return seen is not None and not seen.is_zombie


def test_waiting_gives_up_in_time() -> None:
    before = time.monotonic()

    assert not api.wait_until(lambda: False, seconds=0.1)
    assert time.monotonic() - before >= 0.1
