"""Experiments with a share of the traffic: who gives it, when it is given, and that it goes before the pods do."""

from __future__ import annotations

import pytest

from rollouts.api.analysis import AnalysisPhase
from rollouts.api.meta import ConditionType
from rollouts.api.rollout_status import WeightDestination
from rollouts.delivery.actions import TerminateExperiment
from tests.builders import pause, pod_template, rollout, routed, set_weight, weighed
from tests.fakes import FakeCluster

NAME, RECORDING = "web-hash-v2-2-1", "plugins.recording"
OTHER = WeightDestination(5, f"{NAME}-canary", "hash-canary")


def updating() -> FakeCluster:
    """v2 stands at its experiment, whose pods are not there yet."""
    strategy = routed(set_weight(20), weighed(5), pause())
    cluster = FakeCluster(rollout(strategy), services=("canary", "stable"))
    cluster.run()
    cluster.deploy("v2")
    cluster.run()
    assert cluster.status.canary.current_experiment == NAME
    return cluster


def conducting() -> FakeCluster:
    """v2 stands at its experiment, and all of its pods are available."""
    cluster = updating()
    finish(cluster, AnalysisPhase.RUNNING)
    return cluster


def finish(cluster: FakeCluster, phase: AnalysisPhase) -> None:
    cluster.finish_experiment(NAME, phase)
    cluster.run()


def sent(cluster: FakeCluster) -> tuple[int, int, tuple[WeightDestination, ...]]:
    """What the router does."""
    (route,) = cluster.snapshot().routes
    assert route.shares is not None
    return route.shares.canary.weight, route.shares.stable.weight, route.shares.additional


def test_the_share_is_taken_from_stable_once_all_pods_are_available() -> None:
    cluster = updating()
    assert sent(cluster) == (20, 80, ())

    finish(cluster, AnalysisPhase.RUNNING)

    assert sent(cluster) == (20, 75, (OTHER,))
    weights = cluster.status.canary.weights
    assert weights is not None
    assert (weights.canary.weight, weights.stable.weight, weights.additional) == (20, 75, (OTHER,))


@pytest.mark.parametrize(
    "phase",
    [AnalysisPhase.PENDING, AnalysisPhase.SUCCESSFUL, AnalysisPhase.INCONCLUSIVE, AnalysisPhase.FAILED],
)
def test_it_comes_back_when_the_pods_do_not_serve_any_more(phase: AnalysisPhase) -> None:
    cluster = conducting()

    finish(cluster, phase)

    assert sent(cluster)[2] == ()
    assert sum(sent(cluster)[:2]) == 100


@pytest.mark.parametrize("deed", ["abort", "promote", "promote_full", "deploy"])
def test_it_is_taken_away_before_the_experiment_is_ended(deed: str) -> None:
    cluster = conducting()

    if deed == "deploy":
        cluster.deploy("v3")
    else:
        getattr(cluster, deed)()
    while sent(cluster)[2]:
        decided = cluster.decide()
        assert not any(isinstance(action, TerminateExperiment) for action in decided.actions)
        cluster.apply(decided)
    cluster.run()

    assert cluster.experiments[NAME].terminating


def test_a_router_that_refuses_keeps_the_pods_it_sends_requests_to() -> None:
    cluster = conducting()
    cluster.routes.steer(RECORDING, fail="forbidden")

    cluster.abort()
    cluster.run()
    assert not cluster.experiments[NAME].terminating
    weights = cluster.status.canary.weights
    assert weights is not None
    assert weights.additional == (OTHER,)

    cluster.routes.steer(RECORDING, fail=None)
    cluster.tick(10)
    assert cluster.experiments[NAME].terminating
    assert sent(cluster) == (0, 100, ())


def test_pods_without_ports_get_nothing() -> None:
    cluster = FakeCluster(rollout(routed(weighed(5))), services=("canary", "stable"))
    template = pod_template("v1", "web")
    containers = [{**c, "ports": []} for c in template["spec"]["containers"]]
    cluster.edit(template={**template, "spec": {"containers": containers}})

    conditions = {c.type: c.message for c in cluster.decide().status.conditions}
    assert "the containers have no ports" in conditions[ConditionType.INVALID_SPEC]
