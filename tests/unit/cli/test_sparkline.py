"""Sparklines of measurements."""

from __future__ import annotations

import pytest

from rollouts.cli import sparkline


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["[0]", "[0.5]", "[1]"], "▁▅█"),
        (["1", "2", "3", "4", "5", "6", "7", "8"], "▁▂▃▄▅▆▇█"),
        (["0.9", "0.9", "0.9"], "▅▅▅"),
        (["1", "", "2"], "▁·█"),
        (["NaN", "[1,2]", "3", "4"], "··▁█"),
        (["1", "[+Inf]", "2", "[-Inf]"], "▁██▁"),
        (["1"], ""),
        (["", "a"], ""),
        ([], ""),
    ],
)
def test_bars(values: list[str], expected: str) -> None:
    assert sparkline.of_measurements([{"value": value} for value in values]) == expected


def test_a_measurement_without_a_value_is_a_gap() -> None:
    assert sparkline.of_measurements([{"value": "1"}, {"phase": "Error"}, {"value": "2"}]) == "▁·█"
