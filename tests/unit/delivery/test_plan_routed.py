"""The canary with routers: pods before weight, weight before pods, and every way back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rollouts.api.meta import Names, Reason
from rollouts.api.rollout_status import Phase
from rollouts.api.strategy import CanaryStep
from rollouts.api.traffic import SetCanaryScale, TrafficRouting
from tests.builders import pause, rollout, routed, set_scale, set_weight
from tests.fakes import FakeCluster
from tests.unit.delivery.routed_cluster import BOTH, RECORDING, deployed, updating, weights


def test_the_first_deployment_gets_its_pods_and_then_everything_as_stable() -> None:
    cluster = deployed(set_weight(20), pause())

    assert cluster.sizes() == {"v1": 10}
    assert weights(cluster) == (0, 100)
    assert cluster.routes.history(RECORDING) == [0]


def test_the_canary_has_the_pods_of_its_weight_and_stable_keeps_all_of_its_own() -> None:
    cluster = updating(set_weight(25), pause())

    assert cluster.sizes() == {"v1": 10, "v2": 3}
    assert weights(cluster) == (25, 75)
    assert cluster.status.phase is Phase.PAUSED
    assert cluster.selected("canary") == "v2"
    assert cluster.selected("stable") == "v1"


def test_weight_waits_for_every_pod_of_the_canary() -> None:
    cluster = deployed(set_weight(25), pause())
    cluster.deploy("v2")
    cluster.run(ready=lambda version: version != "v2")
    second = cluster.of("v2")
    assert second is not None
    for pod in second.pods[:2]:
        pod.available = True
    cluster.settle()

    assert weights(cluster) == (0, 100)
    assert cluster.status.current_step_index == 0

    cluster.run()
    assert weights(cluster) == (25, 75)


def test_all_the_way_to_the_end_and_the_old_version_is_kept_up_for_a_while() -> None:
    cluster = updating(set_weight(50), pause(10))

    cluster.tick(10)

    assert cluster.status.stable_rs == "hash-v2"
    assert cluster.status.phase is Phase.HEALTHY
    assert cluster.selected("stable") == "v2"
    assert cluster.routes.history(RECORDING) == [0, 50, 100, 0]
    assert weights(cluster) == (0, 100)
    assert cluster.sizes() == {"v1": 10, "v2": 10}
    old = cluster.of("v1")
    assert old is not None
    assert old.deadline is not None

    cluster.tick(30)
    assert cluster.sizes() == {"v2": 10}


def test_each_change_of_weight_is_told_once() -> None:
    cluster = updating(set_weight(50), pause(10))
    cluster.tick(10)

    told = [event.message for event in cluster.told if event.reason is Reason.TRAFFIC_WEIGHT_UPDATED]
    assert told == [
        "Traffic weight of the canary: 0 → 50",
        "Traffic weight of the canary: 50 → 100",
        "Traffic weight of the canary: 100 → 0",
    ]


@pytest.mark.parametrize(("delay", "seconds"), [(None, 30), (60, 60), (0, 0)])
def test_the_delay_of_the_old_version(delay: int | None, seconds: int) -> None:
    cluster = updating(set_weight(50), scale_down_delay_seconds=delay)

    if seconds:
        assert cluster.sizes() == {"v1": 10, "v2": 10}
        cluster.tick(seconds)
    assert cluster.sizes() == {"v2": 10}


def test_only_so_many_old_versions_are_kept_up() -> None:
    cluster = updating(scale_down_delay_seconds=600, scale_down_delay_revision_limit=1)
    cluster.deploy("v3")
    cluster.run()

    assert cluster.sizes() == {"v2": 10, "v3": 10}


@pytest.mark.parametrize(
    ("steps", "pods"),
    [
        ((set_weight(1), pause()), 1),
        ((set_weight(11), pause()), 2),
        ((set_weight(0), pause()), 0),
        ((set_scale(replicas=3), set_weight(50), pause()), 3),
        ((set_scale(weight=25), pause()), 3),
        ((set_scale(replicas=3), set_scale(match_traffic_weight=True), set_weight(50), pause()), 5),
        ((set_scale(replicas=3), set_weight(20), set_scale(weight=80), pause()), 8),
        ((set_scale(weight=120), pause()), 12),
        ((set_scale(replicas=3, weight=80), pause()), 3),
        ((set_scale(replicas=3, match_traffic_weight=True), set_weight(50), pause()), 5),
        ((set_scale(replicas=3), set_scale(), set_weight(50), pause()), 5),
        ((replace(set_weight(50), set_canary_scale=SetCanaryScale(replicas=3)), pause()), 3),
        ((set_weight(50), replace(pause(), set_canary_scale=SetCanaryScale(replicas=3))), 3),
    ],
)
def test_the_pods_of_the_canary(steps: tuple[CanaryStep, ...], pods: int) -> None:
    cluster = updating(*steps)

    assert cluster.status.phase is Phase.PAUSED
    assert cluster.size("v2") == pods
    assert cluster.size("v1") == 10


@pytest.mark.parametrize(("fewest", "replicas", "pods"), [(2, 10, 2), (None, 10, 1), (20, 10, 10), (2, 1, 1)])
def test_a_side_has_a_least_number_of_pods(fewest: int | None, replicas: int, pods: int) -> None:
    cluster = updating(set_weight(1), pause(), replicas=replicas, min_pods_per_replica_set=fewest)

    assert cluster.size("v2") == pods


def test_weights_may_have_another_unit() -> None:
    routing = TrafficRouting(plugins={"recording": {}}, max_traffic_weight=1000)
    cluster = updating(set_weight(25), pause(10), traffic_routing=routing)

    assert weights(cluster) == (25, 975)
    assert cluster.size("v2") == 1

    cluster.tick(10)
    assert cluster.routes.history(RECORDING) == [0, 25, 1000, 0]


def test_a_dead_canary_loses_its_weight_and_gets_it_back() -> None:
    cluster = updating(set_weight(50), pause())

    cluster.run(ready=lambda version: version != "v2")
    assert weights(cluster) == (0, 100)

    cluster.run()
    assert weights(cluster) == (50, 50)


def test_weight_falls_before_pods() -> None:
    cluster = updating(set_weight(50), pause(), set_weight(20), pause())
    cluster.routes.steer(RECORDING, fail="no")

    cluster.promote()
    cluster.run()
    assert (weights(cluster), cluster.size("v2")) == ((50, 50), 5)

    cluster.routes.steer(RECORDING, fail=None)
    cluster.tick(10)
    assert (weights(cluster), cluster.size("v2")) == ((20, 80), 2)


def test_a_third_version_waits_until_the_second_is_served_nothing() -> None:
    cluster = updating(set_weight(50), pause())
    cluster.routes.steer(RECORDING, fail="no")

    cluster.deploy("v3")
    cluster.run()
    assert cluster.selected("canary") == "v2"
    assert cluster.size("v2") == 5

    cluster.routes.steer(RECORDING, fail=None)
    cluster.tick(10)
    assert cluster.selected("canary") == "v3"
    assert cluster.sizes() == {"v1": 10, "v3": 5}
    assert cluster.routes.history(RECORDING) == [0, 50, 0, 50]


def test_a_third_version_does_not_wait_for_a_stable_that_has_shrunk() -> None:
    cluster = updating(set_weight(75), pause(), dynamic_stable_scale=True)
    assert cluster.sizes() == {"v1": 3, "v2": 8}

    cluster.deploy("v3")
    cluster.run()

    given = cluster.routes.history(RECORDING)
    assert given[1] == given[-1] == 75
    assert 0 in given[2:]  # v2 gives its share back, as far as stable has grown, before v3 gets any
    assert cluster.sizes() == {"v1": 3, "v3": 8}


def test_going_back_to_stable_in_the_middle() -> None:
    cluster = updating(set_weight(50), pause())

    cluster.deploy("v1")
    cluster.run()

    assert cluster.routes.history(RECORDING) == [0, 50, 0]
    assert cluster.selected("canary") == "v1"
    assert cluster.status.phase is Phase.HEALTHY
    cluster.tick(30)
    assert cluster.sizes() == {"v1": 10}


# dynamicStableScale


def test_stable_shrinks_as_its_share_does() -> None:
    cluster = updating(set_weight(25), pause(), set_weight(75), pause(), dynamic_stable_scale=True)
    assert cluster.sizes() == {"v1": 8, "v2": 3}

    cluster.promote()
    cluster.run()
    assert cluster.sizes() == {"v1": 3, "v2": 8}

    cluster.promote()
    cluster.run()
    assert cluster.sizes() == {"v2": 10}
    assert cluster.status.phase is Phase.HEALTHY


def test_stable_keeps_its_pods_until_the_weight_has_gone() -> None:
    cluster = updating(set_weight(25), pause(), set_weight(75), pause(), dynamic_stable_scale=True)
    cluster.routes.steer(RECORDING, fail="no")

    cluster.promote()
    cluster.run()

    assert cluster.sizes() == {"v1": 8, "v2": 8}


def test_a_full_promotion_moves_weight_with_the_pods() -> None:
    cluster = updating(set_weight(20), pause(), dynamic_stable_scale=True)
    cluster.promote_full()
    cluster.settle()
    cluster.replica_set_controller()
    second = cluster.of("v2")
    assert second is not None
    for pod in second.pods[:5]:
        pod.available = True
    cluster.settle()

    assert weights(cluster) == (50, 50)
    assert cluster.size("v1") == 5

    cluster.run()
    assert cluster.sizes() == {"v2": 10}
    assert cluster.status.stable_rs == "hash-v2"


# people


def test_a_scaled_rollout_keeps_its_shares_while_a_person_holds_it() -> None:
    cluster = updating(set_weight(50), pause(), replicas=4)
    cluster.edit(paused=True)
    cluster.run()

    cluster.edit(replicas=8)
    cluster.run()

    assert cluster.sizes() == {"v1": 8, "v2": 4}
    assert weights(cluster) == (50, 50)


def test_a_full_promotion_skips_the_rest() -> None:
    cluster = updating(set_weight(20), pause())

    cluster.promote_full()
    cluster.run()

    assert cluster.status.stable_rs == "hash-v2"
    assert cluster.selected("stable") == "v2"
    assert weights(cluster) == (0, 100)


def test_a_retry_begins_again() -> None:
    cluster = updating(set_weight(50), pause())
    cluster.abort()
    cluster.run()

    cluster.retry()
    cluster.run()

    assert weights(cluster) == (50, 50)
    second = cluster.of("v2")
    assert second is not None
    assert second.deadline is None


def test_in_drop_in_mode_trafficrouting_without_a_router_sizes_the_canary_by_its_weight() -> None:
    """Argo Rollouts serves it: who routes is somebody else's business, so what is wanted counts as done."""
    strategy = routed(
        set_weight(25),
        pause(),
        set_weight(75),
        pause(),
        traffic_routing=TrafficRouting(),
        dynamic_stable_scale=True,
    )
    cluster = FakeCluster(rollout(strategy, replicas=4), services=BOTH, names=Names("argoproj.io"))
    cluster.run()
    cluster.deploy("v2")
    cluster.run()
    assert (cluster.sizes(), weights(cluster)) == ({"v1": 3, "v2": 1}, (25, 75))
    cluster.promote()
    cluster.run()
    assert (cluster.sizes(), weights(cluster)) == ({"v1": 1, "v2": 3}, (75, 25))

    cluster.abort()
    cluster.run()
    assert weights(cluster) == (0, 100)
    assert cluster.sizes()["v1"] == 4

    cluster.promote_full()
    cluster.run()
    assert cluster.status.phase is Phase.HEALTHY
    assert cluster.sizes() == {"v2": 4}
