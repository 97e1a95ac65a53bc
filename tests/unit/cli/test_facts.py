"""How the state of a Rollout is read."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rollouts.api.meta import Names
from rollouts.api.rollout_status import Phase
from rollouts.cli import facts
from rollouts.cli.facts import Place, Role, Step
from tests.unit.cli.objects import BLUE_GREEN, NOW, ago, canary, replica_set, rollout


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        ({"phase": "Healthy"}, Phase.HEALTHY),
        ({"phase": "Healthy", "observedGeneration": "2"}, Phase.PROGRESSING),
        ({"phase": "Healthy", "observedGeneration": ""}, Phase.PROGRESSING),
        ({"phase": "Paused", "controllerPause": True, "pauseConditions": []}, Phase.PROGRESSING),
        ({"phase": "Paused", "controllerPause": True, "pauseConditions": [{}]}, Phase.PAUSED),
        ({"phase": "Degraded", "message": "why"}, Phase.DEGRADED),
        ({"phase": "SomethingElse"}, Phase.PROGRESSING),
        ({}, Phase.PROGRESSING),
    ],
)
def test_the_phase_counts_only_once_the_controller_has_seen_the_spec(
    status: dict[str, object], phase: Phase
) -> None:
    assert facts.phase(rollout(**status))[0] is phase


def test_steps_are_told_as_done_current_and_next() -> None:
    stepping = rollout(currentStepIndex=1)

    assert facts.steps(stepping, NOW) == (
        Step(1, "set weight 20 %", Place.DONE),
        Step(2, "pause until promoted", Place.CURRENT),
        Step(3, "set weight 50 %", Place.NEXT),
    )


def test_a_pause_counts_down() -> None:
    waiting = rollout(
        strategy=canary({"pause": {"duration": "5m"}}),
        currentStepIndex=0,
        pauseConditions=[{"reason": "CanaryPauseStep", "startTime": ago(90)}],
    )

    assert facts.steps(waiting, NOW)[0].text == "pause 5m (3m30s left)"


def test_a_pause_that_is_over_does_not_count_below_zero() -> None:
    over = rollout(
        strategy=canary({"pause": {"duration": 30}}),
        currentStepIndex=0,
        pauseConditions=[{"reason": "CanaryPauseStep", "startTime": ago(90)}],
    )

    assert facts.steps(over, NOW)[0].text == "pause 30s (0s left)"


@pytest.mark.parametrize(
    ("step", "text"),
    [
        ({"analysis": {"templates": [{"templateName": "a"}, {"templateName": "b"}]}}, "analysis a, b"),
        ({"pause": {"duration": "nonsense"}}, "pause until promoted"),
        ({"somethingNew": {}}, "somethingNew"),
        ("text", "not a step"),
    ],
)
def test_any_step_has_words(step: object, text: str) -> None:
    broken = rollout(strategy={"canary": {"steps": [step]}})

    assert facts.steps(broken, NOW)[0].text == text


@pytest.mark.parametrize(
    ("status", "weight"),
    [
        ({}, 20),
        ({"currentStepIndex": 1}, 20),
        ({"currentStepIndex": 2}, 50),
        ({"currentStepIndex": 3}, 100),
        ({"currentStepIndex": 2, "abort": True}, 0),
    ],
)
def test_the_wanted_weight_follows_the_steps(status: dict[str, object], weight: int) -> None:
    assert facts.set_weight(rollout(**status)) == weight


def test_where_all_is_promoted_there_is_nothing_to_weigh() -> None:
    weights = {"weights": {"canary": {"weight": 0}, "stable": {"weight": 100}}}
    promoted = rollout(stableRS="aa", currentPodHash="aa", currentStepIndex=3, canary=weights)

    assert facts.set_weight(promoted) is None
    assert facts.actual_weight(promoted) is None


def test_a_canary_without_steps_has_no_wanted_weight() -> None:
    assert facts.set_weight(rollout(strategy={"canary": {}})) is None


def test_revisions_are_newest_first_and_only_those_of_the_rollout() -> None:
    foreign = replica_set(9, "zz") | {"metadata": {"name": "other", "ownerReferences": [{"uid": "else"}]}}
    updating = rollout(stableRS="aa", currentPodHash="bb")

    found = facts.revisions(
        updating,
        [replica_set(1, "aa", replicas=4), foreign, replica_set(2, "bb", replicas=1)],
        Names(),
    )

    assert [(r.number, r.roles, r.ready) for r in found] == [
        (2, (Role.CANARY,), 1),
        (1, (Role.STABLE,), 4),
    ]


def test_a_set_that_is_stable_and_current_is_stable() -> None:
    promoted = rollout(stableRS="aa", currentPodHash="aa")

    assert facts.revisions(promoted, [replica_set(1, "aa")], Names())[0].roles == (Role.STABLE,)


def test_blue_green_sets_are_what_the_services_select() -> None:
    updating = rollout(
        strategy=BLUE_GREEN,
        stableRS="aa",
        blueGreen={"activeSelector": "aa", "previewSelector": "bb"},
    )

    found = facts.revisions(updating, [replica_set(1, "aa"), replica_set(2, "bb")], Names())

    assert [r.roles for r in found] == [(Role.PREVIEW,), (Role.ACTIVE, Role.STABLE)]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"), (200_000, "2d")],
)
def test_ages_are_short(seconds: int, shown: str) -> None:
    assert facts.age(NOW - timedelta(seconds=seconds), NOW) == shown
