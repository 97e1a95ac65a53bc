"""What each verb writes is what the peer's kubectl plugin writes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rollouts.cli import patches
from rollouts.cli.patches import Patch
from rollouts.cli.target import CliError
from tests.unit.cli.objects import BLUE_GREEN, rollout

WAITING = [{"reason": "CanaryPauseStep", "startTime": "2026-03-01T12:00:00Z"}]


def test_promote_ends_a_pause() -> None:
    paused = rollout(pauseConditions=WAITING, currentStepIndex=1)

    assert patches.promote(paused) == (Patch({"status": {"pauseConditions": None}}, "status"),)


def test_promote_skips_the_step_of_a_canary_that_is_not_paused() -> None:
    stepping = rollout(currentStepIndex=1, currentPodHash="b", stableRS="a")

    assert patches.promote(stepping) == (
        Patch({"status": {"pauseConditions": None, "currentStepIndex": 2}}, "status"),
    )


def test_promote_never_goes_past_the_last_step() -> None:
    last = rollout(currentStepIndex=3, currentPodHash="b", stableRS="a")

    assert patches.promote(last)[0].body["status"]["currentStepIndex"] == 3


def test_promote_ends_a_manual_pause_too_and_the_status_goes_first() -> None:
    held = rollout(paused=True, pauseConditions=WAITING)

    assert patches.promote(held) == (
        Patch({"status": {"pauseConditions": None}}, "status"),
        Patch({"spec": {"paused": False}}),
    )


def test_promote_goes_past_an_inconclusive_analysis() -> None:
    undecided = rollout(
        pauseConditions=[{"reason": "InconclusiveAnalysisRun", "startTime": "2026-03-01T12:00:00Z"}],
        controllerPause=True,
        currentStepIndex=1,
        canary={"currentStepAnalysisRunStatus": {"name": "run", "status": "Inconclusive"}},
    )

    assert patches.promote(undecided) == (
        Patch(
            {"status": {"pauseConditions": None, "controllerPause": False, "currentStepIndex": 2}}, "status"
        ),
    )


def test_promote_goes_past_an_inconclusive_experiment() -> None:
    undecided = rollout(
        pauseConditions=[{"reason": "InconclusiveExperiment", "startTime": "2026-03-01T12:00:00Z"}],
        controllerPause=True,
        currentStepIndex=1,
    )

    assert patches.promote(undecided) == (
        Patch(
            {"status": {"pauseConditions": None, "controllerPause": False, "currentStepIndex": 2}}, "status"
        ),
    )


def test_a_retry_forgets_the_status_and_the_wish_to_end() -> None:
    forgotten = Patch({"status": None}, "status")

    assert patches.retry_experiment({"spec": {}}) == (forgotten,)
    assert patches.retry_experiment({"spec": {"terminate": True}}) == (
        Patch({"spec": {"terminate": False}}),
        forgotten,
    )


def test_promote_has_nothing_to_do_where_everything_is_promoted() -> None:
    assert patches.promote(rollout(currentStepIndex=3, currentPodHash="a", stableRS="a")) == ()


def test_promote_of_a_blue_green_that_does_not_wait_has_nothing_to_do() -> None:
    assert patches.promote(rollout(strategy=BLUE_GREEN, currentPodHash="b", stableRS="a")) == ()


def test_promote_full_is_sent_only_during_an_update() -> None:
    assert patches.promote_full(rollout(currentPodHash="b", stableRS="a")) == (
        Patch({"status": {"promoteFull": True}}, "status"),
    )
    assert patches.promote_full(rollout(currentPodHash="a", stableRS="a")) == ()


def test_restart_is_an_instant_in_utc() -> None:
    at = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    assert patches.restart(at) == Patch({"spec": {"restartAt": "2026-03-01T12:00:00Z"}})


def test_a_restart_takes_in_the_pods_of_this_very_second() -> None:
    at = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)

    assert patches.restart(at) == Patch({"spec": {"restartAt": "2026-03-01T12:00:01Z"}})


def test_an_image_is_replaced_only_in_the_container_that_was_looked_at() -> None:
    assert patches.set_image(rollout(), {"web": "web:3"}) == (
        {"op": "test", "path": "/spec/template/spec/containers/0/name", "value": "web"},
        {"op": "add", "path": "/spec/template/spec/containers/0/image", "value": "web:3"},
    )


def test_a_star_names_every_container() -> None:
    assert patches.set_image(rollout(), {"*": "web:3"}) == patches.set_image(rollout(), {"web": "web:3"})


def test_an_image_that_is_there_already_is_no_patch() -> None:
    assert patches.set_image(rollout(), {"web": "web:2"}) == ()


def test_a_container_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(CliError, match=r"rollout checkout has no container wbe; it has web"):
        patches.set_image(rollout(), {"wbe": "web:3"})
