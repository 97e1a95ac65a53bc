"""The spec of metrics as written -> metrics, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from analysis import durations, parse
from analysis.errors import SpecError
from analysis.model import Metric
from tests.unit.analysis.make import seconds

PROMETHEUS = {"prometheus": {"query": "up"}}


def spec(**fields: Any) -> dict[str, Any]:
    return {"name": "m", "provider": PROMETHEUS, **fields}


def test_absent_fields_have_the_peers_defaults() -> None:
    assert parse.metrics([spec()]) == (
        Metric(
            name="m",
            provider=PROMETHEUS,
            interval=None,
            initial_delay=None,
            count=None,
            success_condition=None,
            failure_condition=None,
            failure_limit=0,
            inconclusive_limit=0,
            consecutive_error_limit=4,
            consecutive_success_limit=0,
            dry_run=False,
            measurement_retention=10,
        ),
    )


def test_every_field_is_read_and_numbers_may_be_text() -> None:
    written = spec(
        interval="1m30s",
        initialDelay="500ms",
        count="10",
        successCondition="result[0] > 1",
        failureCondition="result[0] < 0",
        failureLimit="2",
        inconclusiveLimit=3,
        consecutiveErrorLimit=0,
        consecutiveSuccessLimit="5",
    )
    assert parse.metrics([written]) == (
        Metric(
            name="m",
            provider=PROMETHEUS,
            interval=seconds(90),
            initial_delay=seconds(0.5),
            count=10,
            success_condition="result[0] > 1",
            failure_condition="result[0] < 0",
            failure_limit=2,
            inconclusive_limit=3,
            consecutive_error_limit=0,
            consecutive_success_limit=5,
        ),
    )


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"name": ""}, "metrics[0].name", "is missing"),
    ({"provider": {}}, "metrics[0].provider", "names no provider"),
    ({"provider": None}, "metrics[0].provider", "names no provider"),
    ({"provider": {"prometheus": {}, "web": {}}}, "metrics[0].provider", "names 2 providers"),
    ({"interval": "soon"}, "metrics[0].interval", '"soon" is not a duration'),
    ({"interval": "5d"}, "metrics[0].interval", '"5d" is not a duration'),
    ({"interval": 5.5}, "metrics[0].interval", '"5.5" is not a duration'),
    ({"interval": True}, "metrics[0].interval", '"True" is not a duration'),
    ({"interval": "-1m"}, "metrics[0].interval", "is negative"),
    ({"initialDelay": "1x"}, "metrics[0].initialDelay", "is not a duration"),
    ({"count": "many"}, "metrics[0].count", "is not a whole number"),
    ({"count": 1.5}, "metrics[0].count", "is not a whole number"),
    ({"count": True}, "metrics[0].count", "is not a whole number"),
    ({"count": -1}, "metrics[0].count", "is negative"),
    ({"count": 2}, "metrics[0].interval", "is missing, and count is 2"),
    ({"successCondition": 5}, "metrics[0].successCondition", "is not a string"),
    ({"successCondition": "result[0] >="}, "metrics[0].successCondition", "ends too early"),
    ({"failureCondition": "reslt > 1"}, "metrics[0].failureCondition", "did you mean result?"),
    ({"failureCondition": "1 + 1"}, "metrics[0].failureCondition", "true or false"),
    ({"failureLimit": -2}, "metrics[0].failureLimit", "-2 is negative"),
    ({"failureLimit": -1}, "metrics[0].failureLimit", "lets no measurement decide"),
    ({"inconclusiveLimit": -1}, "metrics[0].inconclusiveLimit", "-1 is negative"),
    ({"consecutiveErrorLimit": -1}, "metrics[0].consecutiveErrorLimit", "-1 is negative"),
    ({"consecutiveSuccessLimit": -1}, "metrics[0].consecutiveSuccessLimit", "-1 is negative"),
    ({"count": 3, "interval": "1m", "failureLimit": 4}, "metrics[0].count", "less than failureLimit"),
    (
        {"count": 3, "interval": "1m", "failureLimit": 1, "consecutiveSuccessLimit": 3},
        "metrics[0].count",
        "consecutiveSuccessLimit (4)",
    ),
    ({"count": 1, "inconclusiveLimit": 2}, "metrics[0].count", "less than inconclusiveLimit (2)"),
]


@pytest.mark.parametrize(("fields", "path", "problem"), WRONG)
def test_a_wrong_field_is_named_with_its_problem(fields: dict[str, Any], path: str, problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse.metrics([spec(**fields)])
    assert caught.value.path == path
    assert problem in caught.value.problem
    assert caught.value.remedy


@pytest.mark.parametrize("written", [90, "90", "90s", "1m30s"])
def test_a_duration_may_be_seconds(written: object) -> None:
    assert parse.metrics([spec(interval=written)])[0].interval == seconds(90)


def test_failures_may_be_switched_off_if_successes_in_a_row_decide() -> None:
    (found,) = parse.metrics([spec(failureLimit=-1, consecutiveSuccessLimit=2)])
    assert (found.failure_limit, found.consecutive_success_limit) == (-1, 2)


def test_no_metrics_and_equal_names_are_refused() -> None:
    with pytest.raises(SpecError, match="there is none"):
        parse.metrics([])
    with pytest.raises(SpecError, match=r'metrics\[1\]\.name: "m" occurs twice'):
        parse.metrics([spec(), spec()])


THREE = [spec(name="latency-p50"), spec(name="latency-p99"), spec(name="errors")]


@pytest.mark.parametrize(
    ("pattern", "chosen"),
    [
        ("errors", {"errors"}),
        ("latency", {"latency-p50", "latency-p99"}),
        ("^latency-p9.$", {"latency-p99"}),
        ("*", {"latency-p50", "latency-p99", "errors"}),
    ],
)
def test_dry_run_and_retention_choose_by_name_pattern_or_star(pattern: str, chosen: set[str]) -> None:
    found = parse.metrics(THREE, dry_run=[pattern], retention=[(pattern, 25)])
    assert {m.name for m in found if m.dry_run} == chosen
    assert {m.name for m in found if m.measurement_retention == 25} == chosen


def test_a_retention_of_none_is_that_of_the_default() -> None:
    assert {m.measurement_retention for m in parse.metrics(THREE, retention=[("*", 0)])} == {10}


@pytest.mark.parametrize(
    ("pattern", "problem"), [("nothing", "matches no metric"), ("(", "is not a regular expression")]
)
def test_a_pattern_without_effect_is_an_error(pattern: str, problem: str) -> None:
    with pytest.raises(SpecError, match=problem):
        parse.metrics(THREE, dry_run=[pattern])
    with pytest.raises(SpecError, match=problem):
        parse.metrics(THREE, retention=[(pattern, 5)])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("30s", 30),
        ("1h2m3s", 3723),
        ("1.5h", 5400),
        (".5m", 30),
        ("250ms", 0.25),
        ("-5s", -5),
        ("+5s", 5),
    ],
)
def test_durations_are_read_as_go_writes_them(text: str, expected: float) -> None:
    assert durations.parse(text) == seconds(expected)


@pytest.mark.parametrize(
    "text", ["", "5", "s", "5 s", "5d", "1h-5m", "1e3s", "٣s", "9" * 40 + "h", "1s" * 40]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        durations.parse(text)
