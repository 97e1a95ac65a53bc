"""What a person reads about an Experiment, and which words name one."""

from __future__ import annotations

import pytest
from rich.console import Console, RenderableType

from rollouts.cli import experiment_view, kinds
from rollouts.cli.branches import Objects
from rollouts.cli.kinds import Kind
from rollouts.cli.target import CliError
from tests.unit.cli.objects import NOW, analysis_run, experiment, owned, pod, replica_set


def text(drawn: RenderableType) -> list[str]:
    console = Console(width=120, highlight=False, markup=False)
    with console.capture() as captured:
        console.print(drawn)
    return [line.rstrip() for line in captured.get().splitlines()]


def test_the_tree_goes_from_template_to_pods_and_then_to_analyses() -> None:
    sets = (owned(replica_set(1, "x"), "gc-baseline", "exp-gc"),)
    pods = (owned(pod("gc-baseline-1", "x"), "gc-baseline-1", "gc-baseline"), pod("other", "aa"))
    runs = (owned(analysis_run("gc-latency", "", "Running", "0.2"), "gc-latency", "exp-gc"),)

    assert text(experiment_view.drawn(experiment(), Objects(sets, pods, runs), NOW)) == [
        "Experiment shop/gc  Running",
        "  ends  10m after all pods are available (9m left), or with: rollouts terminate experiment gc",
        "",
        "Templates and analyses",
        "├── template baseline  Running  gc-baseline  2/2 available  web:baseline  service gc-baseline",
        "│   └── pod gc-baseline-1  Running  1/1 ready  30s",
        "├── template canary  Progressing  gc-canary-1  0/1 available  web:canary",
        "└── analysis step 2  gc-latency  Running  20s",
        "    └── error-rate  Running  last 0.2  wanted result[0] < 0.05  (1 failed)",
    ]


def test_one_that_is_over_says_why() -> None:
    failed = experiment(
        phase="Failed", message="metric p99 is bad", conditions=[{"type": "Progressing", "status": "False"}]
    )

    lines = text(experiment_view.drawn(failed, Objects(), NOW))

    assert lines[:2] == ["Experiment shop/gc  Failed  metric p99 is bad", "  ends  it has ended"]
    assert lines[-1].split() == ["Progressing", "False", "-"]


def test_one_that_waits_for_its_analyses_says_for_which() -> None:
    waiting = experiment()
    waiting["spec"]["analyses"][0]["requiredForCompletion"] = True

    assert (
        "  ends  when latency succeeded, or with:" in text(experiment_view.drawn(waiting, Objects(), NOW))[1]
    )


def test_one_that_nobody_has_looked_at_is_drawn_as_well() -> None:
    new = {"metadata": {"name": "gc", "namespace": "shop"}, "spec": {"duration": "?"}}

    assert text(experiment_view.drawn(new, Objects(), NOW))[0] == "Experiment shop/gc  Pending"


def test_a_list_has_a_line_for_each() -> None:
    header, line = text(experiment_view.listing([experiment()], NOW, everywhere=True))

    assert header.split() == ["NAMESPACE", "NAME", "PHASE", "TEMPLATES", "ANALYSES", "AGE", "MESSAGE"]
    assert line.split() == [
        "shop",
        "gc",
        "Running",
        "baseline",
        "2/2,",
        "canary",
        "0/1",
        "latency",
        "Running",
        "40s",
    ]


def test_one_line_holds_the_state() -> None:
    assert (
        experiment_view.one_line(experiment(message="why"))
        == "Running  baseline 2/2, canary 0/1  latency Running  why"
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("web", ""), (Kind.ROLLOUT, "web")),
        (("experiment", ""), (Kind.ROLLOUT, "experiment")),
        (("rollout", "web"), (Kind.ROLLOUT, "web")),
        (("experiment", "gc"), (Kind.EXPERIMENT, "gc")),
        (("exp", "gc"), (Kind.EXPERIMENT, "gc")),
    ],
)
def test_a_name_alone_is_that_of_a_rollout(words: tuple[str, str], expected: tuple[Kind, str]) -> None:
    assert kinds.named(*words) == expected


def test_another_kind_is_refused() -> None:
    with pytest.raises(CliError, match="pod is no kind of object here; name rollout or experiment"):
        kinds.named("pod", "web-1")
