"""kubectl asks the plugin for the words that may come next."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def completed(*words: str, kubeconfig: Path) -> list[str]:
    program = "from rollouts.cli.completion import for_kubectl; for_kubectl()"
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        env={**os.environ, "KUBECONFIG": str(kubeconfig), "KUBERNETES_SERVICE_HOST": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["pro"], ["promote"]),
        (["app", "ret"], ["retry"]),
        (["get", "exp"], ["experiment"]),
        (["terminate", "exp"], ["experiment"]),
        (["get", "--outp"], ["--output"]),
    ],
)
def test_words_are_completed_and_files_are_not(tmp_path: Path, words: list[str], expected: list[str]) -> None:
    assert completed(*words, kubeconfig=tmp_path / "none") == [*expected, ":4"]


def test_a_name_without_a_cluster_is_no_answer_and_no_error(tmp_path: Path) -> None:
    assert completed("get", "", kubeconfig=tmp_path / "none") == [":4"]
