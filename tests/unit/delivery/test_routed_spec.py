"""What traffic routing asks of a spec, and what steps tell a router beside weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rollouts.api.meta import ConditionType
from rollouts.api.parse import dump, parse
from rollouts.api.rollout import Rollout
from rollouts.api.strategy import CanaryStep
from rollouts.api.traffic import (
    HeaderRoutingMatch,
    ManagedRoute,
    ServicesRouting,
    SetHeaderRoute,
    SetMirrorRoute,
    StringMatch,
    TrafficRouting,
)
from tests.builders import canary, pause, rollout, routed, set_scale, set_weight, weighed
from tests.fakes import FakeCluster

RECORDING = "plugins.recording"
AT = "spec.strategy.canary"
BETA = SetHeaderRoute("beta", (HeaderRoutingMatch("x-beta", StringMatch(exact="1")),))
HEADER, MIRROR = CanaryStep(set_header_route=BETA), CanaryStep(set_mirror_route=SetMirrorRoute("copy"))
WEIGHT = "experiment.templates[1].weight"
MANAGED = TrafficRouting(plugins={"recording": {}}, managed_routes=(ManagedRoute("beta"),))
PLAIN = TrafficRouting(
    services=ServicesRouting("root"), managed_routes=(ManagedRoute("beta"), ManagedRoute("copy"))
)


def fault(subject: Rollout, missing: tuple[str, ...] = ()) -> str:
    cluster = FakeCluster(subject, services=("canary", "stable", "root"))
    cluster.routes.missing.update(missing)
    conditions = {c.type: c for c in cluster.decide().status.conditions}
    found = conditions.get(ConditionType.INVALID_SPEC)
    assert not cluster.decide().actions or found is None
    return found.message if found else ""


FAULTS: tuple[tuple[Callable[[], Any], str], ...] = (
    (lambda: canary(set_scale(replicas=1)), f"{AT}.steps[0].setCanaryScale: needs trafficRouting"),
    (lambda: canary(HEADER), f"{AT}.steps[0].setHeaderRoute: needs trafficRouting"),
    (lambda: canary(MIRROR), f"{AT}.steps[0].setMirrorRoute: needs trafficRouting"),
    (lambda: canary(dynamic_stable_scale=True), f"{AT}.dynamicStableScale"),
    (lambda: canary(scale_down_delay_seconds=5), f"{AT}.scaleDownDelaySeconds"),
    (lambda: routed(canary_service=""), f"{AT}.canaryService: is required with trafficRouting"),
    (lambda: routed(stable_service=""), f"{AT}.stableService: is required with trafficRouting"),
    (
        lambda: routed(dynamic_stable_scale=True, scale_down_delay_seconds=30),
        f"{AT}.dynamicStableScale",
    ),
    (lambda: routed(traffic_routing=TrafficRouting()), f"{AT}.trafficRouting: names no router"),
    (lambda: routed(set_weight(101)), f"{AT}.steps[0].setWeight"),
    (lambda: routed(HEADER), f"{AT}.steps[0].setHeaderRoute.name"),
    (lambda: routed(HEADER, traffic_routing=PLAIN), f"{AT}.steps[0].setHeaderRoute: router services cannot"),
    (lambda: routed(MIRROR, traffic_routing=PLAIN), f"{AT}.steps[0].setMirrorRoute: router services cannot"),
    (lambda: canary(weighed(5)), f"{AT}.steps[0].{WEIGHT}: Invalid value: 5: needs trafficRouting"),
    (lambda: routed(weighed(5), traffic_routing=PLAIN), f"{AT}.steps[0].{WEIGHT}: router services cannot"),
    (
        lambda: routed(set_weight(90), weighed(11)),
        f"{AT}.steps[1].experiment.templates: Invalid value: 11: the weights are more than the 10",
    ),
    (
        lambda: routed(weighed(5, scale_down_delay_seconds=0)),
        f"{AT}.steps[0].experiment.scaleDownDelaySeconds: Invalid value: 0: pods with a weight",
    ),
)


@pytest.mark.parametrize(("strategy", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_a_fault_is_told_with_its_field(strategy: Callable[[], Any], message: str) -> None:
    assert fault(rollout(strategy())).startswith(message)


def test_a_router_that_there_is_not_is_named_and_kept() -> None:
    written = {"istio": {"virtualService": {"name": "web"}}, "managedRoutes": [{"name": "beta"}]}
    routing = parse(TrafficRouting, written, "trafficRouting")

    told = fault(rollout(routed(traffic_routing=routing)), missing=("istio",))

    assert told.startswith(f"{AT}.trafficRouting.istio: this router is not available in this controller")
    assert dump(routing) == written


def test_a_weight_up_to_another_maximum_is_right() -> None:
    routing = TrafficRouting(plugins={"recording": {}}, max_traffic_weight=1000)

    assert fault(rollout(routed(set_weight(1000), traffic_routing=routing))) == ""


def routes(cluster: FakeCluster) -> tuple[SetHeaderRoute, ...]:
    (route,) = cluster.snapshot().routes
    assert route.shares is not None
    return route.shares.header_routes


def at_header_route(*more: CanaryStep) -> FakeCluster:
    steps = (set_scale(replicas=1), HEADER, *more, pause())
    cluster = FakeCluster(rollout(routed(*steps, traffic_routing=MANAGED)), services=("canary", "stable"))
    cluster.run()
    cluster.deploy("v2")
    cluster.run()
    return cluster


def test_a_header_route_is_set_by_its_step_and_gone_after_the_abort() -> None:
    cluster = at_header_route()
    assert routes(cluster) == (BETA,)

    cluster.abort()
    cluster.run()
    assert routes(cluster) == ()


def test_a_header_route_is_gone_after_promotion() -> None:
    cluster = at_header_route()

    cluster.promote()
    cluster.run()

    assert cluster.status.stable_rs == "hash-v2"
    assert routes(cluster) == ()


def test_a_step_without_a_match_removes_the_route() -> None:
    cluster = at_header_route(CanaryStep(set_header_route=SetHeaderRoute("beta")))

    assert routes(cluster) == ()
