"""Canary: first deployment, steps, pauses, promotion, superseding, going back."""

from __future__ import annotations

import pytest

from rollouts.api.rollout_status import CompletionStatus, PauseReason, Phase
from rollouts.delivery.actions import CreateReplicaSet, PatchReplicaSet
from tests.builders import background, canary, pause, rollout, set_weight, template, window
from tests.fakes import FakeCluster


def deployed(cluster: FakeCluster) -> FakeCluster:
    """v1 is stable and what it took is forgotten."""
    cluster.run()
    assert cluster.status.phase is Phase.HEALTHY
    cluster.told.clear()
    cluster.writes = cluster.status_writes = 0
    return cluster


def at_first_pause(**fields: object) -> FakeCluster:
    cluster = deployed(
        FakeCluster(rollout(canary(set_weight(25), pause(), set_weight(50), pause(60)), **fields))
    )
    cluster.deploy("v2")
    cluster.run()
    assert cluster.status.phase is Phase.PAUSED
    return cluster


def test_the_first_deployment_goes_straight_to_all_replicas() -> None:
    cluster = FakeCluster(rollout(canary(set_weight(25), pause())))

    decided = cluster.decide()

    create = decided.actions[0]
    assert isinstance(create, CreateReplicaSet)
    assert (create.name, create.replicas, create.revision) == ("web-hash-v1", 4, 1)
    assert decided.status.stable_rs == ""
    cluster.run()
    assert cluster.status.stable_rs == "hash-v1"
    assert cluster.status.step == "2/2"
    assert cluster.reasons() == ["RolloutUpdated", "NewReplicaSetCreated", "RolloutCompleted"]


def test_the_first_deployment_is_not_stable_before_all_pods_are_available() -> None:
    cluster = FakeCluster(rollout(canary()))
    cluster.run(ready=lambda version: False)

    assert cluster.status.stable_rs == ""
    assert cluster.status.phase is Phase.PROGRESSING


def test_a_new_set_is_created_at_the_size_of_the_first_step() -> None:
    cluster = deployed(FakeCluster(rollout(canary(set_weight(25), pause()))))
    cluster.deploy("v2")

    [create, *_] = cluster.decide().actions

    assert isinstance(create, CreateReplicaSet)
    assert (create.replicas, create.revision, create.desired_replicas) == (1, 2, 4)


def test_an_indefinite_pause_waits_for_a_person() -> None:
    cluster = at_first_pause()

    cluster.tick(10_000)

    [condition] = cluster.status.pause_conditions
    assert condition.reason is PauseReason.CANARY_PAUSE_STEP
    assert cluster.sizes() == {"v1": 3, "v2": 1}
    assert (cluster.status.step, cluster.status.message) == ("1/4", "CanaryPauseStep")
    assert cluster.decide().requeue_at is None


def test_a_promotion_ends_the_pause_and_goes_on() -> None:
    cluster = at_first_pause()

    cluster.promote()
    cluster.run()

    assert cluster.sizes() == {"v1": 2, "v2": 2}
    assert cluster.status.step == "3/4"


def test_a_pause_with_a_duration_ends_by_itself_and_says_when_to_look() -> None:
    cluster = at_first_pause()
    cluster.promote()
    cluster.run()

    wake = cluster.decide().requeue_at
    assert wake is not None
    assert (wake - cluster.now).total_seconds() == 60
    cluster.tick(59)
    assert cluster.status.phase is Phase.PAUSED
    cluster.tick(1)
    assert cluster.status.phase is Phase.HEALTHY
    assert cluster.sizes() == {"v2": 4}
    assert cluster.status.duration is not None
    assert cluster.status.duration.completion_status is CompletionStatus.PROMOTED


def test_a_resume_does_not_end_the_next_pause_too() -> None:
    cluster = deployed(FakeCluster(rollout(canary(pause(), pause()))))
    cluster.deploy("v2")
    cluster.run()

    cluster.promote()
    cluster.run()

    assert cluster.status.step == "1/2"
    assert cluster.status.phase is Phase.PAUSED


