"""What can be said of metrics before all of their arguments are known."""

from __future__ import annotations

from typing import Any

import pytest

from analysis import precheck
from analysis.errors import AnalysisError

PROMETHEUS = {"prometheus": {"query": "errors{app='{{args.app}}'}"}}
SIDES = {"prometheus": {"query": "errors{hash='{{comparison.variant}}'}"}}
KNOWN = {"app": "shop", "soon": "soon", "three": "3", "every": "30s"}
UNKNOWN = {"count", "limit", "interval", "latest", "stable", "confidence"}


def checked(**fields: Any) -> None:
    spec = {"name": "m", "provider": PROMETHEUS, "successCondition": "result[0] < 1", **fields}
    precheck.metrics([spec], KNOWN, UNKNOWN)


COMPARED = {
    "interval": "1m",
    "successCondition": "",
    "provider": SIDES,
    "comparison": {
        "canary": "{{args.latest}}",
        "control": "{{args.stable}}",
        "confidence": "{{args.confidence}}",
        "totalQuery": "all{hash='{{comparison.variant}}'}",
    },
}


@pytest.mark.parametrize(
    "fields",
    [
        {"interval": "{{args.every}}", "count": "{{args.three}}", "failureLimit": "{{ args.three }}"},
        {"interval": "{{args.interval}}", "initialDelay": "{{args.interval}}"},
        {"interval": "1m", "count": "{{args.count}}", "failureLimit": 3, "consecutiveSuccessLimit": 2},
        {"interval": "1m", "count": 3, "inconclusiveLimit": "{{args.limit}}"},
        {"interval": "1m", "count": 3, "failureLimit": -1, "consecutiveSuccessLimit": "{{args.limit}}"},
        {"successCondition": "result[0] >= {{args.limit}}"},
        COMPARED,
    ],
)
def test_what_may_come_right_is_no_fault(fields: dict[str, Any]) -> None:
    checked(**fields)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"interval": "{{args.soon}}"}, r'metrics\[0\].interval: "soon" is not a duration'),
        ({"interval": "1m", "count": "{{args.soon}}"}, "'soon' is not a whole number"),
        ({"interval": "1m", "count": 2, "failureLimit": "{{args.three}}"}, "2 is less than failureLimit"),
        ({"interval": "{{args.intervall}}"}, "args.intervall"),
        ({"successCondition": "result[0] >= {{args.limit}} )"}, "successCondition"),
        ({**COMPARED, "count": -1}, "-1 is negative"),
    ],
)
def test_what_never_comes_right_is_told(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(AnalysisError, match=problem):
        checked(**fields)
