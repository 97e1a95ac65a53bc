"""A sandbox comes up beside another, is found again, and leaves nothing behind."""

from __future__ import annotations

import os
import socketserver
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rollouts import sandbox
from rollouts.cli import sandbox as command
from rollouts.sandbox import Component, api, ports, process
from rollouts.sandbox import state as states

pytestmark = pytest.mark.e2e

API_AND_GIT = sandbox.API | {Component.GIT}


def pids(directory: Path) -> dict[Component, int]:
    state = states.load(directory / "state.json")
    assert state is not None
    return {name: one.pid for name, one in state.processes.items()}


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_two_run_side_by_side_and_each_ends_only_its_own(tmp_path: Path) -> None:
    with (
        sandbox.up(tmp_path / "a", wanted=API_AND_GIT) as first,
        sandbox.up(tmp_path / "b", wanted=API_AND_GIT) as second,
    ):
        before = pids(first.directory)
        assert first.api_url != second.api_url
        assert first.git_password != second.git_password

        first.down()

        assert not any(alive(pid) for pid in before.values())
        assert second.components == API_AND_GIT
        with api.Api(second.api_url, pki_of(second)) as server:
            assert server.is_ready()
    assert not any(alive(pid) for pid in pids(tmp_path / "b").values())


def test_a_second_up_uses_what_runs_and_starts_only_what_is_missing(tmp_path: Path) -> None:
    with sandbox.up(tmp_path, wanted=sandbox.API):
        before = pids(tmp_path)

        again = sandbox.up(tmp_path, wanted=API_AND_GIT)

        assert {name: pids(tmp_path)[name] for name in before} == before
        assert again.components == API_AND_GIT


def test_objects_survive_down_and_up(tmp_path: Path) -> None:
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}}
    with sandbox.up(tmp_path, wanted=sandbox.API) as first, api.Api(first.api_url, pki_of(first)) as server:
        server.create("/api/v1/namespaces/default/configmaps", config_map)

    with (
        sandbox.up(tmp_path, wanted=sandbox.API) as second,
        api.Api(second.api_url, pki_of(second)) as server,
    ):
        assert server.get("/api/v1/namespaces/default/configmaps/kept") is not None


def test_what_a_dead_program_left_running_is_ended_by_the_next(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from rollouts import sandbox\n"
        "sandbox.up(Path(sys.argv[1]), wanted=sandbox.API); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path / "one")], check=False)
    left = pids(tmp_path / "one")
    assert killed.returncode < 0
    assert all(alive(pid) for pid in left.values())

    sandbox.load(tmp_path / "one").down(remove=True)

    assert not any(alive(pid) and not is_zombie(pid) for pid in left.values())
    assert not (tmp_path / "one").exists()


def test_a_start_that_fails_says_which_step_and_why_and_leaves_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "bin"
    broken.mkdir()
    (broken / "kube-apiserver").write_text("#!/bin/sh\necho no such flag; exit 1\n")
    (broken / "kube-apiserver").chmod(0o755)

    with pytest.raises(sandbox.SandboxError, match="no such flag") as raised:
        sandbox.up(tmp_path / "one", wanted=sandbox.API, bin_dir=broken)

    assert raised.value.step == "Start kube-apiserver"
    assert "kube-apiserver.log" in raised.value.remedy
    assert sandbox.load(tmp_path / "one").components == frozenset()


def test_a_port_that_another_program_took_meanwhile_is_chosen_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socketserver.TCPServer((ports.LOOPBACK, 0), socketserver.BaseRequestHandler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        choices = [(*ports.find(5), other.server_address[1]), ports.find(6)]
        monkeypatch.setattr(ports, "find", lambda count: choices.pop(0))

        with sandbox.up(tmp_path, wanted=frozenset({Component.GIT})) as started:
            assert started.components == {Component.GIT}
            assert choices == []
        other.shutdown()


def test_the_command_line_brings_up_tells_and_ends(tmp_path: Path) -> None:
    runner, where = CliRunner(), ["--directory", str(tmp_path / "it's one")]
    assert runner.invoke(command.app, ["status", *where]).exit_code == 1

    up = runner.invoke(command.app, ["up", *where, "--preset", "api"])
    status = runner.invoke(command.app, ["status", *where, "-o", "json"])
    env = runner.invoke(command.app, ["env", *where])
    exported = subprocess.run(
        ["sh", "-c", f'{env.stdout}\nprintf %s "$KUBECONFIG"'], capture_output=True, text=True, check=True
    ).stdout
    made = runner.invoke(command.app, ["repository", "team/shop", *where])
    again = runner.invoke(command.app, ["repository", "team/shop", *where])
    down = runner.invoke(command.app, ["down", *where])

    assert (up.exit_code, status.exit_code, env.exit_code, down.exit_code) == (0, 0, 0, 0)
    assert made.stdout.endswith("/team/shop.git\n")
    assert made.stdout == again.stdout
    assert (tmp_path / "it's one" / "git" / "team" / "shop.git" / "HEAD").exists()
    assert '"kube-apiserver": true' in status.stdout
    assert '"prometheus": false' in status.stdout
    assert exported == str(tmp_path / "it's one" / "kubeconfig.yaml")
    assert runner.invoke(command.app, ["status", *where]).exit_code == 3


def is_zombie(pid: int) -> bool:
    seen = process._inspect(pid)
    return seen is not None and seen.is_zombie


def pki_of(started: sandbox.Sandbox) -> api.Pki:
    return api.Pki(started.directory / "pki")
