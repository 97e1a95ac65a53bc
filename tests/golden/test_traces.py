"""Whole rollouts as golden traces; `--update-golden` writes them anew, a reviewer reads the difference."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from rollouts.api.analysis import AnalysisPhase
from rollouts.api.rollout import Rollout
from tests.builders import analyse, analysis, blue_green, canary, pause, rollout, set_weight, template
from tests.fakes import FakeCluster
from tests.golden.trace import Trace

TEMPLATES = {"success-rate": template("success-rate")}


def recorded(what: Rollout, *services: str) -> Trace:
    trace = Trace(FakeCluster(what, services=services, templates=TEMPLATES))
    trace.happens("v1 is deployed for the first time")
    trace.cluster.deploy("v2")
    return trace


def a_canary(**fields: object) -> Rollout:
    steps = (set_weight(25), pause(), set_weight(50), analyse(), set_weight(75), pause(60))
    return rollout(canary(*steps, max_surge=1, max_unavailable=0, **fields))  # type: ignore[arg-type]


def canary_good() -> Trace:
    trace = recorded(a_canary(canary_service="web-canary", stable_service="web"), "web", "web-canary")
    trace.happens("v2 is deployed")
    trace.cluster.promote()
    trace.happens("somebody promotes")
    trace.cluster.finish_run("web-hash-v2-2-3", AnalysisPhase.SUCCESSFUL)
    trace.happens("the analysis is successful")
    trace.cluster.now += timedelta(seconds=60)
    trace.happens("60 seconds later")
    return trace


def canary_bad_analysis() -> Trace:
    trace = recorded(a_canary())
    trace.happens("v2 is deployed")
    trace.cluster.promote()
    trace.happens("somebody promotes")
    trace.cluster.finish_run("web-hash-v2-2-3", AnalysisPhase.FAILED, value="[0.81]")
    trace.happens("the analysis has failed")
    return trace


def canary_abort_and_retry() -> Trace:
    trace = recorded(a_canary())
    trace.happens("v2 is deployed")
    trace.cluster.abort()
    trace.happens("somebody aborts")
    trace.cluster.retry()
    trace.happens("somebody retries")
    return trace


def canary_superseded() -> Trace:
    trace = recorded(a_canary())
    trace.happens("v2 is deployed")
    trace.cluster.deploy("v3")
    trace.happens("v3 is deployed")
    return trace


def canary_back_to_stable() -> Trace:
    trace = recorded(a_canary())
    trace.happens("v2 is deployed")
    trace.cluster.deploy("v1")
    trace.happens("v1 is deployed again")
    return trace


def canary_crash_loop() -> Trace:
    trace = recorded(
        rollout(canary(set_weight(50)), progress_deadline_seconds=60, progress_deadline_abort=True)
    )
    trace.happens("v2 is deployed and never becomes ready", ready=lambda version: version == "v1")
    trace.cluster.now += timedelta(seconds=60)
    trace.happens("60 seconds later", ready=lambda version: version == "v1")
    return trace


def rolling_update() -> Trace:
    trace = recorded(rollout(canary(max_surge=1, max_unavailable=1), replicas=5))
    trace.happens("v2 is deployed")
    return trace


def a_blue_green(**fields: object) -> Rollout:
    return rollout(blue_green(preview_service="preview", **fields), replicas=3)


def blue_green_good() -> Trace:
    trace = recorded(
        a_blue_green(
            preview_replica_count=1,
            auto_promotion_enabled=False,
            pre_promotion_analysis=analysis("success-rate"),
        ),
        "active",
        "preview",
    )
    trace.happens("v2 is deployed")
    trace.cluster.finish_run("web-hash-v2-2-pre", AnalysisPhase.SUCCESSFUL)
    trace.happens("the analysis is successful")
    trace.cluster.promote()
    trace.happens("somebody promotes")
    trace.cluster.now += timedelta(seconds=30)
    trace.happens("30 seconds later")
    return trace


def blue_green_post_promotion_failure() -> Trace:
    trace = recorded(a_blue_green(post_promotion_analysis=analysis("success-rate")), "active", "preview")
    trace.happens("v2 is deployed")
    trace.cluster.finish_run("web-hash-v2-2-post", AnalysisPhase.FAILED, value="[0.5]")
    trace.happens("the analysis after the switch has failed")
    trace.cluster.now += timedelta(seconds=30)
    trace.happens("30 seconds later")
    return trace


STORIES = (
    canary_good,
    canary_bad_analysis,
    canary_abort_and_retry,
    canary_superseded,
    canary_back_to_stable,
    canary_crash_loop,
    rolling_update,
    blue_green_good,
    blue_green_post_promotion_failure,
)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_the_trace_is_as_it_was_reviewed(story: Callable[[], Trace], request: pytest.FixtureRequest) -> None:
    path = Path(__file__).parent / f"{story.__name__}.yaml"
    written = yaml.safe_dump(story().lines, sort_keys=False, allow_unicode=True, width=110)
    if request.config.getoption("--update-golden", default=False):
        path.write_text(written, encoding="utf-8")

    assert written == path.read_text(encoding="utf-8")
