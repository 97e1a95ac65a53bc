"""What an Experiment does: pods, analyses, Services, ends."""

from __future__ import annotations

import pytest

from rollouts.api.analysis import AnalysisPhase, Argument
from rollouts.api.selector import LabelSelector
from rollouts.delivery.experiments import plan
from rollouts.delivery.experiments.snapshot import is_over
from tests.unit.delivery.experiments import FakeExperiment, analysis, pods

SUCCESSFUL, FAILED = AnalysisPhase.SUCCESSFUL, AnalysisPhase.FAILED
ERROR, INCONCLUSIVE = AnalysisPhase.ERROR, AnalysisPhase.INCONCLUSIVE
RUNNING, PENDING = AnalysisPhase.RUNNING, AnalysisPhase.PENDING


def test_pods_run_for_the_duration_and_are_kept_for_the_delay() -> None:
    experiment = FakeExperiment(pods("a", replicas=2), pods("b"), duration=60)

    experiment.run()
    assert experiment.sizes() == {"web-a": 2, "web-b": 1}
    assert (experiment.status.phase, experiment.status.available_at) == (RUNNING, experiment.now)
    experiment.tick(59)
    assert experiment.status.phase is RUNNING
    experiment.tick(1)
    assert (experiment.status.phase, experiment.templates_are()) == (SUCCESSFUL, ["Successful"] * 2)
    experiment.tick(29)
    assert experiment.sizes() == {"web-a": 2, "web-b": 1}
    experiment.tick(1)
    assert experiment.sizes() == {"web-a": 0, "web-b": 0}
    assert [t.replicas for t in experiment.status.template_statuses] == [0, 0]
    assert experiment.wake is None


def test_it_is_pending_until_all_pods_are_available_and_the_duration_counts_from_there() -> None:
    experiment = FakeExperiment(pods("a"), pods("b"), duration=60)

    experiment.run(lambda name: name == "web-a")
    assert (experiment.status.phase, experiment.status.available_at) == (PENDING, None)
    assert experiment.templates_are() == ["Running", "Progressing"]
    experiment.tick(100)
    assert (experiment.status.phase, experiment.status.available_at) == (RUNNING, experiment.now)


def test_pods_that_do_not_become_available_fail_it_at_the_deadline() -> None:
    experiment = FakeExperiment(
        pods("a"), pods("b"), progress_deadline_seconds=30, scale_down_delay_seconds=0
    )

    experiment.run(lambda name: name == "web-a")
    experiment.tick(29, lambda name: name == "web-a")
    assert experiment.status.phase is PENDING
    experiment.tick(1, lambda name: name == "web-a")
    assert experiment.status.phase is FAILED
    assert experiment.status.message == "Template 'b' exceeded its progressDeadlineSeconds (30)"
    assert experiment.templates_are() == ["Successful", "Failed"]
    assert set(experiment.sizes().values()) == {0}


def test_a_crash_loop_does_not_renew_the_deadline() -> None:
    experiment = FakeExperiment(pods("a", replicas=2), progress_deadline_seconds=30)

    for second in range(40):
        experiment.run(lambda name: False)
        if second % 2:  # one of the two, now and then
            next(iter(experiment.sets.values())).pods[0].available = True
            experiment.settle()
        experiment.tick(1, lambda name: False)
    assert experiment.status.phase is FAILED


def test_analyses_start_once_all_pods_are_available() -> None:
    experiment = FakeExperiment(pods("a"), analyses=(analysis("rate"),), duration=60)

    experiment.run(lambda name: False)
    assert not experiment.runs
    assert not experiment.status.analysis_runs
    experiment.run()
    assert list(experiment.runs) == ["web-rate"]
    assert experiment.status.analysis_runs[0].analysis_run == "web-rate"


