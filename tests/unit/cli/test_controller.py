"""Flags of the controller: what cannot be meant is said before anything starts."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from rollouts.cli import main as program


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--log-level", "loud"], ("--log-level", "loud", "warning")),
        (["--workers", "0"], ("--workers", "1")),
        (["--analysis-workers", "0"], ("--analysis-workers", "1")),
        (["--application-workers", "-2"], ("--application-workers", "1")),
        (["--max-concurrent-rollouts", "-1"], ("--max-concurrent-rollouts", "0")),
        (["--resync-seconds", "0"], ("--resync-seconds", "1")),
        (["--metrics-address", "8090"], ("--metrics-address", "8090 is not an address", ":8080")),
        (["--health-address", ":http"], ("--health-address", ":http is not an address")),
        (["--webhook-address", ":99999"], ("--webhook-address", ":99999 is not an address")),
        (["--webhook-address", ":8070"], ("--webhook-address", "--webhook-secret-file")),
        (["--prometheus-address", "prometheus:9090"], ("--prometheus-address", "http://prometheus:9090")),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_with_a_remedy(
    flags: list[str], told: tuple[str, ...]
) -> None:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(program.app, ["controller", *flags])

    assert done.exit_code == 2
    assert [text for text in told if text not in done.output] == []
