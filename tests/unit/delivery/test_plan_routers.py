"""Routers that fail or lie, and plain Services, which can only mix and switch."""

from __future__ import annotations

from dataclasses import replace

from rollouts.api.meta import Reason
from rollouts.api.rollout import RolloutSpec
from rollouts.api.strategy import CanaryStep, RolloutStrategy
from rollouts.api.traffic import ServicesRouting, TrafficRouting
from rollouts.delivery.actions import SetWeights
from tests.builders import pause, set_scale, set_weight
from tests.fakes import FakeCluster
from tests.unit.delivery.routed_cluster import RECORDING, deployed, updating, weights


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
