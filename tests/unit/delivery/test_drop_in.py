"""Lines of the drop-in contract that follow from decisions alone (docs/drop-in.md has the table)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rollouts.api.meta import SCALE_DOWN_DEADLINE_ANNOTATION
from rollouts.api.rollout_status import CompletionStatus
from rollouts.delivery.actions import PatchReplicaSet
from tests.builders import blue_green, canary, pause, rollout, set_weight
from tests.fakes import FakeCluster


def updating(**fields: object) -> FakeCluster:
    cluster = FakeCluster(rollout(canary(set_weight(25), pause()), **fields))
    cluster.run()
    cluster.tick(1)
    cluster.deploy("v2")
    cluster.run()
    return cluster


def promoted(cluster: FakeCluster) -> None:
    cluster.promote()


def fast_promoted(cluster: FakeCluster) -> None:
    cluster.promote_full()


def aborted(cluster: FakeCluster) -> None:
    cluster.abort()


def superseded(cluster: FakeCluster) -> None:
    cluster.deploy("v3")


def rolled_back(cluster: FakeCluster) -> None:
    cluster.promote()
    cluster.run()
    cluster.deploy("v3")
    cluster.run()
    cluster.deploy("v1")
    cluster.run()
    cluster.promote()


def gone_back_from_a_finished_update(cluster: FakeCluster) -> None:
    cluster.promote()
    cluster.run()
    cluster.ended.clear()
    cluster.deploy("v1")
    cluster.run()
    cluster.promote()


def fast_rolled_back(cluster: FakeCluster) -> None:
    cluster.deploy("v1")


@pytest.mark.parametrize(
    ("story", "status"),
    [
        (promoted, CompletionStatus.PROMOTED),
        (fast_promoted, CompletionStatus.FAST_PROMOTED),
        (aborted, CompletionStatus.ABORTED),
        (superseded, CompletionStatus.SUPERSEDED),
        (rolled_back, CompletionStatus.ROLLED_BACK),
        (gone_back_from_a_finished_update, CompletionStatus.PROMOTED),
        (fast_rolled_back, CompletionStatus.FAST_ROLLED_BACK),
    ],
)
def test_the_completion_status_says_how_an_update_ended(
    story: Callable[[FakeCluster], None], status: CompletionStatus
) -> None:
    cluster = updating()
    story(cluster)
    cluster.run()

    assert status.value in cluster.ended


def test_steps_of_an_adopted_update_are_not_taken_again() -> None:
    """The peer makes its step hash in another way, and knows nothing of the fields that are ours."""
    cluster = updating()
    cluster.patch_status(current_step_hash="6d5b4c7f9", step="", attempt=0, last_progress_at=None)
    before = cluster.status

    cluster.run()

    assert cluster.status.current_step_index == before.current_step_index == 1
    assert cluster.status.pause_conditions == before.pause_conditions
    assert cluster.status.attempt == 0
    cluster.promote()
    cluster.run()
    assert cluster.status.stable_rs == "hash-v2"


def test_conditions_are_there_only_when_they_apply() -> None:
    cluster = FakeCluster(rollout(canary(set_weight(25), pause())))
    cluster.run()
    assert {c.type for c in cluster.status.conditions} == {"Available", "Progressing", "Completed", "Healthy"}

    cluster.deploy("v2")
    cluster.run()

    stated = {c.type: c.status for c in cluster.status.conditions}
    assert stated["Paused"] == "True"
    assert stated["Healthy"] == "False"
    assert "InvalidSpec" not in stated
    assert "ReplicaFailure" not in stated


def test_blue_green_counts_the_pods_that_users_reach() -> None:
    cluster = FakeCluster(rollout(blue_green(auto_promotion_enabled=False), replicas=3), services=["active"])
    cluster.run()
    cluster.deploy("v2")
    cluster.run()

    status = cluster.status
    assert (status.replicas, status.updated_replicas) == (6, 3)
    assert (status.ready_replicas, status.available_replicas, status.hpa_replicas) == (3, 3, 3)


def test_a_scale_down_deadline_is_there_only_while_it_is_pending() -> None:
    cluster = FakeCluster(rollout(blue_green(scale_down_delay_seconds=30)), services=["active"])
    cluster.run()
    cluster.deploy("v2")
    cluster.run()
    old = cluster.of("v1")
    assert old is not None
    assert old.deadline is not None

    cluster.now = old.deadline
    decided = cluster.decide()

    [patch] = [a for a in decided.actions if isinstance(a, PatchReplicaSet)]
    assert patch.replicas == 0
    assert patch.annotations[SCALE_DOWN_DEADLINE_ANNOTATION] is None


def test_who_waits_for_a_person_says_so_in_pause_conditions() -> None:
    cluster = updating()
    assert cluster.status.controller_pause
    assert cluster.status.pause_conditions

    cluster.promote()
    decided = cluster.decide()

    assert decided.status.controller_pause == bool(decided.status.pause_conditions)
