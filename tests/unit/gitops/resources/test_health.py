"""How an object is, from its status."""

from __future__ import annotations

from typing import Any

import pytest

from rollouts.api.application_status import FailureReason, HealthStatus
from rollouts.gitops.resources import health

Object = dict[str, Any]


def thing(api_version: str, kind: str, *, generation: int = 2, spec: Any = None, **status: Any) -> Object:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": "x", "generation": generation},
        "spec": spec or {},
        "status": status,
    }


def condition(type_: str, status: str, reason: str = "", message: str = "") -> Object:
    return {"type": type_, "status": status, "reason": reason, "message": message}


def deployment(**status: Any) -> Object:
    full = {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3, **status}
    return thing("apps/v1", "Deployment", spec={"replicas": 3}, **full)


def stateful_set(partition: int = 0, **status: Any) -> Object:
    full = {
        "observedGeneration": 2,
        "readyReplicas": 3,
        "updatedReplicas": 3,
        "currentRevision": "b",
        "updateRevision": "b",
        **status,
    }
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}
    return thing("apps/v1", "StatefulSet", spec={"replicas": 3, "updateStrategy": strategy}, **full)


def daemon_set(**status: Any) -> Object:
    full = {
        "observedGeneration": 2,
        "desiredNumberScheduled": 3,
        "updatedNumberScheduled": 3,
        "numberAvailable": 3,
        **status,
    }
    return thing("apps/v1", "DaemonSet", **full)


H, P, D, S = HealthStatus.HEALTHY, HealthStatus.PROGRESSING, HealthStatus.DEGRADED, HealthStatus.SUSPENDED


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (thing("v1", "ConfigMap"), H),
        (deployment(), H),
        (deployment(observedGeneration=1), P),
        (deployment(updatedReplicas=2), P),
        (deployment(replicas=4), P),
        (deployment(availableReplicas=2), P),
        (thing("apps/v1", "Deployment"), P),
        (thing("apps/v1", "Deployment", spec={"paused": True}), S),
        (stateful_set(), H),
        (stateful_set(readyReplicas=2), P),
        (stateful_set(currentRevision="a"), P),
        (stateful_set(partition=2, updatedReplicas=1, currentRevision="a"), H),
        (stateful_set(partition=1, updatedReplicas=1, currentRevision="a"), P),
        (daemon_set(), H),
        (daemon_set(updatedNumberScheduled=1), P),
        (daemon_set(numberAvailable=1), P),
        (thing("apps/v1", "ReplicaSet", spec={"replicas": 1}, observedGeneration=2, availableReplicas=1), H),
        (thing("v1", "Pod", phase="Running", conditions=[condition("Ready", "True")]), H),
        (thing("v1", "Pod", phase="Running"), P),
        (thing("v1", "Pod", phase="Succeeded"), H),
        (thing("v1", "Pod", phase="Failed"), D),
        (thing("batch/v1", "Job", conditions=[condition("Complete", "True")]), H),
        (thing("batch/v1", "Job", conditions=[condition("Failed", "True")]), D),
        (thing("batch/v1", "Job"), P),
        (thing("batch/v1", "Job", spec={"suspend": True}), S),
        (thing("v1", "Service", spec={"type": "ClusterIP"}), H),
        (thing("v1", "Service", spec={"type": "LoadBalancer"}), P),
        (thing("v1", "Service", spec={"type": "LoadBalancer"}, loadBalancer={"ingress": [{"ip": "1"}]}), H),
        (thing("v1", "PersistentVolumeClaim", phase="Bound"), H),
        (thing("v1", "PersistentVolumeClaim", phase="Lost"), D),
        (thing("v1", "PersistentVolumeClaim", phase="Pending"), P),
        (thing("v1", "Namespace", phase="Active"), H),
        (thing("v1", "Namespace", phase="Terminating"), P),
        (thing("networking.k8s.io/v1", "Ingress"), H),
        (
            thing(
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                conditions=[condition("Established", "True"), condition("NamesAccepted", "True")],
            ),
            H,
        ),
        (thing("apiextensions.k8s.io/v1", "CustomResourceDefinition"), P),
        (thing("example.org/v1", "Thing", conditions=[condition("Ready", "True")]), H),
        (thing("example.org/v1", "Thing", conditions=[condition("Ready", "False")]), D),
        (thing("example.org/v1", "Thing", conditions=[condition("Ready", "Unknown")]), P),
        (thing("example.org/v1", "Thing", conditions=[condition("Reconciling", "True")]), P),
        (thing("example.org/v1", "Thing", conditions=[condition("Stalled", "True")]), D),
        (thing("example.org/v1", "Thing", observedGeneration=1), P),
        (thing("example.org/v1", "Thing", conditions="nonsense"), HealthStatus.UNKNOWN),
    ],
)
def test_the_usual_kinds(body: Object, status: HealthStatus) -> None:
    assert health.of(body).status is status


