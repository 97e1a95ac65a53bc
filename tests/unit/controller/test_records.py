"""API objects as the stores keep them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from rollouts.api.analysis import AnalysisPhase
from rollouts.api.meta import Names
from rollouts.api.rollout_status import Phase
from rollouts.controller import records, runs
from rollouts.controller.cache import Key
from rollouts.controller.experiments.records import experiments
from rollouts.controller.records import KnownRollout, Malformed
from rollouts.controller.runs import KnownRun
from rollouts.delivery.snapshot import ExperimentPods, MetricVerdict, ReplicaSet
from tests.api import harness

KEY = Key("shop", "web")


def stored(body: dict[str, Any], *, version: int = 1, generation: int = 1, **extra: Any) -> dict[str, Any]:
    metadata = {
        "namespace": "shop",
        "uid": "u1",
        "resourceVersion": str(version),
        "generation": generation,
        "creationTimestamp": "2026-01-01T12:00:00Z",
    }
    return {**body, **extra, "metadata": {**metadata, **body["metadata"]}}


def rollout_after(*bodies: dict[str, Any]) -> KnownRollout | Malformed:
    store = records.rollouts(Names(), "")
    for body in bodies:
        store.put(body)
    record = store.get(KEY)
    assert record is not None
    return record.value


def run_of(body: dict[str, Any]) -> KnownRun:
    store = runs.runs(Names(), "")
    store.put(stored(body))
    record = store.get(Key("shop", body["metadata"]["name"]))
    assert record is not None
    return record.value


def test_a_rollout_is_parsed_with_its_template() -> None:
    known = rollout_after(stored(harness.rollout()))

    assert isinstance(known, KnownRollout)
    assert known.rollout.spec.replicas == 3
    assert known.template.hash
    assert known.template.digest


def test_an_unchanged_generation_is_not_parsed_again() -> None:
    store = records.rollouts(Names(), "")
    store.put(stored(harness.rollout()))
    first = store.get(KEY)
    store.put(stored(harness.rollout(), version=2, status={"phase": "Healthy"}))
    second = store.get(KEY)

    assert first is not None
    assert second is not None
    assert isinstance(first.value, KnownRollout)
    assert isinstance(second.value, KnownRollout)
    assert second.value.rollout.spec is first.value.rollout.spec
    assert second.value.rollout.status.phase is Phase.HEALTHY


def test_a_collision_changes_the_hash() -> None:
    before = rollout_after(stored(harness.rollout()))
    after = rollout_after(
        stored(harness.rollout()), stored(harness.rollout(), version=2, status={"collisionCount": 1})
    )

    assert isinstance(before, KnownRollout)
    assert isinstance(after, KnownRollout)
    assert after.template.hash != before.template.hash
    assert after.template.digest == before.template.digest


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"replicas": "three"}, "spec.replicas"),
        ({"strategy": {"canary": {"steps": [{"setWeigth": 5}]}}}, "spec.strategy.canary.steps[0].setWeigth"),
    ],
)
def test_a_rollout_that_does_not_parse_is_kept_with_the_path_of_its_fault(
    spec: dict[str, Any], path: str
) -> None:
    body = harness.rollout()
    known = rollout_after(stored({**body, "spec": {**body["spec"], **spec}}, status={"phase": "Healthy"}))

    assert isinstance(known, Malformed)
    assert known.error.path == path
    assert known.status.phase is Phase.HEALTHY


def test_a_malformed_quantity_in_the_pod_template_is_a_fault_of_the_spec() -> None:
    body = harness.rollout()
    body["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"memory": "invalid"}}

    known = rollout_after(stored(body))

    assert isinstance(known, Malformed)
    assert "memory" in known.error.path


def test_a_status_that_another_program_wrote_is_read_as_far_as_it_goes() -> None:
    status = {"phase": "Sleeping", "stableRS": "abc", "alb": {}, "currentStepIndex": 2}

    known = rollout_after(stored(harness.rollout(), status=status))

    assert isinstance(known, KnownRollout)
    assert known.status.phase is None
    assert (known.status.stable_rs, known.status.current_step_index) == ("abc", 2)


def replica_set(**status: Any) -> ReplicaSet:
    store = records.replica_sets(Names())
    body = {
        "metadata": {
            "name": "web-abc",
            "labels": {"rollouts-pod-template-hash": "abc"},
            "annotations": {
                "rollout.rollouts.dev/revision": "7",
                "rollout.rollouts.dev/desired-replicas": "many",
                "scale-down-deadline": "soon",
            },
        },
        "spec": {"replicas": 2, "template": harness.rollout()["spec"]["template"]},
        "status": status,
    }
    store.put(stored(body, generation=3))
    record = store.get(Key("shop", "web-abc"))
    assert record is not None
    return record.value


def test_annotations_that_people_broke_count_as_absent() -> None:
    found = replica_set()

    assert found.revision == 7
    assert found.desired_replicas is None
    assert found.scale_down_deadline is None


def test_a_replica_set_is_observed_when_its_controller_has_seen_the_latest_spec() -> None:
    assert not replica_set(observedGeneration=2).observed
    assert replica_set(observedGeneration=3).observed


def test_a_quota_that_forbids_pods_is_read_from_the_condition() -> None:
    condition = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}

    assert replica_set(conditions=[condition]).failure == "exceeded quota"


def test_the_digest_of_a_set_is_that_of_its_rollout() -> None:
    known = rollout_after(stored(harness.rollout()))

    assert isinstance(known, KnownRollout)
    assert replica_set().template_digest == known.template.digest


METRIC = {
    "name": "success-rate",
    "successCondition": "result[0] >= 0.95",
    "provider": {"prometheus": {"query": "up"}},
}


def analysis_run(status: dict[str, Any], **spec: Any) -> dict[str, Any]:
    labels = {"rollout-type": "Step", "step-index": "2", "rollouts-pod-template-hash": "abc"}
    metadata = {"name": "web-abc-1-2", "labels": labels}
    return {"metadata": metadata, "spec": {"metrics": [METRIC], **spec}, "status": status}


def test_a_failed_run_says_which_metric_and_value_decided() -> None:
    measurements = [{"phase": "Successful", "value": "[1]"}, {"phase": "Failed", "value": "[0.8]"}]
    result = {"name": "success-rate", "phase": "Failed", "measurements": measurements}

    known = run_of(analysis_run({"phase": "Failed", "metricResults": [result]}))

    assert known.view.decided_by == MetricVerdict("success-rate", "[0.8]", "result[0] >= 0.95")
    assert (known.view.type, known.view.step_index) == ("Step", 2)


def test_of_a_completed_run_only_the_verdict_is_kept() -> None:
    assert run_of(analysis_run({"phase": "Running"})).run is not None
    assert run_of(analysis_run({"phase": "Successful"})).run is None


@pytest.mark.parametrize(
    ("phase", "strategy", "seconds"),
    [
        ("Successful", {"secondsAfterCompletion": 10}, 10),
        ("Successful", {"secondsAfterCompletion": 10, "secondsAfterSuccess": 5}, 5),
        ("Failed", {"secondsAfterCompletion": 10, "secondsAfterSuccess": 5}, 10),
        ("Error", {"secondsAfterFailure": 0}, 0),
        ("Failed", {"secondsAfterSuccess": 5}, None),
    ],
)
def test_a_completed_run_is_kept_as_long_as_its_outcome_says(
    phase: str, strategy: dict[str, int], seconds: int | None
) -> None:
    completed_at = datetime(2026, 1, 1, 12, tzinfo=UTC)
    status = {"phase": phase, "completedAt": "2026-01-01T12:00:00Z"}

    known = run_of(analysis_run(status, ttlStrategy=strategy))

    waited = None if known.expires_at is None else (known.expires_at - completed_at).total_seconds()
    assert waited == seconds


def test_a_run_that_does_not_parse_is_pending_until_it_is_answered() -> None:
    known = run_of(analysis_run({}, metrics=[{"name": "m", "provider": {}, "intervall": "5s"}]))

    assert known.view.phase is AnalysisPhase.PENDING
    assert known.error is not None
    assert "intervall" in known.error.path


def test_a_rollout_sees_how_the_pods_of_its_experiment_are_reached() -> None:
    store = experiments(Names(), "")
    templates = [
        {"name": "canary", "serviceName": "web-canary", "podTemplateHash": "abc", "status": "Running"}
    ]
    metadata = {"name": "web", "namespace": "shop", "uid": "uid", "resourceVersion": "1", "generation": 1}
    store.put({"metadata": metadata, "status": {"phase": "Running", "templateStatuses": templates}})

    record = store.get(KEY)
    assert record is not None
    assert record.value.view.pods == (ExperimentPods("canary", "web-canary", "abc"),)
