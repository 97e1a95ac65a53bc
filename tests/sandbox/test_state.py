"""What a sandbox remembers survives, whole, and only its owner can read it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rollouts.sandbox import state
from rollouts.sandbox.components import Component
from rollouts.sandbox.errors import SandboxError
from rollouts.sandbox.process import Process
from rollouts.sandbox.state import Ports, State

STATE = State(
    ports=Ports(etcd=1, etcd_peer=2, api_server=3, prometheus=4, traffic=5, git=6),
    git_username="git",
    git_password="secret",
    git_https=False,
    nodes=4,
    processes={Component.ETCD: Process(pid=17, started="12345")},
)


def test_state_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    state.save(tmp_path / "state.json", STATE)

    assert state.load(tmp_path / "state.json") == STATE


def test_state_is_private_for_it_holds_the_git_password(tmp_path: Path) -> None:
    state.save(tmp_path / "state.json", STATE)

    assert (tmp_path / "state.json").stat().st_mode & 0o077 == 0


def test_no_state_is_none(tmp_path: Path) -> None:
    assert state.load(tmp_path / "state.json") is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"ports": {}}', '{"processes": {"cow": {}}}'])
def test_a_file_that_is_no_state_is_named_with_a_remedy(tmp_path: Path, content: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(content)

    with pytest.raises(SandboxError, match=r"is not the state of a sandbox.*--directory") as raised:
        state.load(path)
    assert str(path) in raised.value.step


def test_the_lock_makes_a_second_process_wait_and_ends_with_its_holder(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    program = (
        "import sys; from pathlib import Path; from rollouts.sandbox import state\n"
        "with state.exclusive(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        waiter = subprocess.Popen(
            [sys.executable, "-c", program, str(lock)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        holder.kill()  # a crash releases it

    assert waiter.communicate(timeout=30)[0] == "held\n"
