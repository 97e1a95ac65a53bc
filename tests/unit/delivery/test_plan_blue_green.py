"""Blue-green: preview, analysis, pause, switch, the old version's delay, going back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rollouts.api.analysis import AnalysisPhase
from rollouts.api.rollout_status import PauseReason, Phase
from rollouts.delivery.actions import PatchReplicaSet, SwitchService
from tests.builders import analysis, blue_green, rollout, template
from tests.fakes import FakeCluster

TEMPLATES = {"success-rate": template("success-rate")}


def deployed(replicas: int = 3, **fields: object) -> FakeCluster:
    strategy = blue_green(preview_service="preview", **fields)
    cluster = FakeCluster(
        rollout(strategy, replicas=replicas), services=("active", "preview"), templates=TEMPLATES
    )
    cluster.run()
    assert cluster.status.phase is Phase.HEALTHY
    cluster.told.clear()
    return cluster


def updated(**fields: object) -> FakeCluster:
    cluster = deployed(**fields)  # type: ignore[arg-type]
    cluster.deploy("v2")
    cluster.run()
    return cluster


def test_the_first_deployment_switches_the_service_when_all_pods_are_available() -> None:
    cluster = FakeCluster(rollout(blue_green()), services=("active",))
    cluster.run(ready=lambda version: False)
    assert cluster.selected("active") == ""

    cluster.run()

    assert cluster.selected("active") == "v1"
    assert cluster.status.stable_rs == "hash-v1"
    assert cluster.reasons() == [
        "RolloutUpdated",
        "NewReplicaSetCreated",
        "RolloutCompleted",
        "SwitchService",
    ]


def test_the_service_is_switched_only_when_all_pods_are_available() -> None:
    cluster = deployed()
    cluster.deploy("v2")
    cluster.run(ready=lambda version: version == "v1")

    assert cluster.sizes() == {"v1": 3, "v2": 3}
    assert (cluster.selected("active"), cluster.selected("preview")) == ("v1", "v2")
    assert cluster.status.blue_green.preview_selector == "hash-v2"
    cluster.run()

    assert cluster.selected("active") == "v2"
    assert cluster.status.phase is Phase.HEALTHY


def test_the_old_version_is_kept_up_for_its_delay() -> None:
    cluster = updated()
    rs = cluster.of("v1")
    assert rs is not None
    assert rs.deadline == cluster.now + timedelta(seconds=30)
    assert cluster.decide().requeue_at == rs.deadline
    assert cluster.sizes() == {"v1": 3, "v2": 3}
    assert cluster.status.available_replicas == 3  # pods that users reach

    cluster.tick(30)

    assert cluster.sizes() == {"v2": 3}
    assert rs.deadline is None


def test_without_a_delay_the_old_version_goes_after_the_switch() -> None:
    cluster = deployed(scale_down_delay_seconds=0)
    cluster.deploy("v2")
    cluster.settle()
    cluster.replica_set_controller()
    cluster.make_ready()

    actions = cluster.decide().actions

    switch = next(i for i, a in enumerate(actions) if isinstance(a, SwitchService) and a.name == "active")
    down = next(i for i, a in enumerate(actions) if isinstance(a, PatchReplicaSet) and a.replicas == 0)
    assert switch < down


def test_only_so_many_old_versions_are_kept_up() -> None:
    cluster = deployed(scale_down_delay_revision_limit=1, scale_down_delay_seconds=600)
    for version in ("v2", "v3"):
        cluster.deploy(version)
        cluster.run()

    assert cluster.sizes() == {"v2": 3, "v3": 3}


def test_without_auto_promotion_it_waits_for_a_person() -> None:
    cluster = updated(auto_promotion_enabled=False)

    [condition] = cluster.status.pause_conditions
    assert condition.reason is PauseReason.BLUE_GREEN_PAUSE
    assert cluster.selected("active") == "v1"
    cluster.tick(3600)
    assert cluster.status.phase is Phase.PAUSED

    cluster.promote()
    cluster.run()

    assert cluster.selected("active") == "v2"
    assert cluster.status.phase is Phase.HEALTHY


def test_a_promotion_is_not_forgotten_when_a_pod_restarts_at_that_moment() -> None:
    cluster = updated(auto_promotion_enabled=False)
    cluster.make_ready(lambda version: version == "v1")
    cluster.promote()
    cluster.run(ready=lambda version: version == "v1")
    assert cluster.selected("active") == "v1"
    assert cluster.status.phase is Phase.PROGRESSING

    cluster.run()

    assert cluster.selected("active") == "v2"


def test_auto_promotion_may_take_its_time() -> None:
    cluster = updated(auto_promotion_seconds=60)
    assert cluster.status.phase is Phase.PAUSED

    cluster.tick(59)
    assert cluster.selected("active") == "v1"
    cluster.tick(1)

    assert cluster.selected("active") == "v2"


def test_auto_promotion_seconds_mean_nothing_without_auto_promotion() -> None:
    cluster = updated(auto_promotion_enabled=False, auto_promotion_seconds=1)

    cluster.tick(3600)

    assert cluster.status.phase is Phase.PAUSED


def test_a_small_preview_grows_before_the_switch() -> None:
    cluster = updated(preview_replica_count=1, auto_promotion_enabled=False)
    assert cluster.sizes() == {"v1": 3, "v2": 1}
    assert not cluster.status.blue_green.scale_up_preview_check_point

    cluster.promote()
    cluster.settle()
    assert cluster.sizes() == {"v1": 3, "v2": 3}
    assert cluster.selected("active") == "v1"
    assert cluster.status.blue_green.scale_up_preview_check_point
    cluster.run()

    assert cluster.selected("active") == "v2"
    assert not cluster.status.blue_green.scale_up_preview_check_point


def test_the_preview_is_analysed_before_the_switch() -> None:
    cluster = updated(pre_promotion_analysis=analysis())
    assert list(cluster.runs) == ["web-hash-v2-2-pre"]
    assert cluster.selected("active") == "v1"
    run = cluster.status.blue_green.pre_promotion_analysis_run_status
    assert run is not None
    assert run.status is AnalysisPhase.RUNNING

    cluster.finish_run("web-hash-v2-2-pre", AnalysisPhase.SUCCESSFUL)
    cluster.run()

    assert cluster.selected("active") == "v2"


def test_an_analysis_that_has_begun_is_not_begun_again_when_a_pod_restarts() -> None:
    cluster = updated(pre_promotion_analysis=analysis())

    cluster.run(ready=lambda version: version == "v1")

    assert list(cluster.runs) == ["web-hash-v2-2-pre"]
    assert not cluster.runs["web-hash-v2-2-pre"].terminating


def test_a_bad_preview_never_gets_a_user_and_goes_after_its_delay() -> None:
    cluster = updated(pre_promotion_analysis=analysis())

    cluster.finish_run("web-hash-v2-2-pre", AnalysisPhase.FAILED, value="0.5")
    cluster.run()

    assert cluster.selected("active") == "v1"
    assert cluster.status.phase is Phase.DEGRADED
    assert "PrePromotion AnalysisRun web-hash-v2-2-pre" in cluster.status.message
    assert cluster.sizes() == {"v1": 3, "v2": 3}
    cluster.tick(30)
    assert cluster.sizes() == {"v1": 3}
    assert cluster.status.phase is Phase.DEGRADED


def test_an_aborted_preview_is_kept_up_where_that_is_asked_for() -> None:
    cluster = updated(pre_promotion_analysis=analysis(), abort_scale_down_delay_seconds=0)
    cluster.abort()

    cluster.tick(3600)

    assert cluster.sizes() == {"v1": 3, "v2": 3}


def test_a_failure_after_the_switch_gives_users_the_old_version_back() -> None:
    cluster = updated(post_promotion_analysis=analysis())
    assert cluster.selected("active") == "v2"
    assert cluster.status.stable_rs == "hash-v1"
    assert cluster.status.message == "waiting for AnalysisRun web-hash-v2-2-post"

    cluster.finish_run("web-hash-v2-2-post", AnalysisPhase.FAILED, value="0.5")
    cluster.settle()

    assert cluster.selected("active") == "v1"
    assert cluster.status.phase is Phase.DEGRADED
    assert cluster.sizes()["v1"] == 3


def test_after_a_successful_analysis_the_new_version_is_stable() -> None:
    cluster = updated(post_promotion_analysis=analysis())

    cluster.finish_run("web-hash-v2-2-post", AnalysisPhase.SUCCESSFUL)
    cluster.run()

    assert cluster.status.stable_rs == "hash-v2"
    assert cluster.status.phase is Phase.HEALTHY
    run = cluster.status.blue_green.post_promotion_analysis_run_status
    assert run is not None
    assert run.status is AnalysisPhase.SUCCESSFUL


def test_an_inconclusive_analysis_waits_for_a_person() -> None:
    cluster = updated(pre_promotion_analysis=analysis())
    cluster.finish_run("web-hash-v2-2-pre", AnalysisPhase.INCONCLUSIVE)
    cluster.run()
    assert cluster.status.phase is Phase.PAUSED
    assert cluster.selected("active") == "v1"

    cluster.promote()
    cluster.run()

    assert list(cluster.runs) == ["web-hash-v2-2-pre", "web-hash-v2-2-pre.1"]
    cluster.finish_run("web-hash-v2-2-pre.1", AnalysisPhase.SUCCESSFUL)
    cluster.run()
    assert cluster.selected("active") == "v2"


def test_a_full_promotion_skips_analysis_and_pause() -> None:
    cluster = updated(pre_promotion_analysis=analysis(), auto_promotion_enabled=False)

    cluster.promote_full()
    cluster.run()

    assert cluster.selected("active") == "v2"
    assert cluster.status.phase is Phase.HEALTHY
    assert cluster.runs["web-hash-v2-2-pre"].terminating


def test_an_abort_and_a_retry() -> None:
    cluster = updated(auto_promotion_enabled=False)
    cluster.abort()
    cluster.run()
    assert cluster.status.phase is Phase.DEGRADED
    rs = cluster.of("v2")
    assert rs is not None
    assert rs.deadline is not None

    cluster.retry()
    cluster.run()

    assert rs.deadline is None
    assert cluster.status.phase is Phase.PAUSED
    cluster.promote()
    cluster.run()
    assert cluster.selected("active") == "v2"


def test_going_back_while_the_old_pods_are_up_needs_no_pause_and_no_analysis() -> None:
    cluster = deployed(auto_promotion_enabled=False, pre_promotion_analysis=analysis())
    cluster.tick(1)
    cluster.deploy("v2")
    cluster.run()
    cluster.finish_run("web-hash-v2-2-pre", AnalysisPhase.SUCCESSFUL)
    cluster.run()
    cluster.promote()
    cluster.run()
    assert cluster.selected("active") == "v2"

    cluster.deploy("v1")
    cluster.make_ready(lambda version: version == "v2")  # and its pods restart just now
    cluster.run(ready=lambda version: version == "v2")
    assert cluster.selected("active") == "v2"
    cluster.run()

    assert cluster.selected("active") == "v1"
    assert cluster.status.phase is Phase.HEALTHY
    assert list(cluster.runs) == ["web-hash-v2-2-pre"]
    assert cluster.ended[-1] == "Promoted"


def test_a_newer_version_takes_over_during_the_pause() -> None:
    cluster = updated(auto_promotion_enabled=False)

    cluster.deploy("v3")
    cluster.run()

    assert cluster.selected("preview") == "v3"
    assert cluster.status.phase is Phase.PAUSED
    assert cluster.sizes() == {"v1": 3, "v2": 3, "v3": 3}
    cluster.tick(30)
    assert cluster.sizes() == {"v1": 3, "v3": 3}


def test_going_back_to_stable_after_the_switch() -> None:
    cluster = updated(post_promotion_analysis=analysis())
    assert cluster.selected("active") == "v2"

    cluster.deploy("v1")
    cluster.run()

    assert cluster.selected("active") == "v1"
    assert cluster.status.phase is Phase.HEALTHY


def test_a_selector_that_somebody_edited_goes_back_to_what_serves() -> None:
    cluster = updated(auto_promotion_enabled=False)
    service = cluster.services["active"]
    assert service is not None

    cluster.services["active"] = replace(service, selected_hash="hash-other")
    cluster.run()

    assert cluster.selected("active") == "v1"
    assert cluster.status.phase is Phase.PAUSED


def test_counters_and_selector_are_of_the_pods_that_users_reach() -> None:
    cluster = updated(auto_promotion_enabled=False)

    status = cluster.status
    assert (status.replicas, status.updated_replicas) == (6, 3)
    assert (status.ready_replicas, status.available_replicas, status.hpa_replicas) == (3, 3, 3)
    assert status.selector == "app=web,rollouts-pod-template-hash=hash-v1"


@pytest.mark.parametrize("replicas", [0, 1, 5])
def test_scaling_is_served_during_the_pause(replicas: int) -> None:
    cluster = updated(auto_promotion_enabled=False)

    cluster.edit(replicas=replicas)
    cluster.run()

    assert cluster.size("v1") == cluster.size("v2") == replicas
    assert cluster.status.phase is Phase.PAUSED


def test_nothing_is_switched_while_a_person_holds_the_update() -> None:
    cluster = deployed()
    cluster.edit(paused=True)
    cluster.deploy("v2")
    cluster.run()

    assert cluster.sizes() == {"v1": 3}
    assert (cluster.selected("active"), cluster.selected("preview")) == ("v1", "v1")
    cluster.edit(paused=False)
    cluster.run()
    assert cluster.selected("active") == "v2"


@pytest.mark.parametrize("written", [0, 1, 2, 3])
def test_a_crash_at_the_switch_loses_and_repeats_nothing(written: int) -> None:
    cluster = deployed(auto_promotion_enabled=False, post_promotion_analysis=analysis())
    cluster.deploy("v2")
    cluster.run()
    cluster.promote()

    cluster.apply(cluster.decide(), upto=written)
    cluster.run()

    assert cluster.selected("active") == "v2"
    assert cluster.status.pause_conditions == ()
    assert list(cluster.runs) == ["web-hash-v2-2-post"]


@pytest.mark.parametrize("written", [0, 1, 2, 3])
def test_a_crash_does_not_make_a_fast_rollback_slow(written: int) -> None:
    cluster = deployed(auto_promotion_enabled=False)
    cluster.tick(1)
    cluster.deploy("v2")
    cluster.run()
    cluster.promote()
    cluster.run()
    cluster.deploy("v1")
    cluster.make_ready(lambda version: version == "v2")

    cluster.apply(cluster.decide(), upto=written)
    cluster.run()

    assert cluster.selected("active") == "v1"
    assert cluster.status.phase is Phase.HEALTHY


def test_a_newer_version_begins_with_a_small_preview_again() -> None:
    """As in argo-rollouts: that the one before was accepted says nothing about it."""
    strategy = blue_green(preview_service="preview", preview_replica_count=1, auto_promotion_enabled=False)
    cluster = FakeCluster(rollout(strategy), services=("active", "preview"))
    cluster.run()
    cluster.deploy("v2")
    cluster.run()
    cluster.promote()
    cluster.run(ready=lambda version: version == "v1")
    assert cluster.sizes() == {"v1": 4, "v2": 4}

    cluster.deploy("v3")
    cluster.run(ready=lambda version: version == "v1")

    assert cluster.size("v3") == 1
    assert cluster.selected("active") == "v1"
