"""The program itself: its words, and what an error looks like."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rollouts.cli import main as program


def test_every_word_has_a_help_of_its_own() -> None:
    runner = CliRunner()

    told = {
        word: runner.invoke(program.app, [word, "--help"]) for word in (*program._VERBS, *program._GROUPS)
    }

    assert {word: result.exit_code for word, result in told.items() if result.exit_code} == {}


def test_the_help_names_every_word() -> None:
    shown = CliRunner().invoke(program.app, ["--help"]).output

    assert [word for word in (*program._VERBS, *program._GROUPS) if f" {word} " not in shown] == []


def test_an_unknown_word_is_wrong_usage() -> None:
    assert CliRunner().invoke(program.app, ["deploy"]).exit_code == 2


def test_an_error_is_one_line_without_a_traceback(tmp_path: Path) -> None:
    words = ["get", "web", "--kubeconfig", str(tmp_path / "none")]

    done = subprocess.run(
        [sys.executable, "-m", "rollouts", *words], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: kubeconfig ")
    assert len(done.stderr.splitlines()) == 1


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")

    with pytest.raises(program.CliError, match=f"^--directory {file} cannot be written: "):
        CliRunner().invoke(program.app, ["crds", "--directory", str(file)], catch_exceptions=False)


def test_a_package_that_is_not_there_is_told_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    for module in [m for m in sys.modules if m.startswith(("rollouts.sandbox", "rollouts.cli.sandbox"))]:
        monkeypatch.delitem(sys.modules, module)

    with pytest.raises(program.CliError, match=r"needs the package cryptography.*rollouts\[sandbox\]"):
        program._loaded("sandbox")


def test_asking_for_help_does_not_import_what_verbs_need() -> None:
    heavy = "kubernetes|kopf|httpx|scipy|lark"
    script = (
        "import re, sys; from rollouts.cli.main import app\n"
        "try: app(['promote', '--help'])\n"
        "except SystemExit: pass\n"
        f"print('loaded', [m for m in sys.modules if re.fullmatch('{heavy}', m)])"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "loaded []"