@pytest.mark.parametrize("phase", [FAILED, ERROR, INCONCLUSIVE])
def test_a_bad_analysis_ends_it_and_the_others(phase: AnalysisPhase) -> None:
    experiment = FakeExperiment(pods("a"), analyses=(analysis("rate"), analysis("other")), duration=60)

    experiment.run()
    experiment.finish("web-rate", phase, "too slow")
    assert (experiment.status.phase, experiment.status.message) == (phase, "too slow")
    assert experiment.runs["web-other"].terminating
    assert experiment.templates_are() == ["Successful"]


def test_it_ends_with_its_required_analyses_whatever_the_duration() -> None:
    experiment = FakeExperiment(
        pods("a"), analyses=(analysis("rate", required=True), analysis("other")), duration=60
    )

    experiment.run()
    experiment.tick(100)
    assert (experiment.status.phase, experiment.sizes()) == (RUNNING, {"web-a": 1})
    experiment.finish("web-rate", SUCCESSFUL)
    assert (experiment.status.phase, experiment.status.message) == (
        SUCCESSFUL,
        "Required AnalysisRuns completed",
    )
    assert experiment.runs["web-other"].terminating


def test_analyses_that_are_not_required_do_not_hold_it_up_and_do_not_end_it() -> None:
    experiment = FakeExperiment(pods("a"), analyses=(analysis("rate"), analysis("other")), duration=60)

    experiment.run()
    experiment.finish("web-rate", SUCCESSFUL)
    assert experiment.status.phase is RUNNING
    experiment.tick(60)
    assert experiment.status.phase is SUCCESSFUL
    assert experiment.runs["web-other"].terminating


def test_without_a_duration_it_runs_until_it_is_terminated() -> None:
    experiment = FakeExperiment(pods("a"), analyses=(analysis("rate"),))

    experiment.run()
    experiment.tick(1_000_000)
    assert experiment.status.phase is RUNNING
    experiment.terminate()
    experiment.run()
    assert experiment.status.phase is SUCCESSFUL
    assert experiment.runs["web-rate"].terminating
    experiment.tick(30)
    assert experiment.sizes() == {"web-a": 0}


def test_a_template_that_is_missing_is_an_error_before_any_pod_is_waited_for() -> None:
    experiment = FakeExperiment(pods("a"), analyses=(analysis("rate"),), known=False)

    experiment.run(lambda name: False)
    assert experiment.status.phase is ERROR
    assert "AnalysisTemplate not found" in experiment.status.message


def test_arguments_may_refer_to_the_pods_and_to_time() -> None:
    args = (
        Argument("hash", "{{templates.a.podTemplateHash}}"),
        Argument("set", "{{ templates.a.replicaset.name }}"),
        Argument("ends", "until {{experiment.finishedAt}}"),
    )
    experiment = FakeExperiment(pods("a"), analyses=(analysis("rate", args=args),), duration=60)
    ((ref, template),) = experiment.templates.items()
    assert template is not None
    experiment.templates[ref] = type(template)(template.metrics, tuple(Argument(a.name) for a in args))

    experiment.run()
    values = {arg.name: arg.value for arg in experiment.created["web-rate"].spec.args}
    assert values == {"hash": "hash-a", "set": "web-a", "ends": "until 2026-01-01T12:01:00Z"}


def test_an_argument_that_refers_to_nothing_is_an_error_that_names_what_there_is() -> None:
    args = (Argument("hash", "{{templates.b.podTemplateHash}}"),)
    experiment = FakeExperiment(pods("a"), analyses=(analysis("rate", args=args),))

    experiment.run()
    assert experiment.status.phase is ERROR
    assert '"templates.b.podTemplateHash" is not known' in experiment.status.message


