"""An autoscaler beside updates: it never sees more demand than there is, and stable never lacks pods for its share."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollouts.api.rollout_status import Phase
from rollouts.api.strategy import BlueGreenStrategy, CanaryStrategy
from rollouts.simulate import autoscaler, scenario
from rollouts.simulate.autoscaler import Autoscaler, Load, Memory, MetricType, Scale
from rollouts.simulate.scenario import Action, Deed, PodBehaviour, Scenario
from rollouts.simulate.timeline import Timeline, simulate
from tests.builders import START, blue_green, canary, pause, rollout, set_weight

BY_COUNT = MetricType.AVERAGE_VALUE
SCALER = Autoscaler(max_replicas=40, load=(Load(800),))
STRATEGIES = [
    canary(),
    canary(set_weight(25), pause(60), set_weight(50), pause(60), max_surge=3, max_unavailable=0),
    canary(set_weight(50), pause(60), max_surge="100%", max_unavailable=0),
    blue_green(auto_promotion_seconds=60),
]


def played(
    strategy: CanaryStrategy | BlueGreenStrategy, scaler: Autoscaler, *, replicas: int = 8, **story: object
) -> Timeline:
    pods = (PodBehaviour(2, ready_after=timedelta(seconds=20)),)
    lived = Scenario(autoscaler=scaler, **{"pods": pods, **story})  # type: ignore[arg-type]
    return simulate(rollout(strategy, replicas=replicas), lived)


def serving(timeline: Timeline) -> list[int]:
    return [sum(pods.available for pods in moment.pods) for moment in timeline.moments]


def wanted(timeline: Timeline) -> list[int]:
    return [sum(pods.wanted for pods in moment.pods) for moment in timeline.moments]


@pytest.mark.parametrize("metric", MetricType)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_same_load_asks_for_the_same_pods_all_the_way(
    strategy: CanaryStrategy | BlueGreenStrategy, metric: MetricType
) -> None:
    timeline = played(strategy, Autoscaler(40, (Load(800),), metric=metric))

    assert timeline.last.phase is Phase.HEALTHY
    assert wanted(timeline)[-1] == 8
    assert min(serving(timeline)) >= 6  # maxUnavailable of the rolling update
    assert not any("16" in event.message for moment in timeline.moments for event in moment.events)


def test_less_load_in_the_middle_of_an_update_takes_from_both_sides_by_their_share() -> None:
    scaler = Autoscaler(40, (Load(800), Load(400, timedelta(seconds=30))))
    strategy = canary(set_weight(25), pause(1200), set_weight(50), pause(60), max_surge=1, max_unavailable=0)

    timeline = played(strategy, scaler)

    sizes = [{pods.version: pods.wanted for pods in m.pods} for m in timeline.moments]
    assert {1: 6, 2: 2} in sizes
    assert {1: 3, 2: 1} in sizes
    assert timeline.last.phase is Phase.HEALTHY
    assert min(serving(timeline)) >= 4


def test_more_load_in_the_middle_of_an_update_grows_both_sides() -> None:
    scaler = Autoscaler(40, (Load(800), Load(1600, timedelta(seconds=40))))
    strategy = canary(set_weight(25), pause(600), max_surge=1, max_unavailable=0)

    timeline = played(strategy, scaler)

    sizes = [{pods.version: pods.wanted for pods in m.pods} for m in timeline.moments]
    assert {1: 12, 2: 4} in sizes


def test_an_abort_brings_back_what_the_load_asks_for() -> None:
    timeline = played(STRATEGIES[1], SCALER, actions=(Action(timedelta(seconds=50), Deed.ABORT),))

    assert wanted(timeline)[-1] == 8
    assert min(serving(timeline)) >= 8


LOADS = st.lists(st.tuples(st.integers(0, 900), st.integers(50, 2500)), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(STRATEGIES), st.sampled_from(MetricType), LOADS)
def test_whatever_the_load_does_it_ends_with_what_the_last_one_needs(
    strategy: CanaryStrategy | BlueGreenStrategy, metric: MetricType, loads: list[tuple[int, int]]
) -> None:
    scaler = Autoscaler(
        40, tuple(Load(percent, timedelta(seconds=at)) for at, percent in loads), metric=metric
    )

    timeline = played(strategy, scaler)

    assert timeline.ended
    assert timeline.last.phase is Phase.HEALTHY
    needed = scaler.percent(timedelta(days=1)) / 100
    tolerated = needed / 0.9 + 1
    assert min(needed / 1.1, 40) <= wanted(timeline)[-1] <= max(tolerated, 1)
    most = max(load.percent for load in scaler.load) / 100 / 0.9 + 1
    # surge on top of what the load asks for, or a whole second set; never more
    assert max(wanted(timeline)) <= max(2 * most, 16)


@pytest.mark.parametrize(
    ("scale", "percent", "count"),
    [
        (Scale(4, 4, 4), 400, 4),
        (Scale(4, 4, 4), 430, 4),
        (Scale(4, 4, 4), 500, 5),
        (Scale(4, 4, 8), 400, 4),
        (Scale(4, 4, 0), 400, 4),
        (Scale(4, 4, 4), 100, 2),
    ],
)
def test_what_one_look_asks_for(scale: Scale, percent: int, count: int) -> None:
    scaler = Autoscaler(40, (Load(percent),), min_replicas=2)

    assert autoscaler.recommended(scaler, scale, percent) == count


def test_pods_on_top_would_be_taken_for_demand_if_they_were_reported() -> None:
    """Why the status reports no more than the replicas: within the tolerance the count itself is the answer."""
    scaler = Autoscaler(40, (Load(800),), metric=BY_COUNT)

    assert autoscaler.recommended(scaler, Scale(8, 8, 8), 800) == 8
    assert autoscaler.recommended(scaler, Scale(8, 9, 9), 840) == 9


def test_the_way_down_waits_for_the_window() -> None:
    memory = Memory()

    assert memory.noted(START, 8) == 8
    assert memory.noted(START + timedelta(minutes=1), 4) == 8
    assert memory.noted(START + timedelta(minutes=6), 4) == 4


def test_an_autoscaler_is_read() -> None:
    story = scenario.read({"autoscaler": {"maxReplicas": 9, "load": [{"percent": 650}]}})

    assert story.autoscaler == Autoscaler(9, (Load(650),))
