"""analyzeInitialDeploy: the first deployment is stable only when its analyses succeed."""

from __future__ import annotations

import pytest

from rollouts.api.analysis import AnalysisPhase
from rollouts.api.rollout_status import Phase
from tests.builders import (
    analyse,
    analysis,
    background,
    bake,
    blue_green,
    canary,
    pause,
    rollout,
    routed,
    set_weight,
    template,
)
from tests.fakes import FakeCluster

TEMPLATES = {"success-rate": template("success-rate")}


def first(strategy: object, **fields: object) -> FakeCluster:
    subject = rollout(strategy, analyze_initial_deploy=True, **fields)  # type: ignore[arg-type]
    cluster = FakeCluster(subject, services=("active",), templates=TEMPLATES)
    cluster.run()
    return cluster


STEPS = canary(set_weight(20), pause(), analyse(), set_weight(50))


def test_all_pods_come_up_and_the_analysis_has_the_say() -> None:
    cluster = first(STEPS)

    assert cluster.sizes() == {"v1": 4}
    assert (cluster.status.phase, cluster.status.stable_rs, cluster.status.step) == (
        Phase.PROGRESSING,
        "",
        "2/4",
    )
    cluster.finish_run("web-hash-v1-1-2", AnalysisPhase.SUCCESSFUL)
    cluster.run()

    assert (cluster.status.phase, cluster.status.stable_rs) == (Phase.HEALTHY, "hash-v1")


def test_a_failure_leaves_nothing_stable_and_says_so() -> None:
    cluster = first(STEPS)

    cluster.finish_run("web-hash-v1-1-2", AnalysisPhase.FAILED, value="0.1")
    cluster.run()

    assert (cluster.status.phase, cluster.status.stable_rs) == (Phase.DEGRADED, "")
    assert cluster.sizes() == {"v1": 4}, "there is nothing to go back to"
    assert cluster.status.abort_reason is not None
    assert "there is no stable revision to go back to" in cluster.status.abort_reason.message
    assert cluster.status.abort_reason.step == 2


def test_the_next_version_after_a_failure_is_a_first_deployment_again() -> None:
    cluster = first(STEPS)
    cluster.finish_run("web-hash-v1-1-2", AnalysisPhase.FAILED)
    cluster.run()

    cluster.deploy("v2")
    cluster.run()
    assert (cluster.sizes(), cluster.status.stable_rs) == ({"v2": 4}, "")
    cluster.finish_run("web-hash-v2-2-2", AnalysisPhase.SUCCESSFUL)
    cluster.run()

    assert cluster.status.stable_rs == "hash-v2"


def test_an_aborted_first_deployment_waits_for_nobody() -> None:
    cluster = first(STEPS)
    cluster.abort()
    cluster.finish_run("web-hash-v1-1-2", AnalysisPhase.INCONCLUSIVE)
    cluster.run()

    assert (cluster.status.phase, cluster.status.pause_conditions) == (Phase.DEGRADED, ())


def test_a_retry_analyses_again() -> None:
    cluster = first(STEPS)
    cluster.finish_run("web-hash-v1-1-2", AnalysisPhase.FAILED)
    cluster.run()

    cluster.retry()
    cluster.run()

    assert "web-hash-v1-1-2.1" in cluster.runs


def test_an_analysis_beside_the_steps_has_the_time_of_the_pauses() -> None:
    cluster = first(canary(set_weight(20), pause(60), pause(), analysis=background()))
    assert (cluster.sizes(), cluster.status.phase) == ({"v1": 4}, Phase.PAUSED)

    cluster.finish_run("web-hash-v1-1", AnalysisPhase.FAILED)
    cluster.run()
    assert (cluster.status.phase, cluster.status.stable_rs) == (Phase.DEGRADED, "")

    cluster.retry()
    cluster.run()
    cluster.tick(60)
    assert cluster.status.stable_rs == "hash-v1", "nobody is waited for"


def test_blue_green_switches_only_after_the_analysis() -> None:
    strategy = blue_green(
        pre_promotion_analysis=analysis(), auto_promotion_enabled=False, preview_replica_count=1
    )
    cluster = first(strategy)
    assert (cluster.sizes(), cluster.selected("active")) == ({"v1": 4}, "")

    cluster.finish_run("web-hash-v1-1-pre", AnalysisPhase.SUCCESSFUL)
    cluster.run()

    assert (cluster.status.phase, cluster.selected("active")) == (Phase.HEALTHY, "v1")


def test_the_first_deployment_bakes_too() -> None:
    cluster = first(canary(), bake=bake(60))
    assert cluster.status.stable_rs == ""

    cluster.tick(60)

    assert cluster.status.stable_rs == "hash-v1"


def test_a_full_promotion_needs_no_analysis() -> None:
    cluster = first(STEPS)

    cluster.promote_full()
    cluster.run()

    assert cluster.status.phase is Phase.HEALTHY


@pytest.mark.parametrize("strategy", [STEPS, blue_green(pre_promotion_analysis=analysis())])
def test_without_it_the_first_deployment_is_not_analysed(strategy: object) -> None:
    cluster = FakeCluster(rollout(strategy), services=("active",), templates=TEMPLATES)  # type: ignore[arg-type]
    cluster.run()

    assert cluster.status.phase is Phase.HEALTHY
    assert not cluster.runs


def test_with_a_router_the_first_deployment_is_analysed_as_well() -> None:
    subject = rollout(routed(set_weight(20), analyse(), set_weight(60)), analyze_initial_deploy=True)
    cluster = FakeCluster(subject, services=("canary", "stable"), templates=TEMPLATES)
    cluster.run()
    assert (cluster.sizes(), cluster.status.step) == ({"v1": 4}, "1/3")

    cluster.finish_run("web-hash-v1-1-1", AnalysisPhase.SUCCESSFUL)
    cluster.run()

    assert (cluster.status.phase, cluster.status.stable_rs) == (Phase.HEALTHY, "hash-v1")


def test_a_first_version_that_never_came_up_gives_way_within_the_bounds() -> None:
    """As stable would: it may only be slow, and until the next one is there nothing is won by its end."""
    cluster = FakeCluster(rollout(canary(max_surge=1, max_unavailable=0)))
    cluster.run(ready=lambda _: False)

    cluster.deploy("v2")
    cluster.run(ready=lambda _: False)
    assert cluster.sizes() == {"v1": 4, "v2": 1}

    cluster.deploy("v3")
    cluster.run(ready=lambda _: False)
    assert cluster.sizes() == {"v1": 4, "v3": 1}

    cluster.run()
    assert cluster.sizes() == {"v3": 4}
    assert cluster.status.stable_rs == "hash-v3"
