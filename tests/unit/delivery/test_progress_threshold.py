"""replicaProgressThreshold: how many pods of a step are enough to go on."""

from __future__ import annotations

import pytest

from rollouts.api.strategy import ProgressType, ReplicaProgressThreshold
from rollouts.delivery import replicas
from tests.builders import canary, pause, rollout, set_weight
from tests.fakes import FakeCluster

PERCENT, PODS = ProgressType.PERCENT, ProgressType.PODS


@pytest.mark.parametrize(
    ("threshold", "available", "desired", "enough"),
    [
        (None, 9, 10, False),
        (None, 10, 10, True),
        ((PERCENT, 90), 8, 10, False),
        ((PERCENT, 90), 9, 10, True),
        ((PERCENT, 33), 1, 3, True),  # 33.3 %
        ((PERCENT, 34), 1, 3, False),
        ((PERCENT, 90), 0, 0, True),
        ((PERCENT, 200), 10, 10, True),
        ((PODS, 2), 1, 10, False),
        ((PODS, 2), 2, 10, True),
        ((PODS, 5), 1, 1, True),
        ((PODS, 0), 0, 3, True),
    ],
)
def test_what_is_enough(
    threshold: tuple[ProgressType, int] | None, available: int, desired: int, *, enough: bool
) -> None:
    given = ReplicaProgressThreshold(*threshold) if threshold else None

    assert replicas.enough(given, available, desired) is enough


def at_half_with_one_pod(threshold: ReplicaProgressThreshold | None) -> FakeCluster:
    strategy = canary(set_weight(50), pause(), replica_progress_threshold=threshold)
    cluster = FakeCluster(rollout(strategy))
    cluster.run()
    cluster.deploy("v2")
    cluster.run(ready=lambda version: version != "v2")
    second = cluster.of("v2")
    assert second is not None
    second.pods[0].available = True
    cluster.settle()
    return cluster


def test_a_step_waits_for_every_pod_without_a_threshold() -> None:
    cluster = at_half_with_one_pod(None)

    assert cluster.status.current_step_index == 0


def test_a_step_goes_on_with_the_pods_that_are_enough() -> None:
    cluster = at_half_with_one_pod(ReplicaProgressThreshold(PODS, 1))

    assert cluster.status.current_step_index == 1


def test_promotion_too_goes_by_the_threshold_and_the_old_pods_stay_as_long_as_they_are_needed() -> None:
    threshold = ReplicaProgressThreshold(PERCENT, 50)
    cluster = FakeCluster(
        rollout(canary(set_weight(50), replica_progress_threshold=threshold, max_surge=1, max_unavailable=0))
    )
    cluster.run()
    cluster.deploy("v2")
    cluster.run()

    assert cluster.status.stable_rs == "hash-v2"
    assert cluster.sizes() == {"v2": 4}
