"""Words of `rollouts analysis` that cannot be obeyed are errors, and never verdicts."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from rollouts.cli.main import app

EXAMPLE = str(Path(__file__).parents[3] / "docs" / "examples" / "canary.yaml")
HASH = ["--arg", "hash=6f9c"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["-f", EXAMPLE], "args.hash has no value; give it with --arg NAME=VALUE"),
        (["-f", EXAMPLE, *HASH], "metric success-rate names no Prometheus; name one with --prometheus URL"),
        (["-f", EXAMPLE, *HASH, "--prometheus", "prom:9090"], "--prometheus prom:9090: write a URL such as"),
        (["-f", "none.yaml"], "none.yaml cannot be read"),
    ],
)
def test_what_cannot_be_measured_is_told_at_once_and_is_not_a_failed_analysis(
    words: list[str], told: str
) -> None:
    done = CliRunner().invoke(app, ["analysis", "run", *words])

    assert done.exit_code == 3
    assert done.output.startswith("error: ")
    assert told in done.output