def test_a_service_is_there_while_the_pods_are() -> None:
    experiment = FakeExperiment(
        pods("a", service=""),
        pods("b", service="own"),
        pods("c", service="", ports=False),
        duration=60,
        scale_down_delay_seconds=10,
    )

    experiment.run()
    assert {s.name: s.selected_hash for s in experiment.services.values()} == {
        "web-a": "hash-a",
        "own": "hash-b",
    }
    assert [t.service_name for t in experiment.status.template_statuses] == ["web-a", "own", ""]
    experiment.tick(60)
    assert len(experiment.services) == 2
    experiment.tick(10)
    assert not experiment.services
    assert [t.service_name for t in experiment.status.template_statuses] == ["", "", ""]


def test_a_retry_uses_the_sets_again_and_makes_new_runs() -> None:
    experiment = FakeExperiment(pods("a"), analyses=(analysis("rate", required=True),))

    experiment.run()
    experiment.finish("web-rate", FAILED)
    experiment.tick(10)
    experiment.retry()
    experiment.run()
    assert experiment.status.phase is RUNNING
    assert experiment.sets["web-a"].deadline is None
    assert list(experiment.runs) == ["web-rate", "web-rate.1"]
    experiment.finish("web-rate.1", SUCCESSFUL)
    assert experiment.status.phase is SUCCESSFUL
    experiment.tick(30)
    experiment.retry()
    experiment.run()
    assert experiment.sizes() == {"web-a": 1}


def test_a_name_that_is_taken_is_not_used() -> None:
    experiment = FakeExperiment(pods("a"))

    experiment.apply(plan.collided(experiment.snapshot(), "a"))
    experiment.run()
    assert experiment.sizes() == {"web-a-1": 1}


def test_what_the_api_server_refuses_is_an_error() -> None:
    experiment = FakeExperiment(pods("a"), pods("b"))

    experiment.run()
    experiment.apply(plan.refused(experiment.snapshot(), "a", "quota exceeded"))
    experiment.run()
    assert (experiment.status.phase, experiment.status.message) == (ERROR, "quota exceeded")


@pytest.mark.parametrize(
    ("templates", "spec", "told"),
    [
        ((pods("a"), pods("a")), {}, "spec.templates[1].name"),
        ((pods("a"),), {"analyses": (analysis("x"), analysis("x"))}, "spec.analyses[1].name"),
        ((pods("a", selector=LabelSelector()),), {}, "would select every pod"),
        ((pods("a", selector=LabelSelector({"app": "b"})),), {}, "does not match the template"),
        ((pods("a", min_ready_seconds=601),), {}, "must not be more than progressDeadlineSeconds"),
        ((pods("a", service="x"), pods("b", service="x")), {}, "is the Service of two templates"),
    ],
)
def test_an_invalid_spec_is_told_once_and_nothing_is_touched(
    templates: tuple[object, ...], spec: dict[str, object], told: str
) -> None:
    experiment = FakeExperiment(*templates, **spec)  # type: ignore[arg-type]

    experiment.run()
    experiment.tick(1)
    (event,) = experiment.told
    assert (event.reason, told in event.message) == ("InvalidSpec", True)
    assert [c.type for c in experiment.status.conditions] == ["InvalidSpec"]
    assert not experiment.sets


def test_events_and_conditions_have_the_reasons_of_the_peer() -> None:
    experiment = FakeExperiment(pods("a"), analyses=(analysis("rate", required=True),))

    experiment.run()
    experiment.finish("web-rate", SUCCESSFUL)
    experiment.tick(30)
    assert is_over(experiment.status)
    assert [event.reason.value for event in experiment.told] == [
        "NewReplicaSetCreated",
        "TemplateProgressing",
        "ExperimentPending",
        "TemplateRunning",
        "AnalysisRunPending",
        "ExperimentRunning",
        "AnalysisRunRunning",
        "TemplateSuccessful",
        "AnalysisRunSuccessful",
        "ExperimentSuccessful",
        "ScalingReplicaSet",
    ]
    (condition,) = experiment.status.conditions
    assert (condition.type, condition.status, condition.reason) == (
        "Progressing",
        "False",
        "ExperimentCompleted",
    )
