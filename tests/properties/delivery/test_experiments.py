"""Properties of an Experiment over random specs, pods, verdicts, people, crashes and lost time."""

from __future__ import annotations

import copy
import random
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from rollouts.api.analysis import AnalysisPhase
from rollouts.delivery.experiments.snapshot import is_over
from tests.unit.delivery.experiments import FakeExperiment, analysis, pods

SETTINGS = settings(max_examples=150, deadline=None)
SECOND = timedelta(seconds=1)
chances = st.randoms(use_true_random=False)


def experiment(rng: random.Random) -> FakeExperiment:
    names = "abc"[: rng.randint(1, 3)]
    services = (None, "", "own")
    return FakeExperiment(
        *(pods(n, replicas=rng.randint(0, 3), service=rng.choice(services[: 2 + (n == "a")])) for n in names),
        analyses=tuple(analysis(n, required=rng.random() < 0.4) for n in "xy"[: rng.randint(0, 2)]),
        duration=rng.choice((None, 10, 60)),
        scale_down_delay_seconds=rng.choice((0, 30)),
        progress_deadline_seconds=rng.choice((20, 600)),
    )


def happen(rng: random.Random, made: FakeExperiment) -> None:
    """One thing that is not the controller's doing."""
    going_on = [name for name, run in made.runs.items() if not run.phase.completed]
    match rng.randint(0, 7):
        case 0 if going_on:
            name = rng.choice(going_on)
            run = made.runs[name]
            phase = rng.choice(("Successful", "Successful", "Failed", "Error", "Inconclusive"))
            made.runs[name] = replace(run, phase=AnalysisPhase(phase))
        case 1 if rng.random() < 0.2:
            made.terminate()
        case 2 if is_over(made.status) and rng.random() < 0.3:
            made.retry()
        case 3 | 4:
            made.replica_set_controller()
        case 5 | 6:
            for rs in made.sets.values():
                for pod in rs.pods:
                    pod.available = rng.random() < 0.8
        case _:
            made.now += rng.choice((1, 7, 31)) * SECOND


def step(rng: random.Random, made: FakeExperiment) -> None:
    """One decision, which may die after any of its writes."""
    decided = made.decide()
    dies = rng.random() < 0.3
    made.apply(decided, upto=rng.randint(0, len(decided.actions)) if dies else None)


@SETTINGS
@given(chances, st.integers(0, 40))
def test_whatever_happens_it_comes_to_rest_and_is_quiet(rng: random.Random, events: int) -> None:
    made = experiment(rng)
    for _ in range(events):
        happen(rng, made)
        before = made.status
        step(rng, made)
        assert not is_over(before) or made.status.phase is before.phase, "a verdict stands"

    made.run()
    decided = made.decide()
    assert (decided.actions, decided.events, decided.status) == ((), (), made.status)
    assert decided.requeue_at is None or decided.requeue_at > made.now


@SETTINGS
@given(chances, st.integers(0, 40))
def test_once_it_is_over_nothing_is_left_running(rng: random.Random, events: int) -> None:
    made = experiment(rng)
    for _ in range(events):
        happen(rng, made)
        step(rng, made)

    made.run()
    made.terminate()
    made.run()
    made.tick(30)

    assert is_over(made.status)
    assert set(made.sizes().values()) <= {0}
    assert not made.services
    assert all(run.phase.completed for run in made.runs.values())
    assert made.wake is None


@SETTINGS
@given(chances, st.integers(0, 30), st.integers(0, 6))
def test_a_crash_after_any_write_ends_in_the_same_place(rng: random.Random, events: int, writes: int) -> None:
    undisturbed = experiment(rng)
    for _ in range(events):
        happen(rng, undisturbed)
        undisturbed.apply(undisturbed.decide())
    crashed = copy.deepcopy(undisturbed)

    crashed.apply(crashed.decide(), upto=writes)
    crashed.run()
    undisturbed.run()

    assert crashed.status == undisturbed.status
    assert crashed.sizes() == undisturbed.sizes()
    assert crashed.runs.keys() == undisturbed.runs.keys()
    assert crashed.services == undisturbed.services
