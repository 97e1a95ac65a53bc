"""The contract of every router: what is rendered is read back, and rendered again it is nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from rollouts import routing
from rollouts.api.rollout_status import WeightDestination
from rollouts.api.traffic import HeaderRoutingMatch, SetHeaderRoute, Shares, StringMatch
from rollouts.routing import Object, Owner, Router, RouterError, Sides
from rollouts.routing.recording import Recording
from rollouts.routing.services import Services

OWNER = Owner("web", "shop", "argo-rollouts.rollouts.dev/managed-by-rollouts")
SIDES = Sides("canary", "stable", "bbb", "aaa")
HASH = "rollouts-pod-template-hash"
ROUTERS: tuple[tuple[Router, Mapping[str, Any]], ...] = (
    (Services(), {"rootService": "web"}),
    (Recording(), {"configMap": "web"}),
)


def shares(weight: int, **fields: Any) -> Shares:
    return Shares(
        WeightDestination(weight, "canary", "bbb"), WeightDestination(100 - weight, "stable", "aaa"), **fields
    )


def merged(before: Object, patch: Mapping[str, Any] | None) -> Object:
    after = dict(before)
    for key, value in (patch or {}).items():
        if value is None:
            after.pop(key, None)
        else:
            after[key] = merged(after.get(key, {}), value) if isinstance(value, Mapping) else value
    return after


def told(router: Router, config: Mapping[str, Any], weight: int, before: Object) -> Object:
    (patch,) = router.render([before], shares(weight), OWNER, config)
    return merged(before, patch)


@pytest.mark.parametrize(("router", "config"), ROUTERS)
@pytest.mark.parametrize("weight", [0, 100])
def test_what_is_rendered_is_read_back(router: Router, config: Mapping[str, Any], weight: int) -> None:
    after = told(router, config, weight, {})

    read = router.read([after], SIDES, config)
    assert read.shares is not None
    assert (read.shares.canary.weight, read.shares.stable.weight) == (weight, 100 - weight)


@pytest.mark.parametrize(("router", "config"), ROUTERS)
@pytest.mark.parametrize("weight", [0, 1, 50, 99, 100])
def test_what_is_so_already_is_not_written(router: Router, config: Mapping[str, Any], weight: int) -> None:
    after = told(router, config, weight, {})

    assert router.render([after], shares(weight), OWNER, config) == [None]


@pytest.mark.parametrize(("router", "config"), ROUTERS)
def test_an_object_with_nothing_of_ours_is_no_fault(router: Router, config: Mapping[str, Any]) -> None:
    assert router.read([{}], SIDES, config).shares is None
    assert len(router.places(config)) == 1


def test_plain_services_say_that_pods_are_mixed() -> None:
    after = told(Services(), {}, 50, {"spec": {"selector": {"app": "web", HASH: "aaa"}}})

    assert after["spec"] == {"selector": {"app": "web"}}
    read = Services().read([after], SIDES, {})
    assert read.shared
    assert read.shares is None


def test_a_selector_of_somebody_else_is_not_taken_for_a_side() -> None:
    read = Services().read([{"spec": {"selector": {HASH: "ccc"}}}], SIDES, {})

    assert not read.shared
    assert read.shares is None


def test_the_recording_router_keeps_routes_and_history() -> None:
    header = SetHeaderRoute("beta", (HeaderRoutingMatch("x-beta", StringMatch(exact="1")),))
    router, kept = Recording(), {}
    for given in (shares(20), shares(40), shares(40, header_routes=(header,))):
        (patch,) = router.render([kept], given, OWNER, {})
        kept = merged(kept, patch)  # type: ignore[assignment]

    assert kept["data"]["history"] == "[20, 40]"
    read = router.read([kept], SIDES, {})
    assert read.shares is not None
    assert read.shares.header_routes == (header,)


def test_the_recording_router_can_be_told_to_fail() -> None:
    with pytest.raises(RouterError, match="forbidden"):
        Recording().render([{"data": {"fail": "forbidden"}}], shares(1), OWNER, {})


@pytest.mark.parametrize("data", [{"unverified": ""}, {"verifyError": "gone"}])
def test_the_recording_router_can_be_told_to_deny(data: Mapping[str, str]) -> None:
    read = Recording().read([{"data": data}], SIDES, {})

    assert read.verified is False
    assert read.verify_error == data.get("verifyError", "")


def test_the_registry_has_our_routers() -> None:
    known = routing.registry()

    assert isinstance(known["services"], Services)
    assert "istio" not in known
    assert set(known) >= {"services"}
    assert len(known) >= 1
