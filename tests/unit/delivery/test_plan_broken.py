"""A stable revision that is broken: the deadline is told, and the next revision need not wait for it."""

from __future__ import annotations

import pytest

from rollouts.api.analysis import AnalysisPhase
from rollouts.api.rollout_status import CompletionStatus, Phase
from tests.builders import analyse, blue_green, canary, pause, rollout, set_weight, template
from tests.fakes import FakeCluster

TEMPLATES = {"success-rate": template("success-rate")}
STEPS = canary(set_weight(25), pause())


def only_v2(version: str) -> bool:
    return version == "v2"


def with_lost_pods(seconds: float, strategy: object = STEPS) -> FakeCluster:
    cluster = FakeCluster(rollout(strategy), services=("active",), templates=TEMPLATES)  # type: ignore[arg-type]
    cluster.run()
    cluster.run(ready=only_v2)
    cluster.tick(seconds, ready=only_v2)
    cluster.told.clear()
    return cluster


def test_the_deadline_counts_for_a_stable_revision_too() -> None:
    cluster = with_lost_pods(600)

    assert cluster.status.phase is Phase.DEGRADED
    assert cluster.status.message.startswith("ProgressDeadlineExceeded")


@pytest.mark.parametrize("strategy", [STEPS, canary(analyse()), blue_green(auto_promotion_enabled=False)])
def test_the_next_revision_replaces_it_without_steps(strategy: object) -> None:
    cluster = with_lost_pods(600, strategy)

    cluster.deploy("v2")
    cluster.run(ready=only_v2)

    assert (cluster.status.phase, cluster.status.stable_rs) == (Phase.HEALTHY, "hash-v2")
    assert "Stable serves nobody: it is replaced without steps" in {e.message for e in cluster.told}
    assert cluster.status.duration is not None
    assert cluster.status.duration.completion_status is CompletionStatus.FAST_PROMOTED


def test_pods_that_are_away_for_a_moment_leave_out_no_step() -> None:
    cluster = with_lost_pods(599)

    cluster.deploy("v2")
    cluster.run(ready=only_v2)

    assert (cluster.status.phase, cluster.status.step) == (Phase.PAUSED, "1/2")


def test_one_pod_that_serves_is_protected() -> None:
    cluster = with_lost_pods(600)
    v1 = cluster.of("v1")
    assert v1 is not None
    v1.pods[0].available = True

    cluster.deploy("v2")
    cluster.settle()

    assert not cluster.status.promote_full


def test_after_an_abort_to_a_broken_stable_a_newer_commit_goes_straight() -> None:
    cluster = FakeCluster(rollout(canary(set_weight(25), analyse())), templates=TEMPLATES)
    cluster.run()
    cluster.deploy("v2")
    cluster.run()
    cluster.finish_run("web-hash-v2-2-1", AnalysisPhase.FAILED)
    cluster.run(ready=lambda version: False)
    assert cluster.status.phase is Phase.DEGRADED
    cluster.tick(600, ready=lambda version: version == "v3")

    cluster.deploy("v3")
    cluster.run(ready=lambda version: version == "v3")

    assert (cluster.status.phase, cluster.sizes()) == (Phase.HEALTHY, {"v3": 4})


def test_a_weight_that_goes_down_does_not_wait_for_what_stable_cannot_take_over() -> None:
    strategy = canary(set_weight(75), pause(), set_weight(25), pause(), max_surge=0, max_unavailable=1)
    cluster = FakeCluster(rollout(strategy))
    cluster.run()
    cluster.deploy("v2")
    cluster.run()
    cluster.run(ready=only_v2)
    cluster.promote()

    cluster.run(ready=only_v2)

    assert cluster.status.step == "3/4"
    assert cluster.size("v2") == 3, "nobody who serves is taken away"
