"""Health by CEL expressions of the user's."""

from __future__ import annotations

from typing import Any

import pytest

from rollouts.api.application import HealthCheckExpr
from rollouts.api.application_status import FailureReason, HealthStatus
from rollouts.errors import SpecError
from rollouts.gitops.resources import expressions, live
from tests.unit.gitops.builders import NAMES, applied

READY = "status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'True')"
SEEN = "status.observedGeneration == metadata.generation"
RULE = HealthCheckExpr(
    "cache.example.com/v1",
    "Cache",
    current=f"has(status.conditions) && {SEEN} && {READY}",
    in_progress="status.phase == 'Moving'",
    failed="status.phase == 'Broken'",
)


def cache(**status: Any) -> dict[str, Any]:
    body = {
        "apiVersion": "cache.example.com/v1",
        "kind": "Cache",
        "metadata": {"name": "a", "namespace": "prod", "generation": 2},
        "spec": {"size": 3, "ratio": 0.5, "on": True, "none": None},
    }
    return {**body, "status": status} if status else body


def condition(status: str) -> list[dict[str, str]]:
    return [{"type": "Ready", "status": status}, {"type": "Other", "status": "False"}]


@pytest.mark.parametrize(
    ("body", "health"),
    [
        (cache(), HealthStatus.PROGRESSING),
        (cache(observedGeneration=2, conditions=condition("True")), HealthStatus.HEALTHY),
        (cache(observedGeneration=1, conditions=condition("True")), HealthStatus.PROGRESSING),
        (cache(observedGeneration=2, conditions=condition("False")), HealthStatus.PROGRESSING),
        (cache(observedGeneration=2, conditions=condition("True"), phase="Moving"), HealthStatus.PROGRESSING),
        (cache(observedGeneration=2, conditions=condition("True"), phase="Broken"), HealthStatus.DEGRADED),
        (cache(observedGeneration="two", conditions="none"), HealthStatus.PROGRESSING),
    ],
)
def test_how_an_object_is(body: dict[str, Any], health: HealthStatus) -> None:
    assert expressions.judged(RULE, body).status is health


def test_a_failed_object_will_not_get_better_by_waiting() -> None:
    found = expressions.judged(RULE, cache(phase="Broken"))

    assert found.failure is FailureReason.HEALTH_CHECK_FAILED
    assert found.message == "failed is true: status.phase == 'Broken'"


def test_an_object_that_is_too_large_is_not_looked_at() -> None:
    assert expressions.judged(RULE, cache(blob="x" * 300_000)).status is HealthStatus.UNKNOWN


def test_what_is_not_a_boolean_is_not_true() -> None:
    rule = HealthCheckExpr("cache.example.com/v1", "Cache", current="spec.size")

    assert expressions.judged(rule, cache()).status is HealthStatus.PROGRESSING


def test_rules_are_for_one_kind_and_go_before_the_built_in_ones() -> None:
    body = applied(cache(observedGeneration=1, conditions=condition("False")), version="7")

    assert live.trim(body, NAMES).health.status is not HealthStatus.HEALTHY
    always = HealthCheckExpr("cache.example.com/v1", "Cache", current="true")
    other = HealthCheckExpr("cache.example.com/v2", "Cache", current="true")
    assert live.trim(body, NAMES, (always,)).health.status is HealthStatus.HEALTHY
    assert live.trim(body, NAMES, (other,)).health.status is not HealthStatus.HEALTHY


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("status.x ==", "is not a CEL expression"),
        ("x" * 1025, "is longer than 1024 characters"),
        ("spec.list.all(a, spec.list.exists(b, a == b))", "has a loop within a loop"),
        ("spec.list.map(a, spec.list.filter(b, a == b)).size() > 3", "has a loop within a loop"),
    ],
)
def test_an_expression_that_cannot_be_evaluated(text: str, problem: str) -> None:
    with pytest.raises(SpecError, match=problem) as error:
        expressions.check(
            HealthCheckExpr("v1", "Thing", current="true", failed=text), "spec.healthCheckExprs[0]"
        )

    assert error.value.path == "spec.healthCheckExprs[0].failed"


def test_loops_one_after_the_other_are_fine() -> None:
    expressions.check(RULE, "x")
