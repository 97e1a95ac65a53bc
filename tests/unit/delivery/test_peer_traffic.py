"""Canaries with a router, step by step, as argo-rollouts is known to take them: pods, shares and Services.

Facts of its end-to-end tests (test/e2e/canary_test.go), in words of our own. So many pods of a version are ready as
is said, no more.
"""

from __future__ import annotations

from typing import Any

from rollouts.api.rollout_status import Phase
from rollouts.api.strategy import CanaryStep
from tests.builders import pause, rollout, routed, set_scale, set_weight
from tests.fakes import FakeCluster

DYNAMIC = (set_weight(25), pause(), set_weight(75), pause())


class Routed(FakeCluster):
    """Four replicas behind a router."""

    def __init__(self, *steps: CanaryStep, **fields: Any) -> None:
        strategy = routed(*steps, **fields)
        super().__init__(rollout(strategy, replicas=4), services=("canary", "stable"))
        self.is_ready = {"v1": 4}
        self.rest()
        assert self.status.phase is Phase.HEALTHY

    def ready(self, **counts: int) -> None:
        self.is_ready.update(counts)
        self.rest()

    def rest(self) -> None:
        for _ in range(100):
            before = self.state()
            self.settle()
            self.replica_set_controller()
            for rs in self.sets.values():
                count = self.is_ready.get(rs.hash.removeprefix("hash-"), 0)
                for number, pod in enumerate(rs.pods):
                    pod.available = number < count
            if self.state() == before:
                return
        raise AssertionError("the cluster does not come to rest")

    @property
    def pods(self) -> tuple[int, int]:
        """Of canary and stable."""
        return self.size("v2"), self.size("v1")

    @property
    def share(self) -> int:
        assert self.status.canary.weights is not None
        return self.status.canary.weights.canary.weight

    @property
    def leaves(self) -> bool:
        rs = self.of("v2")
        return rs is not None and rs.deadline is not None


def updating(*steps: CanaryStep, **fields: Any) -> Routed:
    cluster = Routed(*steps, **fields)
    cluster.deploy("v2")
    cluster.ready(v2=4)
    return cluster


def test_a_scale_of_its_own_and_back_to_the_weight() -> None:
    cluster = updating(
        pause(),
        set_scale(weight=25),
        pause(100),
        set_weight(50),
        pause(10),
        set_scale(replicas=3),
        pause(),
        set_scale(match_traffic_weight=True),
        pause(5),
    )
    seen = [cluster.pods]
    for _ in range(4):
        cluster.promote()
        cluster.rest()
        seen.append(cluster.pods)
    assert seen == [(0, 4), (1, 4), (1, 4), (3, 4), (2, 4)]

    cluster.promote()
    cluster.rest()
    assert (cluster.status.phase, cluster.pods) == (Phase.HEALTHY, (4, 4))


def scaled(**fields: Any) -> Routed:
    """At 75 %, stable scaled down to one pod."""
    cluster = updating(*DYNAMIC, dynamic_stable_scale=True, **fields)
    assert cluster.pods == (1, 3)
    cluster.promote()
    cluster.rest()
    assert (cluster.status.phase, cluster.pods, cluster.share) == (Phase.PAUSED, (3, 1), 75)
    return cluster


def test_an_abort_gives_up_the_canary_as_stable_comes_up() -> None:
    cluster = scaled()
    cluster.is_ready["v1"] = 1
    cluster.abort()
    cluster.rest()
    assert (cluster.size("v2"), cluster.share) == (3, 75)

    cluster.ready(v1=3)
    assert (cluster.pods, cluster.share) == ((1, 4), 25)
    assert cluster.selected("canary") == "v2"

    cluster.ready(v1=4)
    cluster.tick(60, ready=lambda _: True)
    assert (cluster.pods, cluster.share) == ((0, 4), 0)
    assert cluster.selected("canary") == cluster.selected("stable") == "v1"


def test_an_abort_with_a_delay_of_its_own_keeps_the_canary_until_nobody_is_sent_to_it() -> None:
    cluster = scaled(abort_scale_down_delay_seconds=10)
    cluster.is_ready["v1"] = 1
    cluster.abort()
    cluster.rest()
    assert (cluster.size("v2"), cluster.share, cluster.leaves) == (3, 75, False)

    cluster.ready(v1=3)
    assert (cluster.pods, cluster.share, cluster.leaves) == ((3, 4), 25, False)

    cluster.ready(v1=4)
    assert (cluster.pods, cluster.share, cluster.leaves) == ((3, 4), 0, True)

    cluster.tick(10)
    assert cluster.pods == (0, 4)
    assert cluster.selected("canary") == cluster.selected("stable") == "v1"


def test_back_to_a_stable_that_was_scaled_down() -> None:
    cluster = updating(*DYNAMIC, dynamic_stable_scale=True)
    assert (cluster.pods, cluster.share) == ((1, 3), 25)
    cluster.is_ready["v1"] = 3
    cluster.deploy("v1")
    cluster.rest()
    assert (cluster.pods, cluster.share) == ((1, 4), 25)
    assert (cluster.selected("canary"), cluster.selected("stable")) == ("v2", "v1")

    cluster.ready(v1=4)
    assert (cluster.pods, cluster.share) == ((0, 4), 0)
    assert cluster.selected("canary") == cluster.selected("stable") == "v1"
