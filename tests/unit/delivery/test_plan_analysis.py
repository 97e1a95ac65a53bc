"""AnalysisRuns: when they start and stop, what they are called, what their verdict leads to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rollouts.api.analysis import (
    AnalysisPhase,
    AnalysisRunArgument,
    AnalysisRunMetadata,
    AnalysisTemplateRef,
    Argument,
)
from rollouts.api.meta import Names
from rollouts.api.parse import parse
from rollouts.api.rollout import AnalysisRunStrategy
from rollouts.api.rollout_status import PauseReason, Phase
from rollouts.api.strategy import RolloutAnalysis, RolloutAnalysisBackground, RolloutStrategy
from rollouts.delivery.actions import CreateAnalysisRun, DeleteAnalysisRun, TerminateAnalysisRun
from tests.builders import analyse, analysis, background, canary, pause, rollout, set_weight, template
from tests.fakes import FakeCluster

TEMPLATES = {"success-rate": template("success-rate"), "latency": template("latency")}


def updating(*steps: object, **fields: object) -> FakeCluster:
    """v2 is on its way."""
    cluster = FakeCluster(rollout(canary(*steps, **fields)), templates=TEMPLATES)  # type: ignore[arg-type]
    cluster.run()
    cluster.told.clear()
    cluster.deploy("v2")
    cluster.run()
    return cluster


def test_a_step_run_is_named_after_update_and_step() -> None:
    cluster = updating(set_weight(50), analyse())

    assert list(cluster.runs) == ["web-hash-v2-2-1"]
    created = cluster.run_specs["web-hash-v2-2-1"]
    assert created.labels == {
        "app": "web",
        "rollout-type": "Step",
        "step-index": "1",
        "rollouts-pod-template-hash": "hash-v2",
    }
    assert created.annotations == {"rollout.rollouts.dev/revision": "2"}
    assert [metric.name for metric in created.spec.metrics] == ["success-rate"]


def test_a_step_waits_for_its_run_and_goes_on_when_it_is_successful() -> None:
    cluster = updating(set_weight(50), analyse(), set_weight(75), pause())
    assert cluster.status.step == "1/4"
    assert cluster.sizes() == {"v1": 2, "v2": 2}

    cluster.finish_run("web-hash-v2-2-1", AnalysisPhase.SUCCESSFUL)
    cluster.run()

    assert cluster.status.step == "3/4"
    assert cluster.status.canary.current_step_analysis_run_status is None


@pytest.mark.parametrize("phase", [AnalysisPhase.FAILED, AnalysisPhase.ERROR])
def test_a_failed_run_aborts_and_says_what_was_measured(phase: AnalysisPhase) -> None:
    cluster = updating(set_weight(50), analyse())

    cluster.finish_run("web-hash-v2-2-1", phase, value="0.8")
    cluster.run()

    reason = cluster.status.abort_reason
    assert reason is not None
    assert reason.reason == f"Analysis{phase}"
    assert (reason.revision, reason.step, reason.pod_template_hash) == (2, 1, "hash-v2")
    assert (reason.analysis_run, reason.metric) == ("web-hash-v2-2-1", "success-rate")
    assert (reason.value, reason.threshold) == ("0.8", "result[0] >= 0.95")
    for word in ("revision 2", "step 2/2 (analysis)", "success-rate", "0.8", "result[0] >= 0.95"):
        assert word in cluster.status.message
    assert cluster.sizes() == {"v1": 4}
    assert cluster.status.phase is Phase.DEGRADED


def test_a_failed_run_without_a_verdict_is_told_by_its_message() -> None:
    cluster = updating(set_weight(50), analyse())

    cluster.finish_run("web-hash-v2-2-1", AnalysisPhase.ERROR, message="no such host")
    cluster.run()

    assert "no such host" in cluster.status.message


def test_a_retry_runs_the_analysis_again_under_a_new_name() -> None:
    cluster = updating(set_weight(50), analyse())
    for attempt in (1, 2):
        failed = list(cluster.runs)[-1]
        cluster.finish_run(failed, AnalysisPhase.FAILED)
        cluster.run()
        cluster.retry()
        cluster.run()
        assert list(cluster.runs)[-1] == f"web-hash-v2-2-1.{attempt}"
    assert cluster.status.phase is Phase.PROGRESSING


@pytest.mark.parametrize("died_after", [0, 1])
def test_a_crash_around_the_creation_of_a_run_leads_to_one_run(died_after: int) -> None:
    cluster = FakeCluster(rollout(canary(analyse())), templates=TEMPLATES)
    cluster.run()
    cluster.deploy("v2")
    decided = cluster.decide()
    index = next(i for i, a in enumerate(decided.actions) if isinstance(a, CreateAnalysisRun))

    cluster.apply(decided, upto=index + died_after)
    cluster.run()

    assert list(cluster.runs) == ["web-hash-v2-2-0"]


def test_a_crash_after_a_retry_was_seen_leads_to_one_new_run() -> None:
    cluster = updating(analyse())
    cluster.finish_run("web-hash-v2-2-0", AnalysisPhase.FAILED)
    cluster.run()
    cluster.retry()

    cluster.apply(cluster.decide(), upto=9)
    cluster.run()

    assert list(cluster.runs) == ["web-hash-v2-2-0", "web-hash-v2-2-0.1"]


def test_an_inconclusive_run_waits_for_a_person() -> None:
    cluster = updating(set_weight(50), analyse(), pause())
    cluster.finish_run("web-hash-v2-2-1", AnalysisPhase.INCONCLUSIVE)
    cluster.run()

    [condition] = cluster.status.pause_conditions
    assert condition.reason is PauseReason.INCONCLUSIVE_ANALYSIS
    assert cluster.status.phase is Phase.PAUSED
    run = cluster.status.canary.current_step_analysis_run_status
    assert run is not None
    assert run.status is AnalysisPhase.INCONCLUSIVE


def test_a_resume_after_an_inconclusive_run_measures_again() -> None:
    cluster = updating(set_weight(50), analyse(), pause())
    cluster.finish_run("web-hash-v2-2-1", AnalysisPhase.INCONCLUSIVE)
    cluster.run()

    cluster.patch_status(pause_conditions=())
    cluster.run()
    assert list(cluster.runs) == ["web-hash-v2-2-1", "web-hash-v2-2-1.1"]
    cluster.finish_run("web-hash-v2-2-1.1", AnalysisPhase.SUCCESSFUL)
    cluster.run()

    assert cluster.status.step == "2/3"
    [condition] = cluster.status.pause_conditions
    assert condition.reason is PauseReason.CANARY_PAUSE_STEP


def test_a_promotion_past_an_inconclusive_run_goes_to_the_next_step() -> None:
    """The patch of the plugin for this case: both cleared, one step on."""
    cluster = updating(set_weight(50), analyse(), pause())
    cluster.finish_run("web-hash-v2-2-1", AnalysisPhase.INCONCLUSIVE)
    cluster.run()

    cluster.patch_status(pause_conditions=(), controller_pause=False, current_step_index=2)
    cluster.run()

    assert list(cluster.runs) == ["web-hash-v2-2-1"]
    assert cluster.status.step == "2/3"


def test_a_background_run_starts_with_the_update_and_ends_with_it() -> None:
    cluster = updating(set_weight(50), pause(), analysis=background("success-rate"))
    assert list(cluster.runs) == ["web-hash-v2-2"]
    assert cluster.run_specs["web-hash-v2-2"].labels["rollout-type"] == "Background"

    cluster.promote()
    cluster.run()

    assert cluster.status.phase is Phase.HEALTHY
    assert cluster.runs["web-hash-v2-2"].terminating
    assert cluster.status.canary.current_background_analysis_run_status is None


def test_a_background_run_starts_at_its_starting_step() -> None:
    cluster = updating(pause(), set_weight(50), pause(), analysis=background("success-rate", starting_step=2))
    assert not cluster.runs

    cluster.promote()
    cluster.run()

    assert list(cluster.runs) == ["web-hash-v2-2"]


def test_a_failed_background_run_aborts_whatever_the_step() -> None:
    cluster = updating(set_weight(50), pause(), analysis=background("success-rate"))

    cluster.finish_run("web-hash-v2-2", AnalysisPhase.FAILED, value="0.1")
    cluster.run()

    assert cluster.status.phase is Phase.DEGRADED
    assert "Background AnalysisRun web-hash-v2-2" in cluster.status.message
    assert cluster.sizes() == {"v1": 4}


def test_an_inconclusive_background_run_is_measured_again_and_no_pause_is_skipped() -> None:
    cluster = updating(set_weight(50), pause(), analysis=background("success-rate"))
    cluster.finish_run("web-hash-v2-2", AnalysisPhase.INCONCLUSIVE)
    cluster.run()
    assert len(cluster.status.pause_conditions) == 2

    cluster.patch_status(pause_conditions=())
    cluster.run()

    assert list(cluster.runs) == ["web-hash-v2-2", "web-hash-v2-2.1"]


def test_an_update_that_is_resumed_before_its_pause_step_still_pauses_there() -> None:
    cluster = FakeCluster(
        rollout(canary(set_weight(50), pause(), analysis=background("success-rate"))), templates=TEMPLATES
    )
    cluster.run()
    cluster.deploy("v2")
    cluster.run(ready=lambda version: version == "v1")
    cluster.finish_run("web-hash-v2-2", AnalysisPhase.INCONCLUSIVE)
    cluster.run(ready=lambda version: version == "v1")
    assert cluster.status.step == "0/2"

    cluster.patch_status(pause_conditions=())
    cluster.run()

    assert cluster.status.step == "1/2"
    assert cluster.status.phase is Phase.PAUSED


def test_runs_of_an_overtaken_update_are_stopped() -> None:
    cluster = updating(set_weight(50), analyse())

    cluster.deploy("v3")
    decided = cluster.decide()

    assert TerminateAnalysisRun("web-hash-v2-2-1", "uid-web-hash-v2-2-1") in decided.actions
    cluster.run()
    assert not cluster.runs["web-hash-v2-2-1"].phase.completed or cluster.runs["web-hash-v2-2-1"].terminating


def test_nothing_is_analysed_on_the_first_deployment() -> None:
    cluster = FakeCluster(rollout(canary(analyse(), analysis=background())), templates=TEMPLATES)
    cluster.run()

    assert cluster.status.phase is Phase.HEALTHY
    assert not cluster.runs


def test_a_run_that_somebody_deleted_is_made_again() -> None:
    cluster = updating(analyse())
    del cluster.runs["web-hash-v2-2-0"], cluster.run_specs["web-hash-v2-2-0"]

    cluster.run()

    assert list(cluster.runs) == ["web-hash-v2-2-0"]


def test_arguments_come_from_the_spec_the_sets_and_the_metadata() -> None:
    args = (
        parse(AnalysisRunArgument, {"name": "plain", "value": "a"}, ""),
        parse(AnalysisRunArgument, _from({"podTemplateHashValue": "Stable"}, "stable"), ""),
        parse(AnalysisRunArgument, _from({"podTemplateHashValue": "Latest"}, "latest"), ""),
        parse(AnalysisRunArgument, _from({"fieldRef": {"fieldPath": "metadata.name"}}, "name"), ""),
        parse(
            AnalysisRunArgument,
            _from({"fieldRef": {"fieldPath": "metadata.annotations['shop/tier']"}}, "tier"),
            "",
        ),
        parse(AnalysisRunArgument, _from({"fieldRef": {"fieldPath": "spec.replicas"}}, "replicas"), ""),
        parse(AnalysisRunArgument, _from({"fieldRef": {"fieldPath": "metadata.labels['zone']"}}, "zone"), ""),
        parse(AnalysisRunArgument, _from({"fieldRef": {"fieldPath": "status.stableRS"}}, "good"), ""),
    )
    names = [arg.name for arg in args]
    declared = (*(Argument(name) for name in names), Argument("default", value="d"))
    spec = replace(template("success-rate"), args=declared)
    step = replace(analyse(), analysis=analysis("success-rate", args=args))
    cluster = FakeCluster(
        rollout(canary(step), annotations={"shop/tier": "gold"}), templates={"success-rate": spec}
    )
    cluster.run()
    cluster.deploy("v2")
    cluster.run()

    made = {arg.name: arg.value for arg in cluster.run_specs["web-hash-v2-2-0"].spec.args}
    assert made == {
        "plain": "a",
        "stable": "hash-v1",
        "latest": "hash-v2",
        "name": "web",
        "tier": "gold",
        "replicas": "4",
        "zone": "",
        "good": "hash-v1",
        "default": "d",
    }


def _from(source: dict[str, object], name: str) -> dict[str, object]:
    return {"name": name, "valueFrom": source}


def test_metrics_of_several_and_of_nested_templates_are_measured_together() -> None:
    nested = replace(
        template("errors"), templates=(AnalysisTemplateRef("latency"), AnalysisTemplateRef("errors"))
    )
    templates = {**TEMPLATES, "errors": nested}
    cluster = FakeCluster(rollout(canary(analyse("success-rate", "errors"))), templates=templates)
    cluster.run()
    cluster.deploy("v2")
    cluster.run()

    metrics = [metric.name for metric in cluster.run_specs["web-hash-v2-2-0"].spec.metrics]
    assert metrics == ["success-rate", "errors", "latency"]


def test_metadata_and_instance_id_are_passed_on_and_the_group_names_the_annotations() -> None:
    metadata = AnalysisRunMetadata(labels={"team": "shop"}, annotations={"why": "canary"})
    step = replace(analyse(), analysis=RolloutAnalysis(analysis().templates, analysis_run_metadata=metadata))
    names = Names("argoproj.io")
    cluster = FakeCluster(rollout(canary(step)), templates=TEMPLATES, names=names)
    labels = {names.instance_id_label: "blue"}
    cluster.rollout = replace(cluster.rollout, metadata=replace(cluster.rollout.metadata, labels=labels))
    cluster.run()
    cluster.deploy("v2")
    cluster.run()

    created = cluster.run_specs["web-hash-v2-2-0"]
    assert created.labels["team"] == "shop"
    assert created.labels["argo-rollouts.argoproj.io/controller-instance-id"] == "blue"
    assert created.annotations == {"why": "canary", "rollout.argoproj.io/revision": "2"}


def test_completed_runs_beyond_the_history_limits_are_deleted_oldest_first() -> None:
    keep = AnalysisRunStrategy(successful_run_history_limit=1, unsuccessful_run_history_limit=1)
    cluster = FakeCluster(rollout(canary(analyse()), analysis=keep), templates=TEMPLATES)
    cluster.run()
    for number, phase in enumerate((AnalysisPhase.FAILED, AnalysisPhase.FAILED, AnalysisPhase.SUCCESSFUL)):
        cluster.now += timedelta(seconds=10)
        cluster.deploy(f"v{number + 2}")
        cluster.run()
        cluster.finish_run(list(cluster.runs)[-1], phase)
        cluster.run()
    cluster.now += timedelta(seconds=10)
    cluster.deploy("v9")
    cluster.run()
    cluster.finish_run("web-hash-v9-5-0", AnalysisPhase.SUCCESSFUL)
    cluster.run()

    assert list(cluster.runs) == ["web-hash-v3-3-0", "web-hash-v9-5-0"]


def test_runs_of_a_set_that_is_gone_are_deleted() -> None:
    cluster = updating(analyse())
    cluster.finish_run("web-hash-v2-2-0", AnalysisPhase.SUCCESSFUL)
    cluster.run()
    cluster.deploy("v1")
    cluster.run()

    del cluster.sets["web-hash-v2"]

    assert DeleteAnalysisRun("web-hash-v2-2-0", "uid-web-hash-v2-2-0") in cluster.decide().actions


def test_an_analysis_that_loses_its_templates_ends_and_the_update_goes_on() -> None:
    cluster = updating(pause(), analysis=background())
    assert [run.phase for run in cluster.runs.values()] == [AnalysisPhase.RUNNING]

    cluster.edit(strategy=RolloutStrategy(canary=canary(pause(), analysis=RolloutAnalysisBackground())))
    cluster.run()

    assert [run.terminating for run in cluster.runs.values()] == [True]
    assert cluster.status.canary.current_background_analysis_run_status is None
    assert cluster.status.phase is Phase.PAUSED


def test_a_doubt_outlasts_a_timed_pause() -> None:
    cluster = updating(pause(30), set_weight(50), pause(), analysis=background())
    cluster.finish_run("web-hash-v2-2", AnalysisPhase.INCONCLUSIVE)
    cluster.run()
    assert [p.reason for p in cluster.status.pause_conditions] == [
        "CanaryPauseStep",
        "InconclusiveAnalysisRun",
    ]

    cluster.tick(30)
    assert (cluster.status.phase, cluster.status.message) == (Phase.PAUSED, "InconclusiveAnalysisRun")
    assert cluster.status.step == "0/3"

    cluster.promote()
    cluster.run()
    assert cluster.status.step == "2/3"
    assert [run.phase for run in cluster.runs.values()] == [AnalysisPhase.INCONCLUSIVE, AnalysisPhase.RUNNING]
