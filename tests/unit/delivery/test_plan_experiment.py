"""Experiment steps: when an Experiment starts and is ended, what it is called, what its verdict leads to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rollouts.api.analysis import AnalysisPhase, AnalysisRunArgument, ArgumentValueFrom, PodTemplateHashValue
from rollouts.api.experiment_step import RolloutExperimentAnalysis
from rollouts.api.meta import Names, Reason
from rollouts.api.rollout import AnalysisRunStrategy
from rollouts.api.rollout_status import PauseReason, Phase
from rollouts.api.strategy import CanaryStep
from rollouts.delivery.actions import CreateExperiment, TerminateExperiment
from tests.builders import canary, experiment, pause, rollout, set_weight, template
from tests.fakes import FakeCluster

NAME = "web-hash-v2-2-1"
TEMPLATES = {"rate": template("rate")}


def updating(*steps: CanaryStep, names: Names | None = None, **fields: object) -> FakeCluster:
    """v2 is on its way."""
    made = rollout(canary(*(steps or (set_weight(50), experiment(), pause()))), **fields)  # type: ignore[arg-type]
    cluster = FakeCluster(made, templates=TEMPLATES, names=names)
    cluster.run()
    cluster.told.clear()
    cluster.deploy("v2")
    cluster.run()
    return cluster


def finish(cluster: FakeCluster, phase: AnalysisPhase, message: str = "", name: str = NAME) -> None:
    cluster.finish_experiment(name, phase, message)
    cluster.run()


def test_a_step_waits_for_its_experiment_and_goes_on_when_it_is_successful() -> None:
    cluster = updating()
    assert cluster.status.canary.current_experiment == NAME
    assert cluster.status.message == f"step 2 of 3: waiting for Experiment {NAME}"
    assert Reason.EXPERIMENT_CREATED.value in cluster.reasons()

    finish(cluster, AnalysisPhase.RUNNING)
    assert cluster.status.step == "1/3"
    finish(cluster, AnalysisPhase.SUCCESSFUL)
    assert cluster.status.step == "2/3"
    assert cluster.status.canary.current_experiment == ""
    assert list(cluster.experiments) == [NAME]


def test_it_is_made_of_both_sides_and_says_what_it_is_for() -> None:
    step = experiment(duration=timedelta(minutes=5))
    created = updating(set_weight(50), step).conducted[NAME]

    assert created == CreateExperiment(
        name=NAME,
        step=step.experiment,  # type: ignore[arg-type]
        analyses=(),
        canary_set="web-hash-v2",
        stable_set="web-hash-v1",
        labels={"rollouts-pod-template-hash": "hash-v2"},
        annotations={"rollout.rollouts.dev/revision": "2"},
    )


def test_arguments_of_its_analyses_are_filled_in() -> None:
    latest = ArgumentValueFrom(pod_template_hash_value=PodTemplateHashValue.STABLE)
    args = (AnalysisRunArgument("stable", value_from=latest), AnalysisRunArgument("x", "{{templates.a.b}}"))
    step = experiment()
    assert step.experiment is not None
    analyses = (RolloutExperimentAnalysis("rate", "rate", args=args, required_for_completion=True),)
    step = replace(step, experiment=replace(step.experiment, analyses=analyses))

    (analysis,) = updating(set_weight(50), step).conducted[NAME].analyses
    assert {arg.name: arg.value for arg in analysis.args} == {"stable": "hash-v1", "x": "{{templates.a.b}}"}
    assert analysis.required_for_completion


@pytest.mark.parametrize("phase", [AnalysisPhase.FAILED, AnalysisPhase.ERROR])
def test_a_failed_experiment_aborts_and_says_why(phase: AnalysisPhase) -> None:
    cluster = updating()

    finish(cluster, phase, "metric rate is bad")
    assert cluster.status.phase is Phase.DEGRADED
    reason = cluster.status.abort_reason
    assert reason is not None
    assert (reason.reason, reason.experiment, reason.step) == (f"Experiment{phase}", NAME, 1)
    assert f"Experiment {NAME} is {phase}: metric rate is bad" in reason.message
    assert cluster.status.canary.current_experiment == ""


def test_an_inconclusive_experiment_waits_and_runs_again_when_somebody_says_go_on() -> None:
    cluster = updating()

    finish(cluster, AnalysisPhase.INCONCLUSIVE)
    assert cluster.status.phase is Phase.PAUSED
    assert [p.reason for p in cluster.status.pause_conditions] == [PauseReason.INCONCLUSIVE_EXPERIMENT]
    cluster.promote()
    cluster.run()
    assert cluster.status.canary.current_experiment == f"{NAME}-1"
    finish(cluster, AnalysisPhase.SUCCESSFUL, name=f"{NAME}-1")
    assert cluster.status.step == "2/3"


def test_an_inconclusive_experiment_is_left_behind_by_whoever_moves_the_step() -> None:
    cluster = updating()

    finish(cluster, AnalysisPhase.INCONCLUSIVE)
    cluster.patch_status(pause_conditions=(), controller_pause=False, current_step_index=2)
    cluster.run()
    assert (cluster.status.step, list(cluster.experiments)) == ("2/3", [NAME])


@pytest.mark.parametrize("deed", ["abort", "promote", "promote_full", "deploy"])
def test_it_is_terminated_when_nobody_waits_for_it(deed: str) -> None:
    cluster = updating()

    if deed == "deploy":
        cluster.deploy("v3")
    else:
        getattr(cluster, deed)()
    cluster.run()
    assert cluster.experiments[NAME].terminating
    assert cluster.status.canary.current_experiment in ("", "web-hash-v3-3-1")


def test_a_retry_makes_another_one() -> None:
    cluster = updating()

    finish(cluster, AnalysisPhase.FAILED)
    cluster.retry()
    cluster.run()
    assert cluster.status.canary.current_experiment == f"{NAME}-1"
    assert list(cluster.experiments) == [NAME, f"{NAME}-1"]


def test_a_crash_after_its_creation_makes_no_second_one() -> None:
    cluster = FakeCluster(rollout(canary(experiment())))
    cluster.run()
    cluster.deploy("v2")
    while not any(isinstance(action, CreateExperiment) for action in cluster.decide().actions):
        cluster.apply(cluster.decide())
        cluster.replica_set_controller()
        cluster.make_ready()

    decided = cluster.decide()
    cluster.apply(decided, upto=len(decided.actions))
    cluster.run()
    assert list(cluster.experiments) == ["web-hash-v2-2-0"]


def test_the_first_deployment_has_no_experiments() -> None:
    cluster = FakeCluster(rollout(canary(experiment()), analyze_initial_deploy=True))

    cluster.run()
    assert cluster.status.phase is Phase.HEALTHY
    assert not cluster.experiments


def test_an_update_that_is_held_keeps_its_experiment() -> None:
    cluster = updating()

    cluster.edit(paused=True)
    cluster.run()
    assert not any(isinstance(action, TerminateExperiment) for action in cluster.decide().actions)
    assert not cluster.experiments[NAME].terminating


def test_old_experiments_are_deleted_by_the_history_limits_of_analyses() -> None:
    cluster = updating(experiment(), experiment(), experiment(), analysis=AnalysisRunStrategy(1, 1))

    for index in range(3):
        finish(cluster, AnalysisPhase.SUCCESSFUL, name=f"web-hash-v2-2-{index}")
        cluster.tick(1)
    assert cluster.status.phase is Phase.HEALTHY
    assert list(cluster.experiments) == ["web-hash-v2-2-2"]


@pytest.mark.parametrize(
    ("step", "path"),
    [
        (experiment("a", "a"), "experiment.templates[1].name"),
        (experiment(analyses=("rate", "rate")), "experiment.analyses[1].name"),
        (experiment(analyses=("absent",)), "experiment.analyses[0].templateName"),
        (CanaryStep(experiment=experiment().experiment, set_weight=1), "spec.strategy.canary.steps[1]"),
    ],
)
def test_a_step_that_cannot_be_served_is_an_invalid_spec(step: CanaryStep, path: str) -> None:
    cluster = FakeCluster(rollout(canary(set_weight(50), step)), templates=TEMPLATES)

    cluster.run()
    assert cluster.status.phase is Phase.DEGRADED
    assert path in cluster.status.message
