"""Verdicts and limits that argo-rollouts is known to have, one row each: ours are the same.

Facts of its behaviour (analysis, utils/analysis), in tables of our own.
"""

from __future__ import annotations

from typing import Any

import pytest

from analysis import judge, parse
from analysis.errors import SpecError
from analysis.model import MetricResult, Phase
from tests.unit.analysis.make import measurement, metric

S, F, I, E, R = Phase.SUCCESSFUL, Phase.FAILED, Phase.INCONCLUSIVE, Phase.ERROR, Phase.RUNNING  # noqa: E741
FREE = {"failure_limit": -1, "consecutive_success_limit": 3}
FOUR = {"failure_limit": 4, "consecutive_success_limit": 4}

# metric; failed, successful, inconclusive, errors in a row, successes in a row, count; running, then terminated
VERDICTS: list[tuple[dict[str, Any], tuple[int, int, int, int, int, int], Phase, Phase]] = [
    ({"failure_limit": 2}, (3, 0, 0, 0, 0, 3), F, F),
    ({"failure_limit": 3}, (3, 0, 0, 0, 0, 3), R, S),
    # failures never decide, successes in a row do
    (FREE, (3, 4, 0, 0, 3, 7), S, S),
    ({**FREE, "consecutive_success_limit": 5}, (3, 4, 0, 0, 3, 7), R, S),
    ({**FREE, "consecutive_success_limit": 5, "count": 7}, (3, 4, 0, 0, 3, 7), F, F),
    ({**FREE, "count": 7}, (3, 4, 0, 0, 3, 7), S, S),
    ({**FREE, "count": 9}, (3, 4, 0, 0, 3, 7), S, S),
    ({**FREE, "consecutive_success_limit": 5, "count": 9}, (3, 4, 0, 0, 3, 7), R, S),
    # both decide, failures first
    (FOUR, (3, 4, 0, 0, 3, 7), R, S),
    (FOUR, (5, 9, 0, 0, 0, 9), F, F),
    (FOUR, (3, 5, 0, 0, 4, 8), S, S),
    (FOUR, (5, 5, 0, 0, 4, 10), F, F),
    ({**FOUR, "count": 10}, (4, 6, 0, 0, 3, 10), I, I),
    ({**FOUR, "count": 10}, (5, 5, 0, 0, 3, 10), F, F),
    ({**FOUR, "count": 10}, (4, 6, 0, 0, 4, 10), S, S),
    ({**FOUR, "count": 10}, (3, 5, 0, 0, 3, 8), R, S),
    ({**FOUR, "count": 10}, (5, 3, 0, 0, 3, 8), F, F),
    ({**FOUR, "count": 10}, (3, 5, 0, 0, 4, 8), S, S),
    ({**FOUR, "count": 10}, (5, 4, 0, 0, 4, 9), F, F),
    # doubtful ones, and errors in a row
    ({"inconclusive_limit": 2}, (0, 0, 3, 0, 0, 3), I, I),
    ({"inconclusive_limit": 3}, (0, 0, 3, 0, 0, 3), R, S),
    ({}, (0, 0, 0, 5, 0, 5), E, E),
    ({}, (0, 0, 0, 4, 0, 5), R, S),
    # the count is reached
    ({"count": 10}, (0, 10, 0, 0, 10, 10), S, S),
    ({"count": 10}, (0, 5, 5, 0, 0, 10), I, I),
]


@pytest.mark.parametrize("row", VERDICTS, ids=str)
def test_a_verdict(row: tuple[dict[str, Any], tuple[int, int, int, int, int, int], Phase, Phase]) -> None:
    fields, (failed, successful, inconclusive, errors, in_a_row, count), running, terminated = row
    subject = metric(**fields)
    result = MetricResult(
        subject.name,
        R,
        count=count,
        successful=successful,
        failed=failed,
        inconclusive=inconclusive,
        consecutive_error=errors,
        consecutive_success=in_a_row,
        measurements=(measurement("S"),),
    )

    assert judge.assess_metric(subject, result).phase is running
    assert judge.assess_metric(subject, result, terminating=True).phase is terminated


# fields of one metric with a provider -> the field that is told, or none
METRICS: list[tuple[dict[str, Any], str]] = [
    ({"count": 1, "failureLimit": 2}, "count"),
    ({"count": 0, "failureLimit": 2}, ""),
    ({"count": 1, "inconclusiveLimit": 2}, "count"),
    ({"count": 0, "inconclusiveLimit": 2}, ""),
    ({"count": 2, "interval": "60s", "failureLimit": 2}, ""),
    ({"count": 2, "interval": "60s-typo"}, "interval"),
    ({"count": 2, "interval": "60s", "initialDelay": "60s-typo"}, "initialDelay"),
    ({"count": 2}, "interval"),
    ({"failureLimit": -2}, "failureLimit"),
    ({"inconclusiveLimit": -1}, "inconclusiveLimit"),
    ({"consecutiveErrorLimit": -1}, "consecutiveErrorLimit"),
    ({"consecutiveSuccessLimit": -1}, "consecutiveSuccessLimit"),
    ({"consecutiveSuccessLimit": 0, "failureLimit": -1}, "failureLimit"),
    ({"consecutiveSuccessLimit": 1, "failureLimit": -1}, ""),
    ({"count": 4, "interval": "1s", "consecutiveSuccessLimit": 3, "failureLimit": 2}, "count"),
    ({"count": 5, "interval": "1s", "consecutiveSuccessLimit": 3, "failureLimit": 2}, ""),
    ({"count": 2, "interval": "1s", "consecutiveSuccessLimit": 3, "failureLimit": -1}, "count"),
    ({"provider": {}}, "provider"),
    ({"provider": {"prometheus": {"query": "up"}, "web": {"url": "http://a"}}}, "provider"),
]


def told(*specs: dict[str, Any], **rules: Any) -> str:
    try:
        parse.metrics(
            [{"name": "rate", "provider": {"prometheus": {"query": "up"}}, **s} for s in specs], **rules
        )
    except SpecError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("fields", "field"), METRICS, ids=str)
def test_a_metric(fields: dict[str, Any], field: str) -> None:
    assert told(fields).startswith(f"metrics[0].{field}" if field else "")
    assert bool(told(fields)) is bool(field)


def test_metrics_and_the_rules_about_them() -> None:
    assert told().startswith("metrics")
    assert told({}, {}).startswith("metrics[1].name")
    assert told({}, dry_run=["other"]).startswith("dryRun[0].metricName")
    assert told({}, dry_run=["ra.*", "*"]) == ""
    assert told({}, retention=[("other", 5)]).startswith("measurementRetention[0].metricName")
    assert told({}, retention=[("rate", 5)]) == ""
