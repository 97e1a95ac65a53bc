"""spec.workloadRef: the template of another object, its generation, and its own pods."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rollouts.api.rollout import LabelSelector, ObjectRef, RolloutSpec, ScaleDown
from rollouts.api.rollout_status import Phase
from rollouts.api.strategy import CanaryStrategy, RolloutStrategy
from rollouts.delivery import workload
from rollouts.delivery.snapshot import Workload
from rollouts.errors import SpecError
from tests.builders import canary, pause, pod_template, rollout, set_weight
from tests.fakes import FakeCluster

ANNOTATION = "rollout.rollouts.dev/workload-generation"
SPEC = RolloutSpec(RolloutStrategy(canary=CanaryStrategy()))


def deployment(replicas: int = 4) -> Workload:
    return Workload("Deployment", "web", "uid-d", "1", 7, pod_template("v1"), replicas=replicas)


def referring(mode: ScaleDown, *, had: int = 4, replicas: int = 4) -> FakeCluster:
    ref = ObjectRef("apps/v1", "Deployment", "web", mode)
    cluster = FakeCluster(rollout(canary(set_weight(50), pause()), replicas=replicas, workload_ref=ref))
    cluster.workload = deployment(had)
    return cluster


def size(cluster: FakeCluster) -> int | None:
    assert cluster.workload is not None
    return cluster.workload.replicas


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({}, "spec.template"),
        (
            {"template": {"spec": {}}, "workload_ref": ObjectRef("apps/v1", "Deployment", "web")},
            "spec.workloadRef",
        ),
        ({"workload_ref": ObjectRef("apps/v1", "StatefulSet", "web")}, "spec.workloadRef.kind"),
        ({"workload_ref": ObjectRef("v1", "Deployment", "web")}, "spec.workloadRef.apiVersion"),
        ({"workload_ref": ObjectRef("apps/v1", "Deployment")}, "spec.workloadRef.name"),
        ({"workload_ref": ObjectRef("apps/v1", "Deployment", "web")}, "spec.workloadRef.name"),
    ],
)
def test_a_template_has_exactly_one_source_that_is_there(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(SpecError) as raised:
        workload.resolved(replace(SPEC, **fields), None)

    assert raised.value.path == path


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "PodTemplate"])
def test_template_and_selector_are_those_of_the_object(kind: str) -> None:
    template, selector = pod_template("v1"), {"matchLabels": {"app": "web"}}
    body = {"kind": kind, "metadata": {"name": "web", "generation": 3}}
    inner = {"template": template, "selector": selector}
    found = workload.of(body | (inner if kind == "PodTemplate" else {"spec": inner}))
    spec = replace(SPEC, workload_ref=ObjectRef(workload.KINDS[kind], kind, "web"))

    resolved = workload.resolved(spec, found)

    assert resolved.template == template
    expected = {} if kind == "PodTemplate" else {"app": "web"}
    assert resolved.selector == LabelSelector(match_labels=expected)
    assert (found.replicas is None) == (kind != "Deployment")


def test_a_selector_of_its_own_stays() -> None:
    own = LabelSelector(match_labels={"tier": "front"})
    spec = replace(SPEC, selector=own, workload_ref=ObjectRef("apps/v1", "Deployment", "web"))

    assert workload.resolved(spec, deployment()).selector == own


def test_the_generation_is_noted_on_the_rollout_before_the_status_is_about_it() -> None:
    cluster = referring(ScaleDown.NEVER)

    decided = cluster.decide()

    assert decided.annotations[ANNOTATION] == "7"
    assert decided.status.workload_observed_generation == "7"
    cluster.run()
    assert cluster.decide().annotations == {}


def test_a_rollout_with_a_template_of_its_own_again_forgets_the_object() -> None:
    cluster = referring(ScaleDown.ON_SUCCESS)
    cluster.run()

    cluster.workload = None
    cluster.edit(workload_ref=None)
    cluster.run()

    assert ANNOTATION not in cluster.rollout.metadata.annotations
    assert cluster.status.workload_observed_generation == ""
    assert cluster.status.workload_replicas is None


def test_never_leaves_the_deployment_alone() -> None:
    cluster = referring(ScaleDown.NEVER)

    cluster.run()

    assert (size(cluster), cluster.status.phase) == (4, Phase.HEALTHY)


def test_on_success_scales_down_once_all_pods_are_available() -> None:
    cluster = referring(ScaleDown.ON_SUCCESS)

    cluster.run(ready=lambda version: False)
    assert size(cluster) == 4

    cluster.run()
    assert size(cluster) == 0
    assert cluster.status.workload_replicas == 4


def test_progressively_gives_up_a_pod_for_each_of_ours() -> None:
    cluster = referring(ScaleDown.PROGRESSIVELY)
    cluster.settle()
    cluster.replica_set_controller()
    seen = [size(cluster)]

    for pod in next(iter(cluster.sets.values())).pods:
        pod.available = True
        cluster.settle()
        seen.append(size(cluster))

    assert seen == [4, 3, 2, 1, 0]


def test_progressively_gives_pods_back_when_ours_are_lost_or_aborted() -> None:
    cluster = referring(ScaleDown.PROGRESSIVELY)
    cluster.settle()
    cluster.replica_set_controller()
    pods = next(iter(cluster.sets.values())).pods
    for pod in pods[:3]:
        pod.available = True
    cluster.settle()
    assert size(cluster) == 1

    pods[0].available = False
    cluster.settle()
    assert size(cluster) == 2

    cluster.abort()
    cluster.settle()
    assert size(cluster) == 4


@pytest.mark.parametrize("mode", [ScaleDown.ON_SUCCESS, ScaleDown.PROGRESSIVELY])
def test_once_a_revision_is_stable_the_deployment_never_comes_back(mode: ScaleDown) -> None:
    cluster = referring(mode)
    cluster.run()
    assert size(cluster) == 0

    cluster.deploy("v2")
    cluster.run(ready=lambda version: version == "v1")
    assert size(cluster) == 0
    cluster.abort()
    cluster.run(ready=lambda version: False)
    assert size(cluster) == 0


def test_a_deployment_that_somebody_scales_up_again_goes_back_to_zero() -> None:
    cluster = referring(ScaleDown.ON_SUCCESS)
    cluster.run()

    assert cluster.workload is not None
    cluster.workload = replace(cluster.workload, replicas=4, generation=99)
    cluster.run()

    assert size(cluster) == 0


def test_the_old_size_is_remembered_before_the_deployment_is_touched() -> None:
    cluster = referring(ScaleDown.PROGRESSIVELY)
    cluster.settle()
    cluster.replica_set_controller()
    cluster.make_ready()
    cluster.rollout = replace(cluster.rollout, status=replace(cluster.status, workload_replicas=None))

    decided = cluster.decide()

    assert decided.status.workload_replicas == 4
    assert workload.ScaleWorkload not in {type(action) for action in decided.actions}
