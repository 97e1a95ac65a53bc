"""A strategy in words; the arithmetic behind it agrees with what the simulator plays."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollouts.api.analysis import AnalysisTemplateRef, AnalysisTemplateSpec
from rollouts.api.meta import Reason
from rollouts.api.rollout import Rollout
from rollouts.api.strategy import OnTimeout, RolloutPause
from rollouts.api.traffic import ServicesRouting, TrafficRouting
from rollouts.api.webhook import Webhook, WebhookType
from rollouts.delivery.explain import explain, words
from rollouts.simulate.timeline import Timeline, simulate
from tests import builders
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
    set_scale,
    set_weight,
)
from tests.sim import random_rollouts

COUNTED = builders.metric("success-rate", interval=30, count=5)
TEMPLATES = {
    AnalysisTemplateRef("success-rate"): AnalysisTemplateSpec(metrics=(COUNTED,)),
    AnalysisTemplateRef("endless"): builders.template("errors", interval=60),
    AnalysisTemplateRef("late"): AnalysisTemplateSpec(
        metrics=(replace(COUNTED, initial_delay=timedelta(hours=1)),)
    ),
    AnalysisTemplateRef("both"): AnalysisTemplateSpec(
        templates=(AnalysisTemplateRef("success-rate"), AnalysisTemplateRef("late"))
    ),
    AnalysisTemplateRef("in-a-row"): AnalysisTemplateSpec(
        metrics=(replace(COUNTED, count=10, consecutive_success_limit="3"),)
    ),
}


def told(subject: Rollout) -> str:
    return str(explain(subject.spec, TEMPLATES))


@pytest.mark.parametrize(
    ("subject", "sentence"),
    [
        (rollout(canary()), "reaches 100 % as fast as pods become ready"),
        (
            rollout(canary(set_weight(20), pause(600), set_weight(50), pause(1500))),
            "reaches 100 % after 35 min at the earliest",
        ),
        (
            rollout(canary(set_weight(20), pause(2100), pause())),
            "reaches 100 % after 35 min at the earliest; can wait for ever at step 3",
        ),
        (rollout(canary(analyse("success-rate"))), "reaches 100 % after 2 min at the earliest"),
        (rollout(canary(analyse("in-a-row"))), "reaches 100 % after 1 min at the earliest"),
        (rollout(canary(analyse("both"))), "reaches 100 % after 1 h 2 min at the earliest"),
        (
            rollout(canary(pause(30), pause(), pause())),
            "reaches 100 % after 30 s at the earliest; can wait for ever at step 2, at step 3",
        ),
        (
            rollout(canary(set_weight(25), set_weight(50), set_weight(50)), min_ready_seconds=20),
            "reaches 100 % after 1 min at the earliest",
        ),
        (
            rollout(canary(pause(60), pause(60), analysis=background("endless", starting_step=1))),
            "reaches 100 % after 2 min at the earliest; is analysed by endless from step 2 on",
        ),
        (
            rollout(canary(pause(60), analysis=background("late"))),
            (
                "reaches 100 % after 1 min at the earliest; is analysed by late from step 1 on, "
                "but its first measurement after 1 h may come too late"
            ),
        ),
        (
            rollout(canary(pause(60)), paused=True),
            "reaches 100 % after 1 min at the earliest; does not begin while spec.paused is true",
        ),
        (
            rollout(canary(set_weight(100), pause(60))),
            "is promoted after 1 min at the earliest",
        ),
        (
            rollout(canary(pause(timeout=1800), pause(timeout=60, then=OnTimeout.PROMOTE))),
            (
                "reaches 100 % as fast as pods become ready; waits for somebody at step 1 for 30 min, "
                "then is aborted; waits for somebody at step 2 for 1 min, then goes on"
            ),
        ),
        (
            rollout(blue_green(auto_promotion_enabled=False, promotion_timeout=timedelta(hours=1))),
            (
                "switches users over as fast as pods become ready; "
                "waits for somebody before the switch for 1 h, then is aborted"
            ),
        ),
        (
            rollout(canary(), bake=bake(900, analysis("success-rate")), analyze_initial_deploy=True),
            (
                "reaches 100 % as fast as pods become ready; bakes for 15 min at least after that, "
                "and can still go back; analyses the first deployment, too"
            ),
        ),
        (rollout(builders.rolling_update()), "reaches 100 % as fast as pods become ready"),
        (
            rollout(builders.recreate(), min_ready_seconds=5),
            ("reaches 100 % after 5 s at the earliest; serves nobody between the old pods and the new ones"),
        ),
        (
            rollout(routed(set_weight(20), pause(60), set_weight(40)), min_ready_seconds=10),
            "reaches 100 % after 1 min 30 s at the earliest",
        ),
        (
            rollout(routed(set_scale(replicas=4), set_weight(50), pause(60)), min_ready_seconds=10),
            "reaches 100 % after 1 min 10 s at the earliest",
        ),
        (rollout(routed(set_weight(100), pause(60))), "is promoted after 1 min at the earliest"),
        (
            rollout(routed(set_weight(50), traffic_routing=TrafficRouting(services=ServicesRouting("root")))),
            (
                "reaches 100 % as fast as pods become ready; between 0 and all, plain Services give the share "
                "that the ratio of the pods gives; that share is smaller than setWeight says, "
                "as dynamicStableScale is not set"
            ),
        ),
        (rollout(blue_green()), "switches users over as fast as pods become ready"),
        (
            rollout(blue_green(auto_promotion_seconds=60, pre_promotion_analysis=analysis("success-rate"))),
            "switches users over after 3 min at the earliest",
        ),
        (
            rollout(
                blue_green(
                    auto_promotion_enabled=False,
                    preview_replica_count=1,
                    post_promotion_analysis=analysis("success-rate"),
                ),
                min_ready_seconds=10,
            ),
            (
                "switches users over after 20 s at the earliest; can wait for ever before the switch, "
                "as autoPromotionEnabled is false; is analysed for 2 min at least after the switch"
            ),
        ),
    ],
)
def test_a_strategy_is_told_in_words(subject: Rollout, sentence: str) -> None:
    assert told(subject) == sentence


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (90, "1 min 30 s"), (3600, "1 h"), (90000.5, "1 d 1 h 0.5 s")],
)
def test_times_in_words(seconds: float, text: str) -> None:
    assert words(timedelta(seconds=seconds)) == text


def unattended(subject: Rollout) -> Rollout:
    """Without the waits that have no end."""
    strategy = subject.spec.strategy
    if strategy.canary:
        steps = tuple(
            replace(step, pause=RolloutPause(timedelta())) if step.pause and not step.pause.duration else step
            for step in strategy.canary.steps
        )
        strategy = replace(strategy, canary=replace(strategy.canary, steps=steps))
    if strategy.blue_green:
        strategy = replace(
            strategy,
            blue_green=replace(strategy.blue_green, auto_promotion_enabled=True, promotion_timeout=None),
        )
    return replace(subject, spec=replace(subject.spec, strategy=strategy, bake=None))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1_000_000), st.sampled_from([0, 7]))
def test_what_is_played_agrees_with_what_is_told(seed: int, min_ready_seconds: int) -> None:
    subject = unattended(random_rollouts.rollout(random.Random(seed)))
    subject = replace(subject, spec=replace(subject.spec, min_ready_seconds=min_ready_seconds))
    if not subject.spec.replicas:
        return  # without pods there is nobody to serve

    timeline = simulate(subject, templates=TEMPLATES)
    explained = explain(subject.spec, TEMPLATES)

    ends = timeline.reached() if subject.spec.strategy.blue_green else _promoted(timeline)
    assert all(wait.startswith("for webhook") for wait in explained.waits)  # they say yes when played
    assert ends is not None
    if min_ready_seconds:
        assert ends >= explained.earliest  # surge and availability may ask for more batches
    else:
        assert ends == explained.earliest
        assert explained.goal == "is promoted" or timeline.reached() == ends


def _promoted(timeline: Timeline) -> timedelta | None:
    ends = [m.at for m in timeline.moments if any(e.reason is Reason.COMPLETED for e in m.events)]
    return ends[0] if ends else None


def test_gates_are_waited_for_without_end() -> None:
    gate = Webhook("calendar", "http://gate/", WebhookType.CONFIRM_ROLLOUT)
    check = Webhook("load", "http://load/", WebhookType.ROLLOUT)

    told = explain(rollout(canary(set_weight(50), webhooks=(gate, check))).spec, {})

    assert "can wait for ever for webhook calendar (confirm-rollout)" in str(told)
    assert "load" not in str(told)


def test_config_that_goes_with_the_revision_is_told() -> None:
    template = {"spec": {"volumes": [{"name": "v", "configMap": {"name": "app"}}]}}
    spec = replace(rollout(canary(), copy_config=True).spec, template=template)

    assert str(explain(spec, {})).endswith("a change of ConfigMap app is an update, too")
