"""Which metric explains a verdict, in the words of its kind; statuses there and back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from analysis import model
from analysis.model import Measurement, Phase
from rollouts.api.meta import Names
from rollouts.api.parse import dump
from rollouts.controller import runs

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUERY = {"prometheus": {"query": "errors"}}


def body(
    metric: dict[str, Any], phase: str, *measurements: dict[str, Any], message: str = ""
) -> dict[str, Any]:
    result = {"name": "errors", "phase": phase, "message": message, "measurements": list(measurements)}
    return {
        "metadata": {"name": "run", "namespace": "shop", "uid": "u", "resourceVersion": "1"},
        "spec": {"metrics": [{"name": "errors", "provider": QUERY, **metric}]},
        "status": {"phase": phase, "metricResults": [result]},
    }


COMPARED = {"comparison": {"canary": "a", "control": "b", "totalQuery": "all", "minimumEffect": "0.01"}}
WORSE = {"phase": "Failed", "value": "0", "message": "canary is worse by +4 points"}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            body({"successCondition": "result < 1"}, "Failed", {"phase": "Failed", "value": "3"}),
            ("errors", "3", "result < 1"),
        ),
        (
            body({"successCondition": "result < 1"}, "Error", {"phase": "Error", "message": "HTTP 500"}),
            ("errors", "HTTP 500", "result < 1"),
        ),
        (
            body(COMPARED, "Failed", WORSE),
            ("errors", "canary is worse by +4 points", "confidence 0.95, minimumEffect 0.01"),
        ),
        (
            body(
                {"successCondition": "result < 1"},
                "Inconclusive",
                {"phase": "Pending"},
                message="no data 11 times",
            ),
            ("errors", "no data 11 times", "result < 1"),
        ),
    ],
)
def test_a_verdict_is_explained(found: dict[str, Any], expected: tuple[str, str, str]) -> None:
    store = runs.runs(Names(), "")
    store.put(found)
    (record,) = store
    verdict = record.value.view.decided_by
    assert verdict is not None
    assert (verdict.name, verdict.value, verdict.condition) == expected


def test_what_a_comparison_carries_survives_the_status() -> None:
    one = Measurement(Phase.SUCCESSFUL, "80", "so far", NOW, NOW, metadata={"evidence": "[1]", "score": "80"})
    result = model.MetricResult(
        "errors",
        Phase.RUNNING,
        count=1,
        successful=1,
        consecutive_no_data=2,
        measurements=(one,),
        metadata={"a": "b"},
    )
    assessment = model.RunAssessment(Phase.RUNNING, "", (result,), model.Summary(), model.Summary())
    status = runs.status_of(assessment, started_at=NOW, now=NOW)
    assert runs.results_of(status) == (result,)
    assert dump(status)["metricResults"][0]["measurements"][0]["metadata"] == {
        "evidence": "[1]",
        "score": "80",
    }
