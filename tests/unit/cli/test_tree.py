"""What a person reads about a Rollout, in a terminal of 100 columns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rich.console import Console

from rollouts.api.meta import Names
from rollouts.cli import tree
from rollouts.cli.tree import Picture
from tests.unit.cli.objects import NOW, analysis_run, experiment, pod, replica_set, rollout

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def text(picture: Picture, width: int = 100) -> str:
    console = Console(width=width, highlight=False, markup=False)
    with console.capture() as captured:
        console.print(tree.rollout_tree(picture, Names(), NOW))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def aborted(**status: Any) -> Picture:
    return Picture(
        rollout(
            phase="Degraded",
            message="RolloutAborted: metric error-rate assessed Failed",
            abort=True,
            currentStepIndex=0,
            stableRS="aa",
            currentPodHash="bb",
            gitRevision=f"main@sha1:{COMMIT}",
            canary={"weights": {"canary": {"weight": 0}, "stable": {"weight": 100}}},
            abortReason={
                "reason": "AnalysisFailed",
                "message": "metric error-rate was 0.21",
                "revision": 2,
                "gitRevision": f"main@sha1:{COMMIT}",
                "step": 1,
                "analysisRun": "checkout-bb-2-1",
                "metric": "error-rate",
                "value": "0.21",
                "threshold": "result[0] < 0.05",
            },
            **status,
        ),
        replica_sets=(replica_set(1, "aa", replicas=5), replica_set(2, "bb", replicas=1, image="web:2")),
        pods=(pod("checkout-bb-1", "bb", waiting="CrashLoopBackOff"), pod("checkout-aa-1", "aa")),
        analysis_runs=(analysis_run("checkout-bb-2-1", "bb", "Failed", "0.19", "0.21"),),
    )


def test_an_abort_is_told_by_commit_step_metric_value_and_threshold() -> None:
    shown = text(aborted())

    assert "Stopped  AnalysisFailed at step 2 of revision 2, main@sha1:0123456" in shown
    assert "metric error-rate was 0.21, wanted result[0] < 0.05  (checkout-bb-2-1)" in shown


def test_what_to_do_next_is_a_command() -> None:
    assert "Next     fix and deploy again, or: rollouts retry checkout" in text(aborted())


def test_the_step_of_an_abort_is_marked() -> None:
    lines = text(aborted()).splitlines()

    assert "    1  set weight 20 %" in lines
    assert "  ✖ 2  pause until promoted" in lines
    assert "    3  set weight 50 %" in lines


def test_the_tree_goes_from_revision_to_analysis_and_pods() -> None:
    lines = text(aborted()).splitlines()
    start = lines.index("Revisions")

    assert lines[start + 1 : start + 7] == [
        "├── revision 2  canary  checkout-bb  1/1 ready  web:2  2m",
        "│   ├── analysis step 2  checkout-bb-2-1  Failed  20s",
        "│   │   └── error-rate  Failed  last 0.21  ▁█  wanted result[0] < 0.05  (2 failed)",
        "│   └── pod checkout-bb-1  CrashLoopBackOff  0/1 ready  3 restarts  30s",
        "└── revision 1  stable  checkout-aa  5/5 ready  web:1  60s",
        "    └── pod checkout-aa-1  Running  1/1 ready  30s",
    ]


def test_an_experiment_hangs_under_the_revision_that_it_is_for() -> None:
    lines = text(replace(aborted(), experiments=(experiment(),)), width=120).splitlines()
    start = lines.index("Revisions")

    assert lines[start + 2 : start + 5] == [
        "│   ├── experiment gc  Running  40s",
        "│   │   ├── template baseline  Running  gc-baseline  2/2 available  web:baseline  service gc-baseline",
        "│   │   └── template canary  Progressing  gc-canary-1  0/1 available  web:canary",
    ]


def test_a_paused_rollout_says_how_to_go_on() -> None:
    waiting = rollout(phase="Paused", message="CanaryPauseStep", pauseConditions=[{}], controllerPause=True)

    assert "Next     rollouts promote checkout, or: rollouts abort checkout" in text(Picture(waiting))


def test_a_rollout_that_a_person_holds_says_how_to_let_it_go() -> None:
    held = rollout(phase="Paused", message="manually paused", paused=True)

    assert "Next     rollouts resume checkout, or: rollouts abort checkout" in text(Picture(held))


def test_old_revisions_are_cut_short() -> None:
    sets = tuple(replica_set(n, f"h{n}") for n in range(1, 7))
    picture = Picture(rollout(stableRS="h6", currentPodHash="h6"), replica_sets=sets)

    lines = text(picture).splitlines()

    assert [line.split()[2] for line in lines if "revision" in line] == ["6", "5", "4"]
    assert lines[-1] == "└── and 3 older, scaled down"


def test_an_invalid_rollout_is_drawn_as_well() -> None:
    broken = {"metadata": {"name": "checkout", "namespace": "shop"}, "spec": {"strategy": {"canary": None}}}

    assert "Rollout shop/checkout  Progressing" in text(Picture(broken))


def test_conditions_close_the_picture() -> None:
    with_conditions = rollout(
        conditions=[
            {"type": "Available", "status": "True", "reason": "AvailableReason", "message": "enough pods"}
        ]
    )

    assert text(Picture(with_conditions)).splitlines()[-1].split() == [
        "Available",
        "True",
        "-",
        "AvailableReason",
        "enough",
        "pods",
    ]


def test_one_line_holds_the_state() -> None:
    assert tree.one_line(aborted(currentRevision=2, readyReplicas=5).rollout) == (
        "Degraded  step 0/3  weight 0  ready 5/5  revision 2  "
        "RolloutAborted: metric error-rate assessed Failed"
    )


def test_a_comparison_says_what_it_found() -> None:
    last = {
        "value": "37",
        "message": "canary differs by +1 points, not 95 % sure",
        "metadata": {"score": "37"},
    }
    run = analysis_run("checkout-bb-2-1", "bb", "Running", "100", "37")
    run["status"]["metricResults"][0]["measurements"][-1] = last
    shown = text(replace(aborted(), analysis_runs=(run,)), width=200)
    assert "last 37  █▁  canary differs by +1 points, not 95 % sure" in shown


def test_webhooks_tell_what_they_said() -> None:
    gate = {
        "name": "calendar",
        "type": "confirm-rollout",
        "step": 0,
        "phase": "Waiting",
        "message": "HTTP 403",
    }

    assert "  calendar  confirm-rollout  for step 1  Waiting  HTTP 403" in text(
        Picture(rollout(webhooks=[gate]))
    )