def test_an_object_that_is_being_deleted_is_progressing() -> None:
    body = thing("v1", "ConfigMap")
    body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"

    assert health.of(body).status is P


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        (
            deployment(conditions=[condition("Progressing", "False", "ProgressDeadlineExceeded")]),
            FailureReason.PROGRESS_DEADLINE_EXCEEDED,
        ),
        (
            thing("batch/v1", "Job", conditions=[condition("Failed", "True")]),
            FailureReason.HEALTH_CHECK_FAILED,
        ),
        (thing("v1", "Pod", phase="Failed"), FailureReason.HEALTH_CHECK_FAILED),
        (thing("example.org/v1", "Thing", conditions=[condition("Ready", "False")]), None),
        (deployment(availableReplicas=0), None),
    ],
)
def test_what_will_not_get_better_by_waiting_has_failed(body: Object, failure: FailureReason | None) -> None:
    assert health.of(body).failure is failure


class TestRollouts:
    def rollout(self, **status: Any) -> Object:
        full = {
            "observedGeneration": "2",
            "phase": "Healthy",
            "stableRS": "new",
            "currentPodHash": "new",
            **status,
        }
        return thing("rollouts.dev/v1alpha1", "Rollout", **full)

    def test_promoted_is_only_the_spec_as_it_is_now(self) -> None:
        assert health.of(self.rollout()).promoted
        assert not health.of(self.rollout(observedGeneration="1")).promoted
        assert not health.of(self.rollout(stableRS="old")).promoted
        assert not health.of(thing("rollouts.dev/v1alpha1", "Rollout")).promoted

    @pytest.mark.parametrize(
        ("phase", "status"), [("Healthy", H), ("Progressing", P), ("Paused", S), ("Degraded", D)]
    )
    def test_its_phase_in_the_words_of_applications(self, phase: str, status: HealthStatus) -> None:
        assert health.of(self.rollout(phase=phase, stableRS="old")).status is status

    def test_an_abort_is_told_once_in_the_words_of_the_rollout(self) -> None:
        why = {
            "reason": "AnalysisFailed",
            "message": "aborted at step 2/4 (analysis): metric success-rate is Failed: value 0.8",
            "step": 1,
            "metric": "success-rate",
            "value": "0.8",
            "threshold": "result[0] >= 0.95",
            "analysisRun": "web-7-1",
        }

        found = health.of(self.rollout(phase="Degraded", abort=True, abortReason=why, stableRS="old"))

        assert found.failure is FailureReason.ANALYSIS_FAILED
        assert not found.promoted
        assert found.message == why["message"]

    def test_an_abort_of_an_older_spec_says_nothing_about_this_one(self) -> None:
        found = health.of(self.rollout(observedGeneration="1", phase="Degraded", abort=True))

        assert found.failure is None

    def test_a_progress_deadline_is_a_failure_and_an_invalid_spec_is_under_the_timeout(self) -> None:
        late = [condition("Progressing", "False", "ProgressDeadlineExceeded", "too slow")]

        assert (
            health.of(self.rollout(phase="Degraded", stableRS="old", conditions=late)).failure
            is FailureReason.PROGRESS_DEADLINE_EXCEEDED
        )
        invalid = health.of(self.rollout(phase="Degraded", conditions=[condition("InvalidSpec", "True")]))
        assert invalid.failure is None
        assert not invalid.waits_for_delivery
