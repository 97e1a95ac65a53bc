"""A bake: everybody is served by the new revision, and the one before is still stable."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rollouts.api.analysis import AnalysisPhase
from rollouts.api.application_status import HealthStatus
from rollouts.api.parse import dump
from rollouts.api.rollout_status import CompletionStatus, Phase
from rollouts.api.strategy import BlueGreenStrategy, CanaryStrategy
from rollouts.gitops.resources import health
from tests.builders import START, analysis, bake, blue_green, canary, rollout, routed, set_weight, template
from tests.fakes import FakeCluster

RUN = "web-hash-v2-2-bake"
TEMPLATES = {"success-rate": template("success-rate"), "endless": template("errors", interval=60)}


def baking(strategy: CanaryStrategy | BlueGreenStrategy, **fields: object) -> FakeCluster:
    cluster = FakeCluster(rollout(strategy, **fields), services=("active",), templates=TEMPLATES)  # type: ignore[arg-type]
    cluster.run()
    assert cluster.status.phase is Phase.HEALTHY, "the first deployment does not bake"
    cluster.told.clear()
    cluster.deploy("v2")
    cluster.run()
    assert cluster.status.bake is not None
    return cluster


def test_stable_moves_only_after_the_bake() -> None:
    cluster = baking(canary(set_weight(50)), bake=bake(600))
    status = cluster.status
    assert (status.phase, status.message) == (Phase.PROGRESSING, "baking until 2026-01-01T12:10:00Z")
    assert (cluster.sizes(), status.stable_rs, status.step) == ({"v2": 4}, "hash-v1", "1/1")
    assert cluster.decide().requeue_at == START + timedelta(seconds=600)

    cluster.tick(599)
    assert cluster.status.stable_rs == "hash-v1"
    cluster.tick(1)

    assert (cluster.status.phase, cluster.status.stable_rs) == (Phase.HEALTHY, "hash-v2")
    assert cluster.status.bake is None
    assert cluster.reasons().count("RolloutBaking") == 1


def test_blue_green_keeps_the_old_pods_up_while_it_bakes() -> None:
    cluster = baking(blue_green(scale_down_delay_seconds=30), bake=bake(600))

    cluster.tick(300)
    assert cluster.selected("active") == "v2"
    assert cluster.sizes() == {"v1": 4, "v2": 4}

    cluster.abort()
    cluster.run()
    assert cluster.selected("active") == "v1"


@pytest.mark.parametrize("strategy", [canary(set_weight(50)), blue_green()])
def test_a_failed_bake_goes_back_and_says_why(strategy: CanaryStrategy | BlueGreenStrategy) -> None:
    cluster = baking(strategy, bake=bake(600, analysis()))
    assert RUN in cluster.runs

    cluster.finish_run(RUN, AnalysisPhase.FAILED, value="0.4")
    cluster.run()
    cluster.tick(60)

    assert cluster.sizes() == {"v1": 4}
    assert cluster.status.stable_rs == "hash-v1"
    why = cluster.status.abort_reason
    assert why is not None
    assert (why.reason, why.metric, why.value, why.analysis_run) == (
        "AnalysisFailed",
        "success-rate",
        "0.4",
        RUN,
    )
    assert "aborted during its bake: metric success-rate of Bake AnalysisRun" in why.message
    assert "AnalysisRunFailed" in cluster.reasons()


def test_an_analysis_is_waited_for_beyond_the_duration() -> None:
    cluster = baking(canary(), bake=bake(60, analysis()))

    cluster.tick(3600)
    assert cluster.status.message == f"baking: waiting for AnalysisRun {RUN}"
    cluster.finish_run(RUN, AnalysisPhase.SUCCESSFUL)
    cluster.run()

    assert cluster.status.phase is Phase.HEALTHY


def test_an_analysis_without_an_end_ends_with_the_duration() -> None:
    cluster = baking(canary(), bake=bake(60, analysis("endless")))

    cluster.tick(60)

    assert cluster.status.phase is Phase.HEALTHY
    assert cluster.runs[RUN].terminating


def test_an_analysis_without_an_end_needs_a_duration() -> None:
    cluster = FakeCluster(rollout(canary(), bake=bake(None, analysis("endless"))), templates=TEMPLATES)
    cluster.run()

    assert "spec.bake.analysis" in cluster.status.message
    assert "would never end" in cluster.status.message


def test_a_full_promotion_leaves_the_bake_out() -> None:
    cluster = baking(canary(), bake=bake(600))

    cluster.promote_full()
    cluster.run()

    assert cluster.status.phase is Phase.HEALTHY
    assert cluster.status.duration is not None
    assert cluster.status.duration.completion_status is CompletionStatus.FAST_PROMOTED


def test_a_newer_version_does_not_wait_for_a_bake_and_bakes_itself() -> None:
    cluster = baking(canary(), bake=bake(600))

    cluster.tick(300)
    cluster.deploy("v3")
    cluster.run()

    assert cluster.status.bake is not None
    assert cluster.status.bake.started_at == START + timedelta(seconds=300)
    assert cluster.status.stable_rs == "hash-v1"


def test_pods_that_get_lost_in_a_bake_run_into_the_deadline() -> None:
    cluster = baking(canary(), bake=bake(3600), progress_deadline_abort=True)

    cluster.tick(60, ready=lambda version: version != "v2")
    assert cluster.status.message == "updated replicas are still becoming available"
    cluster.tick(600, ready=lambda version: version != "v2")

    assert cluster.status.abort_reason is not None
    assert cluster.status.abort_reason.reason == "ProgressDeadlineExceeded"


def test_the_git_half_waits_for_the_bake() -> None:
    cluster = baking(canary(), bake=bake(600))
    body = {
        "apiVersion": "rollouts.dev/v1alpha1",
        "kind": "Rollout",
        "metadata": {"generation": cluster.rollout.metadata.generation},
        "status": dump(cluster.status),
    }

    found = health.of(body)

    assert (found.status, found.promoted) == (HealthStatus.PROGRESSING, False)


def test_with_a_router_the_old_pods_stay_up_and_an_abort_is_a_weight() -> None:
    cluster = FakeCluster(
        rollout(routed(set_weight(50)), bake=bake(600)), services=("canary", "stable"), templates=TEMPLATES
    )
    cluster.run()
    cluster.deploy("v2")
    cluster.run()
    assert cluster.status.message == "baking until 2026-01-01T12:10:00Z"
    assert cluster.sizes() == {"v1": 4, "v2": 4}

    cluster.abort()
    cluster.run()

    weights = cluster.status.canary.weights
    assert weights is not None
    assert (weights.stable.weight, weights.stable.pod_template_hash) == (100, "hash-v1")