def test_a_promotion_between_pauses_skips_the_current_step() -> None:
    cluster = deployed(FakeCluster(rollout(canary(set_weight(25), set_weight(50), pause()))))
    cluster.deploy("v2")
    cluster.run(ready=lambda version: version == "v1")
    assert cluster.status.step == "0/3"

    cluster.promote()
    cluster.run()

    assert cluster.status.step == "2/3"


def test_steps_that_need_no_further_pod_are_completed_at_once() -> None:
    cluster = deployed(FakeCluster(rollout(canary(set_weight(20), set_weight(40), pause()), replicas=2)))
    cluster.deploy("v2")
    cluster.settle()
    cluster.replica_set_controller()
    cluster.make_ready()

    decided = cluster.decide()

    assert decided.status.step == "2/3"
    assert decided.actions == ()


def test_the_index_is_written_before_anything_is_done_for_a_step() -> None:
    """A crash never leaves the pods ahead of the status."""
    cluster = at_first_pause()
    cluster.promote()

    first = cluster.decide()
    assert (first.actions, first.status.step) == ((), "2/4")
    cluster.apply(first)
    second = cluster.decide()
    assert [type(action) for action in second.actions] == [PatchReplicaSet, PatchReplicaSet]
    assert second.status.step == "2/4"


def test_five_weights_on_two_replicas_cost_at_most_eleven_writes_and_five_events() -> None:
    weights = [set_weight(percent) for percent in (20, 40, 60, 80, 100)]
    cluster = deployed(FakeCluster(rollout(canary(*weights), replicas=2)))

    cluster.deploy("v2")
    cluster.run()

    assert cluster.status.phase is Phase.HEALTHY
    assert cluster.writes <= 11
    assert len(cluster.told) <= 5


def test_without_steps_it_is_a_rolling_update() -> None:
    cluster = deployed(FakeCluster(rollout(canary(max_surge=1, max_unavailable=0), replicas=3)))

    cluster.deploy("v2")
    cluster.settle()
    assert cluster.sizes() == {"v1": 3, "v2": 1}
    cluster.run()

    assert cluster.sizes() == {"v2": 3}
    assert cluster.status.phase is Phase.HEALTHY


def test_a_newer_version_takes_over_mid_update() -> None:
    cluster = at_first_pause()

    cluster.deploy("v3")
    cluster.run()

    assert cluster.sizes() == {"v1": 3, "v3": 1}
    assert cluster.status.step == "1/4"
    assert cluster.status.current_revision == 3
    assert cluster.ended == ["Promoted", "Superseded"]


def test_going_back_to_stable_mid_update_skips_the_steps() -> None:
    cluster = at_first_pause()

    cluster.deploy("v1")
    cluster.run()

    assert cluster.sizes() == {"v1": 4}
    assert (cluster.status.phase, cluster.status.step) == (Phase.HEALTHY, "4/4")
    assert cluster.status.current_revision == 3
    assert "SkipSteps" in cluster.reasons()
    assert cluster.status.duration is not None
    assert cluster.status.duration.completion_status is CompletionStatus.FAST_ROLLED_BACK


def test_going_back_within_the_rollback_window_skips_the_steps() -> None:
    cluster = deployed(FakeCluster(rollout(canary(set_weight(25), pause()), rollback_window=window(1))))
    cluster.tick(1)
    cluster.deploy("v2")
    cluster.run()
    cluster.promote()
    cluster.run()
    cluster.tick(1)

    cluster.deploy("v1")
    cluster.run()

    assert cluster.status.stable_rs == "hash-v1"
    assert cluster.status.phase is Phase.HEALTHY
    assert cluster.ended[-1] == "Promoted"  # nothing was under way that it could have rolled back


def test_going_back_beyond_the_rollback_window_takes_the_steps() -> None:
    cluster = deployed(FakeCluster(rollout(canary(pause()), rollback_window=window(1))))
    for version in ("v2", "v3"):
        cluster.tick(1)
        cluster.deploy(version)
        cluster.run()
        cluster.promote()
        cluster.run()
    cluster.tick(1)

    cluster.deploy("v1")
    cluster.run()

    assert cluster.status.phase is Phase.PAUSED


