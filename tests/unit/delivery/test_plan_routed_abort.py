"""An abort with routers: the weight goes back first, and the pods after it."""

from __future__ import annotations

import pytest

from rollouts.api.rollout_status import Phase
from tests.builders import pause, set_weight
from tests.unit.delivery.routed_cluster import RECORDING, updating, weights


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
