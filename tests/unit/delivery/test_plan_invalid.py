"""A spec that cannot be served: said once, clearly, and nothing in the running workload is touched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rollouts.api.analysis import (
    AnalysisPhase,
    AnalysisRunArgument,
    AnalysisTemplateRef,
    AnalysisTemplateSpec,
    Argument,
)
from rollouts.api.parse import parse
from rollouts.api.rollout import LabelSelector, LabelSelectorRequirement, RolloutSpec
from rollouts.api.rollout_status import Phase
from rollouts.api.strategy import CanaryStep, RolloutPause, RolloutStrategy
from rollouts.delivery import plan
from rollouts.delivery.snapshot import Service
from rollouts.errors import SpecError
from tests import builders, status_linter
from tests.builders import (
    analyse,
    analysis,
    background,
    bake,
    blue_green,
    canary,
    pause,
    rollout,
    set_weight,
    template,
)
from tests.fakes import FakeCluster

CANARY = "spec.strategy.canary"


def metrics(fields: dict[str, Any], **arguments: str | None) -> AnalysisTemplateSpec:
    """A template of one metric, with arguments and their defaults."""
    written = {"name": "errors", "provider": {"prometheus": {"query": "up"}}, **fields}
    args = [{"name": name, "value": value} for name, value in arguments.items()]
    return parse(AnalysisTemplateSpec, {"metrics": [written], "args": args}, "spec")


TEMPLATES = {
    "success-rate": template("success-rate"),
    "same-metric": template("success-rate"),
    "endless": template("errors", interval=30),
    "needs-argument": replace(template("errors"), args=(Argument("service"),)),
    "clashes": replace(template("latency"), args=(Argument("service", value="a"),)),
    "clashes-too": replace(template("traffic"), args=(Argument("service", value="b"),)),
    "empty": template(),
    "mistyped": metrics({"successCondition": "result[0] >="}),
    "contradicts": metrics(
        {"interval": "{{args.every}}", "count": "{{args.count}}"}, every="soon", count="3"
    ),
    "counted-by-argument": metrics(
        {"interval": "{{args.every}}", "count": "{{args.count}}"}, every="30s", count="3"
    ),
    "endless-by-argument": metrics(
        {"interval": "{{args.every}}", "count": "{{args.count}}"}, every="30s", count="0"
    ),
    "compared": metrics(
        {
            "interval": "30s",
            "count": 3,
            "provider": {"prometheus": {"query": "bad{hash='{{comparison.variant}}'}"}},
            "comparison": {
                "canary": "{{args.latest}}",
                "control": "{{args.stable}}",
                "totalQuery": "all{hash='{{comparison.variant}}'}",
            },
        },
        latest=None,
        stable=None,
    ),
    "names-a-missing-one": replace(template("errors"), templates=(AnalysisTemplateRef("nobody"),)),
}


def faulty(strategy: Any, **fields: Any) -> FakeCluster:
    """A healthy v1, then an edit that cannot be served."""
    services = ("active", "preview", "canary", "stable")
    cluster = FakeCluster(rollout(canary()), services=services, templates=TEMPLATES)
    cluster.run()
    cluster.told.clear()
    is_canary = hasattr(strategy, "steps")
    both = RolloutStrategy(canary=strategy) if is_canary else RolloutStrategy(blue_green=strategy)
    cluster.edit(strategy=both, **fields)
    return cluster


def analysed(*templates: str, **fields: Any) -> Any:
    return canary(set_weight(50), replace(analyse(), analysis=replace(analysis(*templates), **fields)))


def _argument(source: dict[str, Any]) -> Any:
    return (parse(AnalysisRunArgument, {"name": "service", "valueFrom": source}, ""),)


FAULTS: dict[str, tuple[Callable[[], FakeCluster], str, str]] = {
    "no strategy": (
        lambda: _edited(strategy=RolloutStrategy()),
        "spec.strategy",
        "none is set; set exactly one of canary",
    ),
    "both strategies": (
        lambda: _edited(strategy=RolloutStrategy(canary=canary(), blue_green=blue_green())),
        "spec.strategy",
        "canary and blueGreen are set",
    ),
    "empty selector": (
        lambda: _edited(selector=LabelSelector()),
        "spec.selector",
        "would select every pod",
    ),
    "selector without match": (
        lambda: _edited(selector=LabelSelector({"app": "other"})),
        "spec.selector.matchLabels.app",
        'does not match the template, where it is "web"',
    ),
    "expression without match": (
        lambda: _edited(
            selector=LabelSelector(
                {"app": "web"}, (LabelSelectorRequirement("tier", "In", ("gold", "silver")),)
            )
        ),
        "spec.selector.matchExpressions[0]",
        "does not match the template's labels",
    ),
    "deadline shorter than ready": (
        lambda: _edited(min_ready_seconds=600),
        "spec.progressDeadlineSeconds",
        "must be greater than minReadySeconds",
    ),
    "neither surge nor unavailable": (
        lambda: faulty(canary(max_surge=0, max_unavailable="0%")),
        f"{CANARY}.maxSurge",
        "maxUnavailable is zero too",
    ),
    "one service for both": (
        lambda: faulty(canary(canary_service="stable", stable_service="stable")),
        f"{CANARY}.stableService",
        "is the canaryService too",
    ),
    "a step with two fields": (
        lambda: faulty(canary(CanaryStep(set_weight=1, pause=RolloutPause()))),
        f"{CANARY}.steps[0]",
        "must not have setWeight and pause; make them steps of their own",
    ),
    "a weight out of range": (
        lambda: faulty(canary(set_weight(101))),
        f"{CANARY}.steps[0].setWeight",
        "must be between 0 and 100",
    ),
    "a negative pause": (
        lambda: faulty(canary(pause(0), CanaryStep(pause=RolloutPause(timedelta(seconds=-1))))),
        f"{CANARY}.steps[1].pause.duration",
        "must not be negative",
    ),
    "active is preview": (
        lambda: faulty(blue_green(preview_service="active")),
        "spec.strategy.blueGreen.previewService",
        "is the activeService too",
    ),
    "no active service": (
        lambda: faulty(blue_green(active_service="")),
        "spec.strategy.blueGreen.activeService",
        "is required",
    ),
    "negative seconds": (
        lambda: faulty(blue_green(auto_promotion_seconds=-1)),
        "spec.strategy.blueGreen.autoPromotionSeconds",
        "must not be negative",
    ),
    "more delayed revisions than kept ones": (
        lambda: faulty(blue_green(scale_down_delay_revision_limit=11)),
        "spec.strategy.blueGreen.scaleDownDelayRevisionLimit",
        "is more than the 10 revisions",
    ),
    "a missing service": (
        lambda: faulty(blue_green(active_service="nobody")),
        "spec.strategy.blueGreen.activeService",
        "Service not found",
    ),
    "a missing template": (
        lambda: faulty(analysed("nobody")),
        f"{CANARY}.steps[1].analysis.templates[0].templateName",
        'Invalid value: "nobody": AnalysisTemplate not found',
    ),
    "a missing second template": (
        lambda: faulty(analysed("success-rate", "nobody")),
        f"{CANARY}.steps[1].analysis.templates[1].templateName",
        "AnalysisTemplate not found",
    ),
    "a missing nested template": (
        lambda: faulty(analysed("names-a-missing-one")),
        f"{CANARY}.steps[1].analysis.templates[0].templateName.templates[0].templateName",
        "AnalysisTemplate not found",
    ),
    "a missing cluster template": (
        lambda: faulty(analysed(templates=(AnalysisTemplateRef("everywhere", cluster_scope=True),))),
        f"{CANARY}.steps[1].analysis.templates[0].templateName",
        "ClusterAnalysisTemplate not found",
    ),
    "no templates": (
        lambda: faulty(analysed(templates=())),
        f"{CANARY}.steps[1].analysis.templates",
        "names no template",
    ),
    "a template without metrics": (
        lambda: faulty(analysed("empty")),
        f"{CANARY}.steps[1].analysis.templates[0].templateName",
        "has no metrics",
    ),
    "one metric in two templates": (
        lambda: faulty(analysed("success-rate", "same-metric")),
        f"{CANARY}.steps[1].analysis.templates[1].templateName",
        'metric "success-rate" is also in template "success-rate"',
    ),
    "a metric that never ends": (
        lambda: faulty(analysed("endless")),
        f"{CANARY}.steps[1].analysis.templates[0].templateName",
        'metric "errors" has an interval and no count',
    ),
    "a metric that never ends by its argument": (
        lambda: faulty(analysed("endless-by-argument")),
        f"{CANARY}.steps[1].analysis.templates[0].templateName",
        'metric "errors" has an interval and no count',
    ),
    "a condition that cannot work": (
        lambda: faulty(analysed("mistyped")),
        f"{CANARY}.steps[1].analysis.templates[0].templateName",
        'metrics[0].successCondition: "result[0] >=": ',
    ),
    "an argument that is no duration": (
        lambda: faulty(analysed("contradicts")),
        f"{CANARY}.steps[1].analysis.templates[0].templateName",
        'metrics[0].interval: "soon" is not a duration',
    ),
    "an argument without value": (
        lambda: faulty(analysed("needs-argument")),
        f"{CANARY}.steps[1].analysis.args",
        'argument "service" has no value',
    ),
    "an argument with two values": (
        lambda: faulty(analysed("clashes", "clashes-too")),
        f"{CANARY}.steps[1].analysis.templates[1].templateName",
        'argument "service" is "b" here and "a"',
    ),
    "a field that is not there": (
        lambda: faulty(
            analysed("needs-argument", args=_argument({"fieldRef": {"fieldPath": "spec.region"}}))
        ),
        f"{CANARY}.steps[1].analysis.args[0].valueFrom.fieldRef.fieldPath",
        'the Rollout has no "region" there',
    ),
    "a field that is no value": (
        lambda: faulty(analysed("needs-argument", args=_argument({"fieldRef": {"fieldPath": "spec"}}))),
        f"{CANARY}.steps[1].analysis.args[0].valueFrom.fieldRef.fieldPath",
        "is not a single value",
    ),
    "an argument from nowhere": (
        lambda: faulty(analysed("needs-argument", args=_argument({}))),
        f"{CANARY}.steps[1].analysis.args[0].valueFrom",
        "names no source",
    ),
    "a fault in the analysis after the promotion": (
        lambda: faulty(blue_green(post_promotion_analysis=analysis("nobody"))),
        "spec.strategy.blueGreen.postPromotionAnalysis.templates[0].templateName",
        "AnalysisTemplate not found",
    ),
}


def _edited(**fields: Any) -> FakeCluster:
    cluster = faulty(canary())
    cluster.edit(**fields)
    return cluster


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_with_field_value_and_remedy(fault: str) -> None:
    make, path, words = FAULTS[fault]
    cluster = make()
    before = cluster.status
    cluster.deploy("v2")

    decided = cluster.decide()

    assert decided.actions == ()
    assert decided.status.phase is Phase.DEGRADED
    assert decided.status.message.startswith(f"InvalidSpec: {path}")
    assert words in decided.status.message
    [told] = decided.events
    assert (told.reason, told.type) == ("InvalidSpec", "Warning")
    assert decided.status.stable_rs == before.stable_rs
    assert decided.status.current_pod_hash == before.current_pod_hash


def test_an_empty_step_names_what_a_step_may_be() -> None:
    decided = faulty(canary(CanaryStep())).decide()

    assert f"{CANARY}.steps[0]: must have one of setWeight, pause," in decided.status.message


def test_a_fault_is_told_once() -> None:
    cluster = faulty(canary(set_weight(101)))
    cluster.run()
    cluster.tick(600)

    assert cluster.reasons() == ["InvalidSpec"]
    assert cluster.sizes() == {"v1": 4}


def test_a_spec_that_is_put_right_is_served_again() -> None:
    cluster = faulty(canary(set_weight(101)))
    cluster.run()
    cluster.edit(strategy=RolloutStrategy(canary=canary(set_weight(50))))
    cluster.deploy("v2")
    cluster.run()

    assert cluster.status.phase is Phase.HEALTHY
    assert not any(condition.type == "InvalidSpec" for condition in cluster.status.conditions)


def test_another_fault_is_told_again() -> None:
    cluster = faulty(canary(set_weight(101)))
    cluster.run()
    cluster.edit(strategy=RolloutStrategy(canary=canary(set_weight(102))))
    cluster.run()

    assert cluster.reasons() == ["InvalidSpec", "InvalidSpec"]


def test_a_fault_mid_update_changes_nothing_that_runs() -> None:
    cluster = FakeCluster(rollout(canary(set_weight(50), analyse(), pause())), templates=dict(TEMPLATES))
    cluster.run()
    cluster.deploy("v2")
    cluster.run()
    assert cluster.status.step == "1/3"

    cluster.templates[AnalysisTemplateRef("success-rate")] = None
    cluster.run()
    assert cluster.sizes() == {"v1": 2, "v2": 2}
    assert cluster.status.phase is Phase.DEGRADED
    cluster.templates[AnalysisTemplateRef("success-rate")] = TEMPLATES["success-rate"]
    cluster.run()

    assert (cluster.status.phase, cluster.status.step) == (Phase.PROGRESSING, "1/3")


def test_a_rollout_that_is_faulty_from_the_start() -> None:
    cluster = FakeCluster(rollout(canary(set_weight(101))))

    decided = cluster.decide()
    cluster.apply(decided)

    assert not cluster.sets
    status_linter.lint(cluster.rollout)


def test_two_rollouts_on_one_service() -> None:
    cluster = faulty(blue_green())
    snapshot = replace(cluster.snapshot(), rivals={"active": "shop-api"})

    decided = plan.decide(snapshot)

    assert "Rollout shop-api uses this Service too" in decided.status.message
    assert decided.actions == ()


def test_a_service_that_selects_other_pods() -> None:
    cluster = faulty(blue_green())
    cluster.services["active"] = Service("active", "uid", "1", selector={"app": "other"})

    decided = cluster.decide()

    assert "the Service selects app=other" in decided.status.message
    assert decided.actions == ()


HASHES = (
    parse(AnalysisRunArgument, {"name": "latest", "valueFrom": {"podTemplateHashValue": "Latest"}}, ""),
    parse(AnalysisRunArgument, {"name": "stable", "valueFrom": {"podTemplateHashValue": "Stable"}}, ""),
)


def test_a_comparison_of_hashes_is_no_fault_while_there_is_only_one_hash() -> None:
    cluster = FakeCluster(rollout(analysed("compared", args=HASHES)), templates=TEMPLATES)
    cluster.run()

    assert cluster.status.phase is Phase.HEALTHY


def test_nor_while_the_first_deployment_bakes_with_it() -> None:
    baking = bake(60, replace(analysis("compared"), args=HASHES))
    first = rollout(canary(), bake=baking, analyze_initial_deploy=True)
    cluster = FakeCluster(first, templates=TEMPLATES)
    cluster.run()
    cluster.tick(3600)

    assert cluster.status.message.startswith("baking: waiting for AnalysisRun")


def test_numbers_and_durations_may_be_arguments() -> None:
    cluster = faulty(analysed("counted-by-argument"))
    cluster.deploy("v2")
    cluster.run()

    (run,) = cluster.runs.values()
    assert run.phase is AnalysisPhase.RUNNING


def test_a_background_analysis_may_run_until_it_is_stopped() -> None:
    cluster = faulty(canary(pause(), analysis=background("endless")))
    cluster.deploy("v2")
    cluster.run()

    assert list(cluster.runs) == ["web-hash-v2-2"]


@pytest.mark.parametrize("first", [True, False])
def test_a_spec_that_cannot_be_read_is_answered_in_the_same_words(first: bool) -> None:
    cluster = FakeCluster(rollout(canary()))
    if not first:
        cluster.run()
    with pytest.raises(SpecError) as error:
        parse(RolloutSpec, {"selector": {}, "template": {}, "strategy": {}, "replicas": "3"}, "spec")

    decided = plan.invalid(cluster.status, 7, error.value, builders.START)

    assert decided.status.phase is Phase.DEGRADED
    assert decided.status.observed_generation == "7"
    assert 'spec.replicas: Invalid value: "3": must be an integer' in decided.status.message
    assert decided.status.stable_rs == cluster.status.stable_rs
    again = plan.invalid(decided.status, 7, error.value, builders.START + timedelta(hours=1))
    assert again.status == decided.status
    assert again.events == ()