def test_the_age_of_sets_counts_where_all_are_of_the_same_second() -> None:
    """The API server keeps creation times in whole seconds."""
    cluster = deployed(FakeCluster(rollout(canary(set_weight(50), pause()), rollback_window=window(1))))
    for version in ("v2", "v3", "v4"):
        cluster.deploy(version)
        cluster.run()
        cluster.promote()
        cluster.run()

    cluster.deploy("v3")
    cluster.run()
    assert cluster.status.phase is Phase.HEALTHY
    assert cluster.status.stable_rs == "hash-v3"

    cluster.deploy("v1")
    cluster.run()
    assert cluster.status.phase is Phase.PAUSED
    cluster.promote()
    cluster.run()
    cluster.deploy("v2")  # younger than v1, which is stable
    cluster.run()
    assert cluster.status.phase is Phase.PAUSED


def test_a_set_that_is_used_again_remembers_its_revisions() -> None:
    cluster = deployed(FakeCluster(rollout(canary(set_weight(50)))))
    for version in ("v2", "v1", "v2", "v1"):
        cluster.deploy(version)
        cluster.run()

    histories = {rs.revision: rs.revision_history for rs in cluster.sets.values()}
    assert histories == {5: (1, 3), 4: (2,)}


def test_what_the_git_half_vouches_for_takes_no_steps_and_no_analysis() -> None:
    strategy = canary(set_weight(25), pause(), analysis=background("success-rate"))
    templates = {"success-rate": template("success-rate")}
    cluster = deployed(FakeCluster(rollout(strategy), templates=templates))

    cluster.deploy("v0")
    cluster.fast_rollback = True
    cluster.run()

    assert cluster.status.phase is Phase.HEALTHY
    assert cluster.sizes() == {"v0": 4}
    assert not cluster.runs
    assert cluster.ended[-1] == "FastRolledBack"


def test_a_full_promotion_skips_pauses_and_still_waits_for_pods() -> None:
    cluster = at_first_pause()

    cluster.promote_full()
    cluster.run(ready=lambda version: version == "v1")
    assert cluster.status.stable_rs == "hash-v1"
    cluster.run()

    assert cluster.sizes() == {"v2": 4}
    assert not cluster.status.promote_full
    assert cluster.ended[-1] == "FastPromoted"


def test_an_old_set_that_is_used_again_gets_the_highest_revision() -> None:
    cluster = deployed(FakeCluster(rollout(canary())))
    for version in ("v2", "v1"):
        cluster.deploy(version)
        cluster.run()

    rs = cluster.of("v1")
    assert rs is not None
    assert rs.revision == cluster.status.current_revision == 3
    assert len(cluster.sets) == 2


def test_other_steps_start_the_update_again() -> None:
    cluster = at_first_pause()
    strategy = cluster.rollout.spec.strategy

    cluster.edit(strategy=type(strategy)(canary=canary(set_weight(75), pause())))
    cluster.run()

    assert cluster.sizes() == {"v1": 1, "v2": 3}
    assert cluster.status.step == "1/2"


def test_other_steps_while_healthy_start_nothing() -> None:
    cluster = deployed(FakeCluster(rollout(canary(set_weight(25), pause()))))
    strategy = cluster.rollout.spec.strategy

    cluster.edit(strategy=type(strategy)(canary=canary(pause())))
    cluster.run()

    assert (cluster.status.phase, cluster.status.step) == (Phase.HEALTHY, "1/1")


@pytest.mark.parametrize("index", [99, -3])
def test_an_index_out_of_range_is_put_right(index: int) -> None:
    cluster = at_first_pause()

    cluster.patch_status(current_step_index=index, pause_conditions=())
    cluster.run()

    assert 0 <= (cluster.status.current_step_index or 0) <= 4


def test_no_step_is_lost_when_the_step_index_of_another_controller_is_adopted() -> None:
    cluster = at_first_pause()

    cluster.patch_status(step="", current_step_hash="5b4c8f7d9", attempt=0, last_progress_at=None)
    cluster.run()

    assert cluster.sizes() == {"v1": 3, "v2": 1}
    assert cluster.status.step == "1/4"
