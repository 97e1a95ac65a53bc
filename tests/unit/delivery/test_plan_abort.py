"""Abort, retry and the progress deadline: evaluated first, and back to stable from anywhere."""

from __future__ import annotations

import pytest

from rollouts.api.rollout_status import CompletionStatus, Phase
from rollouts.api.strategy import RolloutStrategy
from rollouts.delivery.actions import PatchReplicaSet
from tests.builders import analyse, canary, pause, rollout, set_weight, template
from tests.fakes import FakeCluster


def paused_at(percent: int, **fields: object) -> FakeCluster:
    strategy = canary(set_weight(percent), pause(), max_surge=1, max_unavailable=0)
    cluster = FakeCluster(rollout(strategy, **fields))  # type: ignore[arg-type]
    cluster.run()
    cluster.told.clear()
    cluster.deploy("v2")
    cluster.run()
    assert cluster.status.phase is Phase.PAUSED
    return cluster


def test_an_abort_brings_stable_back_and_says_who_asked() -> None:
    cluster = paused_at(50)

    cluster.abort()
    cluster.run()

    assert cluster.sizes() == {"v1": 4}
    status = cluster.status
    assert (status.phase, status.step) == (Phase.DEGRADED, "0/2")
    assert status.abort_reason is not None
    assert (status.abort_reason.reason, status.abort_reason.step) == ("Aborted", 1)
    assert "step 2/2 (pause): on request" in status.message
    assert status.duration is not None
    assert status.duration.completion_status is CompletionStatus.ABORTED
    assert "RolloutAborted" in cluster.reasons()


def test_stable_comes_up_before_the_canary_goes_down() -> None:
    cluster = paused_at(100)
    assert cluster.sizes() == {"v2": 4}
    cluster.abort()

    sizes = []
    for _ in range(6):
        cluster.settle()
        sizes.append(dict(cluster.sizes()))
        cluster.replica_set_controller()
        cluster.make_ready()

    assert sizes[0] == {"v1": 1, "v2": 4}
    assert sizes[1] == {"v1": 2, "v2": 3}
    assert sizes[-1] == {"v1": 4}


def test_an_abort_is_told_once() -> None:
    cluster = paused_at(50)
    cluster.abort()
    cluster.run()
    cluster.tick(3600)

    assert cluster.reasons().count("RolloutAborted") == 1


def test_an_abort_goes_through_while_a_person_holds_the_update() -> None:
    cluster = paused_at(50)
    cluster.edit(paused=True)
    cluster.run()

    cluster.abort()
    cluster.run()

    assert cluster.sizes() == {"v1": 4}
    assert cluster.status.phase is Phase.DEGRADED


def test_an_abort_does_not_wait_for_a_template_that_somebody_deleted() -> None:
    strategy = canary(set_weight(50), pause(), analyse("success-rate"), max_surge=1, max_unavailable=0)
    cluster = FakeCluster(rollout(strategy), templates={"success-rate": template("success-rate")})
    cluster.run()
    cluster.deploy("v2")
    cluster.run()
    cluster.templates.clear()

    cluster.abort()
    cluster.run()

    assert cluster.sizes() == {"v1": 4}
    assert cluster.status.aborted_at is not None


def test_an_abort_with_nothing_to_abort_is_taken_back() -> None:
    cluster = FakeCluster(rollout(canary()))
    cluster.run()

    cluster.abort()
    cluster.run()

    assert not cluster.status.abort
    assert cluster.status.phase is Phase.HEALTHY


def test_an_abort_of_the_first_deployment_keeps_its_pods() -> None:
    cluster = FakeCluster(rollout(canary(pause())))
    cluster.run(ready=lambda version: False)
    cluster.abort()
    cluster.run()

    assert cluster.status.phase is Phase.DEGRADED
    assert cluster.sizes() == {"v1": 4}
    cluster.retry()
    cluster.run()
    assert cluster.status.phase is Phase.HEALTHY


def test_a_retry_starts_at_the_first_step() -> None:
    cluster = paused_at(50)
    cluster.abort()
    cluster.run()

    cluster.retry()
    cluster.run()

    assert cluster.sizes() == {"v1": 2, "v2": 2}
    assert (cluster.status.phase, cluster.status.step) == (Phase.PAUSED, "1/2")
    assert (cluster.status.attempt, cluster.status.abort_reason) == (1, None)
    assert "RolloutRetry" in cluster.reasons()


def test_a_newer_version_ends_an_abort() -> None:
    cluster = paused_at(50)
    cluster.abort()
    cluster.run()

    cluster.deploy("v3")
    cluster.run()

    assert not cluster.status.abort
    assert cluster.status.phase is Phase.PAUSED
    assert cluster.sizes() == {"v1": 2, "v3": 2}


def test_a_full_promotion_ends_an_abort() -> None:
    cluster = paused_at(50)
    cluster.abort()
    cluster.run()

    cluster.promote_full()
    cluster.run()

    assert cluster.sizes() == {"v2": 4}
    assert cluster.status.phase is Phase.HEALTHY


def test_an_abort_during_a_full_promotion_wins() -> None:
    cluster = paused_at(50)
    cluster.promote_full()
    cluster.run(ready=lambda version: version == "v1")

    cluster.abort()
    cluster.run()

    assert cluster.sizes() == {"v1": 4}
    assert not cluster.status.promote_full


