"""What people and clients read: phase, conditions, counters, selector, events, Git revisions."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rollouts.api.analysis import AnalysisPhase
from rollouts.api.meta import Condition, Names
from rollouts.api.rollout import LabelSelector, LabelSelectorRequirement
from rollouts.api.rollout_status import Phase
from rollouts.api.strategy import CanaryStep
from rollouts.delivery import plan, status
from rollouts.delivery.actions import PatchReplicaSet
from tests import builders
from tests.builders import Strategy, analysis, blue_green, canary, pause, rollout, set_weight, template
from tests.fakes import FakeCluster

GIT = Names().git_revision_annotation


def conditions(cluster: FakeCluster) -> dict[str, tuple[str, str]]:
    return {c.type: (c.status, c.reason) for c in cluster.status.conditions}


def test_conditions_of_a_healthy_rollout() -> None:
    cluster = FakeCluster(rollout(canary()))
    cluster.run()

    assert conditions(cluster) == {
        "Available": ("True", "AvailableReason"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
        "Completed": ("True", "RolloutCompleted"),
        "Healthy": ("True", "RolloutHealthy"),
    }


def test_conditions_of_a_paused_and_then_aborted_update() -> None:
    cluster = FakeCluster(rollout(canary(set_weight(50), pause())))
    cluster.run()
    cluster.deploy("v2")
    cluster.run()
    assert conditions(cluster) == {
        "Available": ("True", "AvailableReason"),
        "Progressing": ("Unknown", "RolloutPaused"),
        "Paused": ("True", "RolloutPaused"),
        "Completed": ("False", "RolloutCompleted"),
        "Healthy": ("False", "RolloutHealthy"),
    }

    cluster.abort()
    cluster.run()

    assert conditions(cluster)["Progressing"] == ("False", "RolloutAborted")
    assert conditions(cluster)["Paused"] == ("False", "RolloutPaused")


@pytest.mark.parametrize("strategy", [canary(set_weight(50)), blue_green()], ids=["canary", "blueGreen"])
def test_what_is_complete_stays_complete_while_it_is_held(strategy: Strategy) -> None:
    cluster = FakeCluster(rollout(strategy), services=("active",))
    cluster.run()

    cluster.edit(paused=True)
    cluster.run()

    assert cluster.status.phase is Phase.PAUSED
    assert conditions(cluster) == {
        "Available": ("True", "AvailableReason"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
        "Paused": ("True", "RolloutPaused"),
        "Completed": ("True", "RolloutCompleted"),
        "Healthy": ("False", "RolloutHealthy"),
    }


def test_transition_times_change_with_the_status_and_update_times_with_the_words() -> None:
    cluster = FakeCluster(rollout(canary(set_weight(50))))
    cluster.run()
    started = cluster.now
    cluster.tick(60)
    cluster.deploy("v2")
    cluster.run()

    found = {c.type: c for c in cluster.status.conditions}
    assert found["Completed"].last_transition_time == cluster.now
    assert found["Available"].last_transition_time == started
    assert found["Progressing"].last_transition_time == started
    assert found["Progressing"].last_update_time == cluster.now


def test_conditions_of_others_are_kept() -> None:
    cluster = FakeCluster(rollout(canary()))
    foreign = Condition("TheirOwn", "True", "Because", "they say so", builders.START, builders.START)
    cluster.patch_status(conditions=(foreign,))
    cluster.run()

    assert cluster.status.conditions[-1] == foreign


def test_a_refused_pod_is_told() -> None:
    cluster = FakeCluster(rollout(canary()))
    cluster.settle()
    seen = cluster.snapshot()
    refused = tuple(replace(rs, failure="exceeded quota: pods=4") for rs in seen.replica_sets)

    decided = plan.decide(replace(seen, replica_sets=refused))

    [failure] = [c for c in decided.status.conditions if c.type == "ReplicaFailure"]
    assert (failure.status, failure.message) == ("True", "exceeded quota: pods=4")


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (LabelSelector({"tier": "gold", "app": "web"}), "app=web,tier=gold"),
        (
            LabelSelector(
                {"app": "web"},
                (
                    LabelSelectorRequirement("b", "In", ("y", "x")),
                    LabelSelectorRequirement("a", "NotIn", ("z",)),
                    LabelSelectorRequirement("c", "Exists"),
                    LabelSelectorRequirement("d", "DoesNotExist"),
                ),
            ),
            "a notin (z),app=web,b in (x,y),c,!d",
        ),
    ],
)
def test_the_selector_for_autoscalers(selector: LabelSelector, expected: str) -> None:
    assert status.selector_text(selector) == expected


def test_progressing_is_visible_between_two_healthy_phases() -> None:
    cluster = FakeCluster(rollout(canary()))
    cluster.run()
    cluster.deploy("v2")

    assert cluster.decide().status.phase is Phase.PROGRESSING


def test_the_observed_generation_is_a_string() -> None:
    cluster = FakeCluster(rollout(canary()))
    cluster.run()
    cluster.edit(min_ready_seconds=5)

    assert cluster.decide().status.observed_generation == "2"


def test_nothing_is_written_while_nothing_changes() -> None:
    cluster = FakeCluster(rollout(canary()))
    cluster.run()
    writes = cluster.writes

    for _ in range(5):
        cluster.tick(900)

    assert cluster.writes == writes


def test_git_revisions_of_spec_and_of_stable() -> None:
    cluster = FakeCluster(rollout(canary(set_weight(50), pause()), annotations={GIT: "main@sha1:aaa"}))
    cluster.run()
    assert cluster.status.git_revision == cluster.status.stable_git_revision == "main@sha1:aaa"

    commit(cluster, "main@sha1:bbb")
    cluster.deploy("v2")
    cluster.run()
    assert (cluster.status.git_revision, cluster.status.stable_git_revision) == (
        "main@sha1:bbb",
        "main@sha1:aaa",
    )
    rs = cluster.of("v2")
    assert rs is not None
    assert rs.git_revision == "main@sha1:bbb"
    cluster.abort()
    cluster.run()
    assert cluster.status.abort_reason is not None
    assert cluster.status.abort_reason.git_revision == "main@sha1:bbb"
    assert "(main@sha1:bbb)" in cluster.status.message


def test_a_commit_that_leaves_the_template_alone_is_good_with_it() -> None:
    cluster = FakeCluster(rollout(canary(pause()), annotations={GIT: "aaa"}))
    cluster.run()
    commit(cluster, "bbb")
    cluster.run()
    assert cluster.status.stable_git_revision == "bbb"

    commit(cluster, "ccc")
    cluster.deploy("v2")
    cluster.run()

    assert cluster.status.stable_git_revision == "bbb"


def test_a_set_that_is_used_again_remembers_the_new_commit() -> None:
    cluster = FakeCluster(rollout(canary(), annotations={GIT: "aaa"}))
    cluster.run()
    commit(cluster, "bbb")
    cluster.deploy("v2")
    cluster.run()
    commit(cluster, "ccc")
    cluster.deploy("v1")

    [patch] = [a for a in cluster.decide().actions if isinstance(a, PatchReplicaSet) and "v1" in a.name]

    assert patch.annotations[GIT] == "ccc"
    assert patch.annotations[Names().revision_annotation] == "3"


def commit(cluster: FakeCluster, revision: str) -> None:
    metadata = replace(cluster.rollout.metadata, annotations={GIT: revision})
    cluster.rollout = replace(cluster.rollout, metadata=metadata)


PEER = Names("argoproj.io")


def test_in_drop_in_mode_events_come_one_by_one_in_the_known_order() -> None:
    """The order that the release tests of Argo Rollouts expect for this story."""
    cluster = FakeCluster(rollout(canary(set_weight(50), pause(3)), replicas=1), names=PEER)
    cluster.run()
    cluster.deploy("v2")
    cluster.run()
    cluster.abort()
    cluster.run()
    cluster.retry()
    cluster.run()
    cluster.tick(3)

    assert cluster.reasons() == [
        "RolloutAddedToInformer",
        "RolloutUpdated",
        "NewReplicaSetCreated",
        "RolloutNotCompleted",
        "ScalingReplicaSet",
        "RolloutCompleted",
        "RolloutUpdated",
        "NewReplicaSetCreated",
        "RolloutNotCompleted",
        "ScalingReplicaSet",
        "RolloutStepCompleted",
        "RolloutPaused",
        "ScalingReplicaSet",
        "RolloutAborted",
        "ScalingReplicaSet",
        "RolloutStepCompleted",
        "RolloutPaused",
        "RolloutStepCompleted",
        "RolloutResumed",
        "ScalingReplicaSet",
        "RolloutCompleted",
    ]


def test_in_drop_in_mode_blue_green_events_come_in_the_known_order() -> None:
    cluster = FakeCluster(rollout(blue_green(), replicas=3), services=("active",), names=PEER)
    cluster.run()
    cluster.deploy("v2")
    cluster.run()

    assert cluster.reasons() == [
        "RolloutAddedToInformer",
        "RolloutUpdated",
        "NewReplicaSetCreated",
        "ScalingReplicaSet",
        "RolloutCompleted",
        "SwitchService",
        "RolloutUpdated",
        "NewReplicaSetCreated",
        "RolloutNotCompleted",
        "ScalingReplicaSet",
        "SwitchService",
        "RolloutCompleted",
    ]


def test_in_drop_in_mode_the_good_end_of_a_steps_analysis_is_an_event() -> None:
    step, templates = CanaryStep(analysis=analysis()), {"success-rate": template("success-rate")}
    cluster = FakeCluster(rollout(canary(step)), templates=templates, names=PEER)
    cluster.run()
    cluster.told.clear()
    cluster.deploy("v2")
    cluster.run()
    cluster.finish_run("web-hash-v2-2-0", AnalysisPhase.SUCCESSFUL)
    cluster.run()

    assert [r for r in cluster.reasons() if r != "ScalingReplicaSet"] == [
        "RolloutUpdated",
        "NewReplicaSetCreated",
        "RolloutNotCompleted",
        "AnalysisRunRunning",
        "AnalysisRunSuccessful",
        "RolloutStepCompleted",
        "RolloutCompleted",
    ]


def test_in_drop_in_mode_an_update_that_overtakes_another_was_not_completed_before() -> None:
    cluster = FakeCluster(rollout(canary(set_weight(50), pause())), names=PEER)
    cluster.run()
    cluster.deploy("v2")
    cluster.run()
    cluster.told.clear()
    cluster.deploy("v3")
    cluster.run()

    assert "RolloutUpdated" in cluster.reasons()
    assert "RolloutNotCompleted" not in cluster.reasons()


def test_in_our_own_group_the_same_story_is_told_in_fewer_words() -> None:
    cluster = FakeCluster(rollout(canary(set_weight(50), pause(3)), replicas=1))
    cluster.run()
    cluster.told.clear()
    cluster.deploy("v2")
    cluster.run()
    cluster.tick(3)

    assert [event.message for event in cluster.told] == [
        "Updated to revision 2",
        "Created ReplicaSet web-hash-v2 (revision 2) with 1 pod",
        "Step 1 of 2 completed: setWeight 50",
        "Revision 2 paused at step 2 of 2 until 2026-01-01T12:00:03Z (CanaryPauseStep)",
        "Step 2 of 2 completed: pause 3s",
        "Resumed",
        "Revision 2 (hash-v2) is stable: all 2 steps completed",
    ]


def test_several_steps_of_one_plan_are_one_event() -> None:
    cluster = FakeCluster(rollout(canary(set_weight(20), set_weight(40), pause()), replicas=2))
    cluster.run()
    cluster.told.clear()
    cluster.deploy("v2")
    cluster.run()

    [told] = [event for event in cluster.told if event.reason == "RolloutStepCompleted"]
    assert told.message == "Steps 1 to 2 of 3 completed: setWeight 20, setWeight 40"


def test_the_time_that_people_were_waited_for_is_measured() -> None:
    cluster = FakeCluster(rollout(canary(set_weight(50), pause(), pause(10))))
    cluster.run()
    cluster.deploy("v2")
    cluster.run()
    assert cluster.status.duration is not None
    assert cluster.status.duration.manual_pause_started_at == cluster.now

    cluster.tick(90)
    cluster.promote()
    cluster.run()
    cluster.tick(10)

    duration = cluster.status.duration
    assert duration.total_manual_pause_duration_seconds == 90
    assert duration.manual_pause_started_at is None
    assert duration.rollout_started_at == builders.START
    assert duration.finished_at == builders.START + timedelta(seconds=100)
