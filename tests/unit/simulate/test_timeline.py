"""Updates in virtual time, told by what people would have seen."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from rollouts.api.analysis import AnalysisTemplateRef
from rollouts.api.meta import Reason
from rollouts.api.rollout import Rollout
from rollouts.api.rollout_status import Phase
from rollouts.api.webhook import Webhook, WebhookType
from rollouts.simulate import scenario
from rollouts.simulate.timeline import Timeline, simulate
from tests import builders
from tests.builders import analyse, background, blue_green, canary, pause, rollout, set_weight

TEMPLATES = {AnalysisTemplateRef("success-rate"): builders.template("success-rate")}


def played(subject: Rollout, limit: float = 86400, **story: Any) -> Timeline:
    told = scenario.read(story)
    return simulate(subject, told, templates=TEMPLATES, limit=timedelta(seconds=limit))


def phases(timeline: Timeline) -> list[tuple[float, str]]:
    """Seconds and phase where it changes."""
    found: list[tuple[float, str]] = []
    for moment in timeline.moments:
        if not found or found[-1][1] != moment.phase:
            found.append((moment.at.total_seconds(), moment.phase.value))
    return found


def reasons(timeline: Timeline) -> list[Reason]:
    return [event.reason for moment in timeline.moments for event in moment.events]


def versions(timeline: Timeline) -> Mapping[int, tuple[int, int]]:
    """In the end: version -> available pods and weight."""
    return {pods.version: (pods.available, pods.weight) for pods in timeline.last.pods}


def test_a_good_update_takes_as_long_as_its_pauses() -> None:
    timeline = played(rollout(canary(set_weight(25), pause(60), set_weight(50), pause(120))))

    assert phases(timeline) == [(0, "Paused"), (180, "Healthy")]
    assert timeline.reached() == timedelta(seconds=180)
    assert timeline.ended
    assert versions(timeline) == {2: (4, 100)}


def test_an_instant_to_come_is_told_as_the_time_since_the_update() -> None:
    timeline = played(rollout(canary(set_weight(25), pause(60), set_weight(50), pause(120))))

    told = [e.message for m in timeline.moments for e in m.events if e.reason == "RolloutPaused"]

    assert told == [
        "Revision 2 paused at step 2 of 4 until 1m (CanaryPauseStep)",
        "Revision 2 paused at step 4 of 4 until 3m (CanaryPauseStep)",
    ]


def test_the_play_ends_where_only_a_person_could_go_on() -> None:
    timeline = played(rollout(canary(set_weight(25), pause())))

    assert (timeline.last.phase, timeline.last.step, timeline.ended) == (Phase.PAUSED, "1/2", True)
    assert timeline.reached() is None


def test_pods_that_start_slowly_hold_up_each_batch() -> None:
    timeline = played(
        rollout(canary(set_weight(50), max_surge=1, max_unavailable=0)), pods=[{"readyAfter": 10}]
    )

    assert timeline.reached() == timedelta(seconds=40)


def test_min_ready_seconds_are_waited_for() -> None:
    timeline = played(rollout(canary(set_weight(100)), min_ready_seconds=30), pods=[{"readyAfter": 10}])

    assert [moment.at.total_seconds() for moment in timeline.moments][:2] == [0, 40]


def test_pods_that_never_become_ready_end_at_the_deadline() -> None:
    subject = rollout(canary(set_weight(25)), progress_deadline_seconds=300, progress_deadline_abort=True)

    timeline = played(subject, pods=[{"ready": False}])

    assert phases(timeline) == [(0, "Progressing"), (300, "Degraded")]
    assert Reason.ABORTED in reasons(timeline)
    assert versions(timeline) == {1: (4, 100)}


def test_a_crash_loop_of_the_update_ends_at_the_deadline() -> None:
    subject = rollout(
        canary(set_weight(25)),
        min_ready_seconds=10,
        progress_deadline_seconds=600,
        progress_deadline_abort=True,
    )

    timeline = played(subject, pods=[{"readyAfter": 20, "crashAfter": 5}])

    assert phases(timeline) == [(0, "Progressing"), (600, "Degraded")]
    assert timeline.ended


def test_values_are_judged_by_the_conditions_of_the_metric() -> None:
    subject = rollout(canary(set_weight(25), pause(60), analyse()))
    values = [{"value": 0.99}, {"after": "30s", "value": 0.9}]

    timeline = played(subject, metrics=[{"name": "success-rate", "values": values}])

    assert phases(timeline)[-1] == (60, "Degraded")
    [told] = [e.message for e in timeline.last.events if e.reason is Reason.ABORTED]
    assert "value [0.9], condition result[0] >= 0.95" in told


@pytest.mark.parametrize("value", [None, [], [{}]])
def test_what_the_condition_cannot_judge_is_an_error(value: object) -> None:
    subject = rollout(canary(set_weight(25), analyse()))

    timeline = played(subject, metrics=[{"name": "success-rate", "values": [{"value": value}]}])

    assert timeline.last.phase is Phase.DEGRADED
    # five errors in a row, ten seconds apart
    assert timeline.moments[-1].at == timedelta(seconds=40)


def test_a_background_analysis_stops_the_update_when_it_fails() -> None:
    templates = {AnalysisTemplateRef("success-rate"): builders.template("success-rate", interval=20)}
    subject = rollout(canary(set_weight(25), pause(600), analysis=background()))
    told = scenario.read(
        {"metrics": [{"name": "success-rate", "values": [{"after": "1m", "outcome": "Failed"}]}]}
    )

    timeline = simulate(subject, told, templates=templates)

    assert phases(timeline) == [(0, "Paused"), (60, "Degraded")]


def test_people_promote_abort_and_retry() -> None:
    timeline = played(
        rollout(canary(set_weight(25), pause())),
        actions=[
            {"at": "1m", "do": "abort"},
            {"at": "2m", "do": "retry"},
            {"at": "3m", "do": "promote"},
        ],
    )

    assert phases(timeline) == [(0, "Paused"), (60, "Degraded"), (120, "Paused"), (180, "Healthy")]


def test_an_inconclusive_step_is_left_behind_by_a_promotion() -> None:
    timeline = played(
        rollout(canary(set_weight(25), analyse(), set_weight(50), pause(10))),
        metrics=[{"name": "success-rate", "values": [{"outcome": "Inconclusive"}]}],
        actions=[{"at": "1m", "do": "promote"}],
    )

    assert phases(timeline) == [(0, "Paused"), (70, "Healthy")]


def test_a_held_update_stays_where_it_is() -> None:
    timeline = played(
        rollout(canary(set_weight(25), pause(60))),
        actions=[{"at": "30s", "do": "pause"}, {"at": "5m", "do": "resume"}],
    )

    assert timeline.reached() == timedelta(minutes=5)


def test_a_newer_version_supersedes_and_the_first_one_goes_back() -> None:
    steps = (set_weight(25), pause(60))
    newer = played(rollout(canary(*steps)), actions=[{"at": "30s", "do": "deploy", "version": 3}])
    back = played(rollout(canary(*steps)), actions=[{"at": "30s", "do": "deploy", "version": 1}])

    assert versions(newer) == {3: (4, 100)}
    assert (newer.reached(3), newer.reached(2)) == (timedelta(seconds=90), None)
    assert versions(back) == {1: (4, 100)}
    assert phases(back)[-1] == (30, "Healthy")


def test_scaling_in_the_middle_keeps_the_share() -> None:
    timeline = played(
        rollout(canary(set_weight(25), pause())), actions=[{"at": "1m", "do": "scale", "replicas": 8}]
    )

    assert versions(timeline) == {1: (6, 75), 2: (2, 25)}


def test_a_restart_replaces_pods_and_weights_stay() -> None:
    timeline = played(rollout(canary()), actions=[{"at": "10m", "do": "restart"}])

    assert timeline.last.phase is Phase.HEALTHY
    assert versions(timeline) == {2: (4, 100)}


def test_blue_green_switches_at_once_and_keeps_the_old_pods_for_a_while() -> None:
    timeline = played(
        rollout(blue_green(auto_promotion_seconds=60, scale_down_delay_seconds=30)), pods=[{"readyAfter": 10}]
    )

    assert timeline.reached() == timedelta(seconds=70)
    shares = [(m.at.total_seconds(), m.weight(1), m.weight(2), len(m.pods)) for m in timeline.moments]
    assert shares[-2:] == [(70, 0, 100, 2), (100, 0, 100, 1)]


def test_without_an_end_the_play_stops_at_its_limit() -> None:
    templates = {AnalysisTemplateRef("success-rate"): builders.template("success-rate", interval=20)}
    subject = rollout(canary(set_weight(25), pause(), analysis=background()))

    timeline = simulate(subject, templates=templates, limit=timedelta(minutes=5))

    assert (timeline.ended, timeline.ends_at) == (False, timedelta(minutes=5))


def test_metrics_that_cannot_be_measured_end_in_an_error_as_in_the_controller() -> None:
    broken = builders.metric("success-rate", count=0)
    templates = {AnalysisTemplateRef("success-rate"): builders.AnalysisTemplateSpec(metrics=(broken, broken))}

    timeline = simulate(rollout(canary(set_weight(25), analyse())), templates=templates)

    assert timeline.last.phase is Phase.DEGRADED


def test_a_gate_is_waited_for_as_long_as_it_says_no() -> None:
    gate = Webhook("calendar", "http://gate/", WebhookType.CONFIRM_ROLLOUT)
    story = scenario.read({"webhooks": [{"name": "calendar", "answers": said(False, (1805, True))}]})

    played = simulate(rollout(canary(set_weight(50), webhooks=(gate,))), story)

    assert played.ended
    assert timedelta(seconds=1805) <= played.ends_at <= timedelta(seconds=1815)
    assert any(moment.message.startswith("WebhookGate: calendar") for moment in played.moments)


def test_a_gate_that_never_says_yes_is_waited_for_until_time_runs_out() -> None:
    gate = Webhook("calendar", "http://gate/", WebhookType.CONFIRM_PROMOTION)
    story = scenario.read({"webhooks": [{"name": "calendar", "answers": said(False)}]})

    played = simulate(rollout(canary(set_weight(50), webhooks=(gate,))), story)

    assert (played.last.phase, played.last.step) == (Phase.PAUSED, "1/1")


def test_a_rollback_hook_goes_back_when_it_is_asked_for() -> None:
    hook = Webhook("undo", "http://gate/", WebhookType.ROLLBACK)
    story = scenario.read({"webhooks": [{"name": "undo", "answers": said((95, True))}]})

    played = simulate(rollout(canary(set_weight(50), pause(), webhooks=(hook,))), story)

    assert played.last.phase is Phase.DEGRADED
    assert "webhook undo (rollback) asks for a rollback" in played.last.message
    assert timedelta(seconds=95) <= played.ends_at <= timedelta(seconds=105)


def said(*answers: bool | tuple[int, bool]) -> list[Mapping[str, Any]]:
    """From the beginning, or from so many seconds on."""
    return [{"ok": a} if isinstance(a, bool) else {"after": a[0], "ok": a[1]} for a in answers]


def test_a_pause_runs_out_at_its_instant() -> None:
    timeline = played(rollout(canary(set_weight(25), pause(timeout=1800))))

    assert phases(timeline) == [(0, "Paused"), (1800, "Degraded")]
    assert versions(timeline) == {1: (4, 100)}


@pytest.mark.parametrize("strategy", [canary(), builders.rolling_update(), builders.recreate(), blue_green()])
def test_a_bake_comes_after_everybody_is_served(strategy: builders.Strategy) -> None:
    timeline = played(rollout(strategy, bake=builders.bake(600)))

    assert phases(timeline) == [(0, "Progressing"), (600, "Healthy")]
    assert timeline.reached() == timedelta()


def test_a_recreation_serves_nobody_in_between() -> None:
    timeline = played(rollout(builders.recreate()), pods=[{"readyAfter": "30s"}])

    between = next(moment for moment in timeline.moments if moment.at == timedelta())
    assert {pods.version: pods.available for pods in between.pods} == {2: 0}
    assert timeline.reached() == timedelta(seconds=30)