def test_an_update_without_progress_is_degraded_after_the_deadline() -> None:
    cluster = FakeCluster(rollout(canary(set_weight(50)), progress_deadline_seconds=60))
    cluster.run()
    cluster.told.clear()
    cluster.deploy("v2")
    cluster.run(ready=lambda version: version == "v1")

    wake = cluster.decide().requeue_at
    assert wake is not None
    assert (wake - cluster.now).total_seconds() == 60
    cluster.tick(59, ready=lambda version: version == "v1")
    assert cluster.status.phase is Phase.PROGRESSING
    cluster.tick(1, ready=lambda version: version == "v1")

    assert cluster.status.phase is Phase.DEGRADED
    assert cluster.status.message.startswith("ProgressDeadlineExceeded: ")
    assert not cluster.status.abort
    assert cluster.reasons().count("ProgressDeadlineExceeded") == 1
    cluster.tick(600, ready=lambda version: version == "v1")
    assert cluster.reasons().count("ProgressDeadlineExceeded") == 1


def test_progress_ends_the_deadline() -> None:
    cluster = FakeCluster(rollout(canary(set_weight(50)), progress_deadline_seconds=60))
    cluster.run()
    cluster.deploy("v2")
    cluster.run(ready=lambda version: version == "v1")
    cluster.tick(61, ready=lambda version: version == "v1")
    assert cluster.status.phase is Phase.DEGRADED

    cluster.run()

    assert cluster.status.phase is Phase.HEALTHY


def test_the_deadline_aborts_where_that_is_asked_for() -> None:
    cluster = FakeCluster(
        rollout(canary(set_weight(50)), progress_deadline_seconds=60, progress_deadline_abort=True)
    )
    cluster.run()
    cluster.deploy("v2")
    cluster.run(ready=lambda version: version == "v1")

    cluster.tick(60, ready=lambda version: version == "v1")

    assert cluster.sizes() == {"v1": 4}
    assert cluster.status.abort_reason is not None
    assert cluster.status.abort_reason.reason == "ProgressDeadlineExceeded"


def test_a_crash_loop_does_not_renew_the_deadline() -> None:
    """A pod that is ready for a moment, again and again, is no progress."""
    cluster = FakeCluster(rollout(canary(set_weight(50)), replicas=4, progress_deadline_seconds=60))
    cluster.run()
    cluster.deploy("v2")
    cluster.settle()
    cluster.replica_set_controller()
    for second in range(0, 120, 10):
        rs = cluster.of("v2")
        assert rs is not None
        for pod in rs.pods[:1]:
            pod.available = second % 20 == 0
        cluster.now = cluster.now.replace(minute=second // 60, second=second % 60)
        cluster.settle()

    assert cluster.status.phase is Phase.DEGRADED


def test_the_deadline_stands_still_during_a_pause() -> None:
    cluster = paused_at(50, progress_deadline_seconds=60)

    cluster.tick(3600)
    assert cluster.status.phase is Phase.PAUSED
    assert cluster.status.last_progress_at is None
    cluster.promote()
    cluster.run()

    assert cluster.status.phase is Phase.HEALTHY


def test_the_deadline_stands_still_while_a_person_holds_the_update() -> None:
    cluster = FakeCluster(rollout(canary(set_weight(50)), progress_deadline_seconds=60))
    cluster.run()
    cluster.deploy("v2")
    cluster.run(ready=lambda version: version == "v1")
    cluster.edit(paused=True)
    cluster.tick(600, ready=lambda version: version == "v1")
    assert cluster.status.phase is Phase.PAUSED

    cluster.edit(paused=False)
    cluster.run(ready=lambda version: version == "v1")

    assert cluster.status.phase is Phase.PROGRESSING
    assert cluster.status.last_progress_at == cluster.now


def test_a_promoted_version_whose_pods_die_is_degraded_in_the_end() -> None:
    cluster = FakeCluster(rollout(canary(), progress_deadline_seconds=60))
    cluster.run()
    cluster.tick(0, ready=lambda version: False)
    assert cluster.status.phase is Phase.PROGRESSING

    cluster.tick(60, ready=lambda version: False)

    assert cluster.status.phase is Phase.DEGRADED
    assert not cluster.status.abort
    cluster.run()
    assert cluster.status.phase is Phase.HEALTHY


@pytest.mark.parametrize("percent", [0, 25, 50, 75, 100])
def test_every_write_of_an_abort_leaves_enough_pods(percent: int) -> None:
    cluster = paused_at(percent)
    cluster.abort()

    for _ in range(12):
        decided = cluster.decide()
        for action in decided.actions:
            cluster.act(action)
            if isinstance(action, PatchReplicaSet):
                ready = sum(min(rs.available, rs.replicas) for rs in cluster.sets.values())
                assert ready >= 4
        cluster.apply(type(decided)(status=decided.status))
        cluster.replica_set_controller()
        cluster.make_ready()
    assert cluster.sizes() == {"v1": 4}


def test_other_steps_end_an_abort_and_begin_a_new_measurement_of_time() -> None:
    cluster = paused_at(50)
    cluster.abort()
    cluster.run()
    cluster.now = cluster.now.replace(hour=13)

    cluster.edit(strategy=RolloutStrategy(canary=canary(set_weight(25), pause())))
    cluster.run()

    assert not cluster.status.abort
    assert cluster.sizes() == {"v1": 3, "v2": 1}
    assert cluster.status.duration is not None
    assert cluster.status.duration.rollout_started_at == cluster.now


def test_the_deadline_aborts_nothing_that_a_person_holds() -> None:
    cluster = FakeCluster(
        rollout(canary(set_weight(50)), progress_deadline_seconds=60, progress_deadline_abort=True)
    )
    cluster.run()
    cluster.deploy("v2")
    cluster.run(ready=lambda version: version == "v1")

    cluster.edit(paused=True)
    cluster.tick(600, ready=lambda version: version == "v1")

    assert cluster.status.phase is Phase.PAUSED
    assert not cluster.status.abort
