"""Jobs of metrics: their names, their bodies, and what their states mean."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.model import Metric, Phase
from rollouts.api.meta import Names, ObjectMeta
from rollouts.controller import jobs

UID = "0b7f6c1e-8a8e-4c53-9d3f-2f0c2f8d6c11"
RUN = ObjectMeta(name="run", namespace="shop", uid=UID)


@pytest.mark.parametrize(
    ("metric", "number", "expected"),
    [
        ("smoke", 1, f"{UID}.smoke.1"),
        ("Smoke", 12, f"{UID}.smoke.12"),
        ("a" * 60, 3, f"{UID}.{'a' * 24}.3"),
        ("a-very-long-name-of-met-ric", 10, f"{UID}.a-very-long-name-of-met.10"),
    ],
)
def test_a_name_fits_into_a_label(metric: str, number: int, expected: str) -> None:
    found = jobs.job_name(UID, metric, number)
    assert found == expected
    assert len(found) <= 63


def test_the_body_keeps_what_was_given_and_adds_owner_and_labels() -> None:
    spec = {
        "backoffLimit": 0,
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": []}},
    }
    metric = Metric("smoke", {"job": {"metadata": {"labels": {"team": "shop"}}, "spec": spec}})
    body = jobs.job_body(RUN, metric, "name", Names("rollouts.dev"))
    assert body["metadata"]["labels"] == {"team": "shop", "analysisrun.argoproj.io/uid": UID}
    (owner,) = body["metadata"]["ownerReferences"]
    assert (owner["apiVersion"], owner["kind"], owner["uid"]) == ("rollouts.dev/v1alpha1", "AnalysisRun", UID)
    pod = body["spec"]["template"]
    assert pod["metadata"]["labels"] == {"a": "b", "analysisrun.argoproj.io/uid": UID}
    assert pod["spec"] == {"containers": []}
    assert spec["template"] == {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": []}}


def condition(kind: str, status: str = "True", **more: str) -> dict[str, Any]:
    return {"status": {"conditions": [{"type": kind, "status": status, **more}]}}


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        ({}, None),
        (condition("Suspended"), None),
        (condition("Complete", "False"), None),
        (condition("FailureTarget", reason="x"), None),
        (condition("Complete"), (Phase.SUCCESSFUL, "")),
        (
            condition("Failed", reason="DeadlineExceeded", message="too long"),
            (Phase.FAILED, "the Job failed: DeadlineExceeded: too long"),
        ),
    ],
)
def test_what_a_job_says(job: dict[str, Any], expected: object) -> None:
    assert jobs.outcome(job) == expected


def pod(kind: str, reason: str) -> dict[str, Any]:
    waiting = {"name": "main", "state": {"waiting": {"reason": reason, "message": "why"}}}
    return {"metadata": {"name": "pod"}, "status": {kind: [waiting]}}


@pytest.mark.parametrize("kind", ["containerStatuses", "initContainerStatuses"])
@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName"])
def test_an_image_that_does_not_come_needs_a_person(kind: str, reason: str) -> None:
    expected = Phase.INCONCLUSIVE, f"pod pod, container main: {reason}: why"
    assert jobs.stuck([pod(kind, "PodInitializing"), pod(kind, reason)]) == expected


def test_other_waits_are_waited_for() -> None:
    assert jobs.stuck([pod("containerStatuses", "ContainerCreating"), {"metadata": {"name": "p"}}]) is None
