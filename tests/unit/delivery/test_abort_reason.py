"""status.abortReason says what, where and why, whatever the cause."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from rollouts.api.analysis import AnalysisPhase
from rollouts.api.meta import Names
from rollouts.api.rollout import DeclaredAbort
from rollouts.api.rollout_status import AbortReason, Phase
from rollouts.api.webhook import Webhook, WebhookType
from tests.builders import (
    analyse,
    background,
    bake,
    canary,
    experiment,
    pause,
    rollout,
    set_weight,
    template,
)
from tests.fakes import FakeCluster

COMMIT = "main@sha1:0123456789012345678901234567890123456789"
HOOK = Webhook("smoke", "http://smoke/", WebhookType.ROLLOUT)


def never(version: str) -> bool:
    return version == "v1"


def by_person(cluster: FakeCluster) -> None:
    cluster.abort()


def by_git(cluster: FakeCluster) -> None:
    cluster.edit(abort=DeclaredAbort("hash-v2"))


def by_timeout(cluster: FakeCluster) -> None:
    cluster.tick(60)


def by_deadline(cluster: FakeCluster) -> None:
    cluster.tick(600, ready=never)


def by_webhook(cluster: FakeCluster) -> None:
    cluster.answer(cluster.calls[0], ok=False)


def by_analysis(name: str, phase: AnalysisPhase) -> Callable[[FakeCluster], None]:
    return lambda cluster: cluster.finish_run(name, phase, value="0.5")


def by_experiment(phase: AnalysisPhase) -> Callable[[FakeCluster], None]:
    return lambda cluster: cluster.finish_experiment("web-hash-v2-2-1", phase, "metric p99 is bad")


WEIGHTS = (set_weight(50), pause())
CASES: dict[str, tuple[object, dict[str, object], Callable[[FakeCluster], None], AbortReason]] = {
    "a person": (canary(*WEIGHTS), {}, by_person, AbortReason("Aborted", "on request", step=1)),
    "Git": (canary(*WEIGHTS), {}, by_git, AbortReason("Aborted", "by spec.abort", step=1)),
    "a timeout": (
        canary(set_weight(50), pause(timeout=60)),
        {},
        by_timeout,
        AbortReason("PauseTimeout", "nobody has promoted it within 1m", step=1),
    ),
    "the deadline": (
        canary(*WEIGHTS),
        {"progress_deadline_abort": True},
        by_deadline,
        AbortReason("ProgressDeadlineExceeded", "no progress for 600s, 0 updated pods available", step=0),
    ),
    "a webhook": (
        canary(*WEIGHTS, webhooks=(HOOK,)),
        {},
        by_webhook,
        AbortReason("WebhookFailed", "webhook smoke (rollout) failed", step=0, webhook="smoke"),
    ),
    "an analysis step": (
        canary(set_weight(50), analyse()),
        {},
        by_analysis("web-hash-v2-2-1", AnalysisPhase.FAILED),
        AbortReason("AnalysisFailed", "metric success-rate of Step", step=1, analysis_run="web-hash-v2-2-1"),
    ),
    "an analysis that errs": (
        canary(*WEIGHTS, analysis=background()),
        {},
        by_analysis("web-hash-v2-2", AnalysisPhase.ERROR),
        AbortReason(
            "AnalysisError", "metric success-rate of Background", step=1, analysis_run="web-hash-v2-2"
        ),
    ),
    "an experiment": (
        canary(set_weight(50), experiment()),
        {},
        by_experiment(AnalysisPhase.FAILED),
        AbortReason(
            "ExperimentFailed",
            "Experiment web-hash-v2-2-1 is Failed: metric p99 is bad",
            step=1,
            experiment="web-hash-v2-2-1",
        ),
    ),
    "an experiment that errs": (
        canary(set_weight(50), experiment()),
        {},
        by_experiment(AnalysisPhase.ERROR),
        AbortReason("ExperimentError", "is Error: metric p99", step=1, experiment="web-hash-v2-2-1"),
    ),
    "a bake": (
        canary(),
        {"bake": bake(60, analyse().analysis)},
        by_analysis("web-hash-v2-2-bake", AnalysisPhase.FAILED),
        AbortReason("AnalysisFailed", "during its bake: metric", analysis_run="web-hash-v2-2-bake"),
    ),
}


@pytest.mark.parametrize("cause", CASES)
def test_every_cause_is_told_in_fields_and_in_a_sentence(cause: str) -> None:
    strategy, fields, happens, expected = CASES[cause]
    annotations = {Names().git_revision_annotation: COMMIT}
    subject = rollout(strategy, annotations=annotations, **fields)  # type: ignore[arg-type]
    cluster = FakeCluster(subject, templates={"success-rate": template("success-rate")})
    cluster.run()
    cluster.deploy("v2")
    cluster.run(ready=never if happens is by_deadline else lambda version: True)

    happens(cluster)
    cluster.run()

    why = cluster.status.abort_reason
    assert why is not None
    assert expected.message in why.message
    assert f"Update to revision 2 ({COMMIT}) aborted" in why.message
    assert why.message.endswith("going back to revision 1")
    measured = {"metric": "success-rate", "value": "0.5", "threshold": "result[0] >= 0.95"}
    assert replace(why, message=expected.message) == replace(
        expected,
        revision=2,
        git_revision=COMMIT,
        pod_template_hash="hash-v2",
        **(measured if expected.analysis_run else {}),
    )
    assert cluster.status.phase is Phase.DEGRADED
    assert cluster.sizes() == {"v1": 4}
