"""The canary with routers: pods before weight, weight before pods, and every way back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rollouts.api.meta import Reason
from rollouts.api.rollout import RolloutSpec
from rollouts.api.rollout_status import Phase
from rollouts.api.strategy import CanaryStep, RolloutStrategy
from rollouts.api.traffic import ServicesRouting, SetCanaryScale, TrafficRouting
from rollouts.delivery.actions import SetWeights
from tests.builders import pause, rollout, routed, set_scale, set_weight
from tests.fakes import FakeCluster

RECORDING = "plugins.recording"
BOTH = ("canary", "stable")


def deployed(
    *steps: CanaryStep, replicas: int = 10, spec: dict[str, object] | None = None, **fields: object
) -> FakeCluster:
    """v1 is stable."""
    subject = rollout(routed(*steps, **fields), replicas=replicas, **(spec or {}))
    services = (*BOTH, "root") if subject.spec.strategy.canary.traffic_routing.services else BOTH  # type: ignore[union-attr]
    cluster = FakeCluster(subject, services=services)
    cluster.run()
    assert cluster.status.phase is Phase.HEALTHY
    assert cluster.selected("stable") == cluster.selected("canary") == "v1"
    cluster.told.clear()
    return cluster


def updating(*steps: CanaryStep, **fields: object) -> FakeCluster:
    cluster = deployed(*steps, **fields)  # type: ignore[arg-type]
    cluster.deploy("v2")
    cluster.run()
    return cluster


def weights(cluster: FakeCluster) -> tuple[int, int]:
    shown = cluster.status.canary.weights
    assert shown is not None
    return shown.canary.weight, shown.stable.weight


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


# abort


def test_an_abort_takes_the_weight_back_at_once_and_the_pods_after_a_while() -> None:
    cluster = updating(set_weight(50), pause())

    cluster.abort()
    cluster.run()
    assert weights(cluster) == (0, 100)
    assert cluster.selected("canary") == "v1"
    assert cluster.sizes() == {"v1": 10, "v2": 5}
    assert cluster.status.phase is Phase.DEGRADED

    cluster.tick(30)
    assert cluster.sizes() == {"v1": 10}


@pytest.mark.parametrize(("delay", "left"), [(0, 5), (None, 0), (20, 0)])
def test_the_delay_of_an_aborted_canary(delay: int | None, left: int) -> None:
    cluster = updating(set_weight(50), pause(), abort_scale_down_delay_seconds=delay)
    cluster.abort()
    cluster.run()

    cluster.tick(3600)

    assert cluster.size("v2") == left


def test_an_abort_with_a_router_that_fails_goes_by_the_canary_service() -> None:
    cluster = updating(set_weight(50), pause())
    cluster.routes.steer(RECORDING, fail="no route to the router")

    cluster.abort()
    cluster.run()

    assert cluster.status.phase is Phase.DEGRADED
    assert cluster.status.aborted_at is not None
    assert cluster.selected("canary") == "v1"
    assert weights(cluster) == (50, 50)
    cluster.tick(30)
    assert cluster.sizes() == {"v1": 10}


def test_weight_comes_back_as_stable_becomes_available() -> None:
    cluster = updating(set_weight(100), pause(), dynamic_stable_scale=True)
    assert cluster.sizes() == {"v2": 10}

    cluster.abort()
    cluster.run(ready=lambda version: version == "v2")
    assert cluster.sizes() == {"v1": 10, "v2": 10}
    assert weights(cluster) == (100, 0)

    stable = cluster.of("v1")
    assert stable is not None
    for pod in stable.pods[:4]:
        pod.available = True
    cluster.settle()
    assert weights(cluster) == (60, 40)
    assert cluster.size("v2") == 6

    cluster.run()
    assert weights(cluster) == (0, 100)
    assert cluster.sizes() == {"v1": 10}


def test_an_abort_ends_though_a_pod_of_stable_never_comes_up() -> None:
    cluster = updating(
        set_weight(100), pause(), dynamic_stable_scale=True, spec={"progress_deadline_seconds": 120}
    )
    cluster.abort()
    cluster.run(ready=lambda version: version == "v2")
    stable = cluster.of("v1")
    assert stable is not None
    for pod in stable.pods[1:]:
        pod.available = True
    cluster.settle()
    assert weights(cluster) == (10, 90)

    cluster.now = cluster.status.aborted_at.replace(hour=cluster.status.aborted_at.hour + 1)  # type: ignore[union-attr]
    cluster.settle()

    assert weights(cluster) == (0, 100)
    assert cluster.size("v2") == 0


def test_a_pod_of_stable_that_may_be_missing_holds_up_no_abort() -> None:
    cluster = updating(set_weight(50), pause())
    stable = cluster.of("v1")
    assert stable is not None
    stable.pods[0].available = False

    cluster.abort()
    cluster.settle()

    assert weights(cluster) == (0, 100)


def test_an_abort_with_a_delay_of_its_own_and_dynamic_stable_does_not_deadlock() -> None:
    cluster = updating(set_weight(50), pause(), dynamic_stable_scale=True, abort_scale_down_delay_seconds=20)

    cluster.abort()
    cluster.run()
    assert cluster.sizes() == {"v1": 10, "v2": 5}

    cluster.tick(20)
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


# routers that fail or lie


def test_what_a_router_says_is_told_once_and_asked_again() -> None:
    cluster = deployed(set_weight(50), pause())
    cluster.routes.steer(RECORDING, fail="forbidden")
    cluster.deploy("v2")
    cluster.run()

    told = [event for event in cluster.told if event.reason is Reason.TRAFFIC_ROUTING_ERROR]
    assert [event.message for event in told] == ["plugins.recording: forbidden"]
    assert cluster.status.canary.router_error == "plugins.recording: forbidden"
    decided = cluster.decide()
    assert not decided.actions
    assert decided.requeue_at is not None
    assert (decided.requeue_at - cluster.now).total_seconds() <= 10

    cluster.routes.steer(RECORDING, fail=None)
    cluster.tick(10)
    assert weights(cluster) == (50, 50)
    assert cluster.status.canary.router_error == ""


def test_a_router_that_fails_does_not_hold_up_the_deadline() -> None:
    cluster = deployed(
        set_weight(50), spec={"progress_deadline_seconds": 60, "progress_deadline_abort": True}
    )
    cluster.routes.steer(RECORDING, fail="forbidden")
    cluster.deploy("v2")
    cluster.run()

    for _ in range(7):
        cluster.tick(10)

    assert cluster.status.abort
    assert cluster.status.abort_reason is not None
    assert cluster.status.abort_reason.reason == "ProgressDeadlineExceeded"


def test_a_weight_that_is_not_confirmed_holds_up_the_step_and_the_old_version() -> None:
    cluster = updating(set_weight(50), pause(10), dynamic_stable_scale=True)
    cluster.routes.steer(RECORDING, unverified="")

    cluster.tick(10)
    cluster.tick(60)
    shown = cluster.status.canary.weights
    assert shown is not None
    assert shown.verified is False
    assert weights(cluster) == (100, 0)
    assert cluster.status.stable_rs == "hash-v1"
    assert cluster.size("v1") == 5
    decided = cluster.decide()
    assert decided.requeue_at is not None

    cluster.routes.steer(RECORDING, unverified=None)
    cluster.run()
    assert cluster.status.stable_rs == "hash-v2"


def test_that_a_router_cannot_tell_is_told() -> None:
    cluster = updating(set_weight(50), pause())
    cluster.routes.steer(RECORDING, verifyError="target group is gone")
    cluster.run()

    told = [event.message for event in cluster.told if event.reason is Reason.WEIGHT_VERIFY_ERROR]
    assert told == ["plugins.recording: target group is gone"]


def test_nothing_moves_while_the_routers_are_not_read() -> None:
    cluster = updating(set_weight(50), pause())
    before = cluster.status
    cluster.routes.unread.add(RECORDING)

    decided = cluster.decide()

    assert decided.actions == ()
    assert decided.status == before


def test_a_weight_that_somebody_else_sets_is_set_back() -> None:
    cluster = updating(set_weight(50), pause())
    told = SetWeights(RECORDING, replace(_told(cluster), canary=replace(_told(cluster).canary, weight=90)))
    cluster.act(told)
    cluster.run()

    assert weights(cluster) == (50, 50)


def _told(cluster: FakeCluster):  # type: ignore[no-untyped-def]
    import json

    from rollouts.api.parse import parse
    from rollouts.api.traffic import Shares

    return parse(Shares, json.loads(cluster.routes.objects[RECORDING]["data"]["shares"]), "shares")


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


# plain Services


ROOT = TrafficRouting(services=ServicesRouting("root"))


def test_plain_services_switch_by_the_selector_and_mix_in_between() -> None:
    cluster = updating(
        set_scale(replicas=4),
        pause(),
        set_weight(50),
        pause(),
        traffic_routing=ROOT,
        dynamic_stable_scale=True,
        replicas=4,
    )
    assert _root(cluster) == "hash-v1"
    assert weights(cluster) == (0, 100)

    cluster.promote()
    cluster.run()
    assert _root(cluster) is None
    assert cluster.sizes() == {"v1": 2, "v2": 4}
    assert weights(cluster) == (67, 33)  # what four and two pods give, not what was asked for

    cluster.promote()
    cluster.run()
    assert _root(cluster) == "hash-v2"
    assert cluster.sizes() == {"v2": 4}


def test_plain_services_go_back_at_once() -> None:
    cluster = updating(set_weight(50), pause(), traffic_routing=ROOT)

    cluster.abort()
    cluster.run()

    assert _root(cluster) == "hash-v1"
    assert weights(cluster) == (0, 100)


def test_no_third_version_is_mixed_in_with_plain_services() -> None:
    cluster = updating(traffic_routing=ROOT, scale_down_delay_seconds=600)
    assert cluster.sizes() == {"v1": 10, "v2": 10}
    cluster.edit(strategy=_with(cluster.rollout.spec, set_weight(50), pause()))
    cluster.deploy("v3")
    cluster.run()

    assert cluster.sizes() == {"v2": 10, "v3": 5}
    assert _root(cluster) is None


def _root(cluster: FakeCluster) -> object:
    return cluster.routes.objects["services"]["spec"]["selector"].get("rollouts-pod-template-hash")


def _with(spec: RolloutSpec, *steps: CanaryStep) -> RolloutStrategy:
    assert spec.strategy.canary is not None
    return RolloutStrategy(canary=replace(spec.strategy.canary, steps=steps))
