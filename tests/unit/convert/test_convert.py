"""Manifests of others as ours: whole files, the warnings beside them, and what they do when played."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rollouts.cli.main import app
from rollouts.cli.target import CliError
from rollouts.convert.losses import unread

GOLDEN = Path(__file__).parents[2] / "golden" / "convert"
CASES = sorted(path.name.removesuffix(".in.yaml") for path in GOLDEN.glob("*.in.yaml"))

CANARY = """
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: web}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  service: {port: 80}
  analysis:
    interval: 1m
    threshold: 3
    stepWeights: [25, 50]
    metrics: [{name: errors, query: errors, threshold: 1}]
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "example/web:1"}]}
"""


def run(*words: str) -> Result:
    return CliRunner().invoke(app, [*words])


def converted(directory: Path, *texts: str) -> Result:
    (directory / "in.yaml").write_text("---".join(texts))
    return run("convert", "-f", str(directory / "in.yaml"))


@pytest.mark.parametrize("case", CASES)
def test_whole_files(case: str) -> None:
    result = run("convert", "-f", str(GOLDEN / f"{case}.in.yaml"))

    assert result.exit_code == 0
    assert result.stdout == (GOLDEN / f"{case}.out.yaml").read_text()
    assert result.stderr == (GOLDEN / f"{case}.warnings.txt").read_text()


@pytest.mark.parametrize("case", CASES)
def test_what_comes_out_is_right(case: str) -> None:
    result = run("lint", "-f", str(GOLDEN / f"{case}.out.yaml"))

    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("failing_for", "phase", "weights"),
    [
        ("0s", "Healthy", [(0, 25), (60, 50), (120, 100)]),
        ("150s", "Healthy", [(0, 25), (180, 50), (240, 100)]),  # two failed checks hold the weight
        ("1h", "Degraded", [(0, 25), (180, 0)]),  # the third one is the threshold
    ],
)
def test_checks_hold_the_weight_and_end_the_update_at_the_threshold(
    tmp_path: Path, failing_for: str, phase: str, weights: list[tuple[float, int]]
) -> None:
    (tmp_path / "out.yaml").write_text(converted(tmp_path, CANARY, DEPLOYMENT).stdout)
    values = f"[{{value: 5}}, {{after: {failing_for}, value: 0}}]"
    (tmp_path / "scenario.yaml").write_text(f"metrics: [{{name: errors, values: {values}}}]")

    told = json.loads(
        run(
            *("simulate", "-f", str(tmp_path / "out.yaml")),
            *("--scenario", str(tmp_path / "scenario.yaml"), "-o", "json"),
        ).stdout
    )

    assert told["moments"][-1]["phase"] == phase
    seen = [(m["atSeconds"], _weight(m["revisions"])) for m in told["moments"]]
    assert [one for i, one in enumerate(seen) if not i or one[1] != seen[i - 1][1]] == weights


def _weight(revisions: list[dict[str, int]]) -> int:
    return next((r["weight"] for r in revisions if r["version"] == 2), 0)


def test_steps_up_to_the_maximum_and_past_it_as_in_the_loop(tmp_path: Path) -> None:
    text = CANARY.replace("stepWeights: [25, 50]", "stepWeight: 40\n    maxWeight: 90")

    out = converted(tmp_path, text, DEPLOYMENT).stdout

    assert [line.split()[-1] for line in out.splitlines() if "setWeight" in line] == ["40", "80", "100"]


def test_more_failures_than_iterations_are_never_tolerated(tmp_path: Path) -> None:
    text = CANARY.replace("stepWeights: [25, 50]", "iterations: 2")

    (tmp_path / "out.yaml").write_text(converted(tmp_path, text, DEPLOYMENT).stdout)

    assert "count: 2\n    failureLimit: 1\n" in (tmp_path / "out.yaml").read_text()
    assert run("lint", "-f", str(tmp_path / "out.yaml")).exit_code == 0


def test_without_metrics_weights_are_waited_for_and_a_skipped_analysis_has_no_steps(tmp_path: Path) -> None:
    text = CANARY.replace("    metrics: [{name: errors, query: errors, threshold: 1}]\n", "")

    waiting = converted(tmp_path, text, DEPLOYMENT).stdout
    skipped = converted(
        tmp_path, CANARY.replace("spec:\n", "spec:\n  skipAnalysis: true\n"), DEPLOYMENT
    ).stdout

    assert waiting.count("duration: 1m") == 2
    assert "AnalysisTemplate" not in waiting
    assert "steps" not in skipped


@pytest.mark.parametrize(
    ("query", "remedy"),
    [
        ("'x{{ route }}'", "route cannot be filled in"),
        ("'x{{ variables.kind }}'", "variables.kind cannot be filled in"),
        ("'x{{ index .Labels 1 }}'", "an expression in braces cannot be filled in"),
    ],
)
def test_a_query_that_cannot_be_filled_in_is_left_out_and_told(
    tmp_path: Path, query: str, remedy: str
) -> None:
    result = converted(tmp_path, CANARY.replace("query: errors", f"query: {query}"), DEPLOYMENT)

    assert f"warning: Canary web: spec.analysis.metrics[0].query: {remedy}" in result.stderr
    assert "AnalysisTemplate" not in result.stdout


def test_what_cannot_be_converted_at_all_is_refused(tmp_path: Path) -> None:
    daemon_set = CANARY.replace("kind: Deployment", "kind: DaemonSet")

    for texts, problem in (
        ((CANARY,), "spec.targetRef.name"),
        ((daemon_set, DEPLOYMENT), "spec.targetRef.kind"),
        (
            ("apiVersion: v1\nkind: Service\nmetadata: {name: web}\n",),
            "no Canary, Deployment, Argo CD Application or Flux Kustomization",
        ),
    ):
        result = converted(tmp_path, *texts)
        assert isinstance(result.exception, CliError)
        assert problem in str(result.exception)


KUSTOMIZATION = """
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: shop}
spec: {interval: 1m, prune: true, path: ./a, sourceRef: {kind: GitRepository, name: shop}}
"""
REPOSITORY = """
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: shop}
spec: {interval: 1m, url: "https://git.example.com/shop", ref: {branch: main}}
"""


@pytest.mark.parametrize(
    ("ref", "revision"),
    [
        ("branch: main", "main"),
        ("branch: main, tag: v1", "v1"),
        ('tag: v1, semver: ">=1 <2"', "'>=1 <2'"),
        ("semver: 1.x, name: refs/pull/7/head", "refs/pull/7/head"),
        ("name: refs/heads/main, commit: abc4567890123456789012345678901234567890", "abc4567"),
        ("", "master"),
    ],
)
def test_the_most_exact_reference_of_a_git_repository_counts(tmp_path: Path, ref: str, revision: str) -> None:
    out = converted(tmp_path, KUSTOMIZATION, REPOSITORY.replace("branch: main", ref)).stdout

    assert f"targetRevision: {revision}" in out


def test_a_kustomization_needs_its_git_repository(tmp_path: Path) -> None:
    bucket = KUSTOMIZATION.replace("kind: GitRepository", "kind: Bucket")

    for texts, problem in (((KUSTOMIZATION,), "spec.sourceRef.name"), ((bucket,), "spec.sourceRef.kind")):
        result = converted(tmp_path, *texts)
        assert isinstance(result.exception, CliError)
        assert problem in str(result.exception)


def test_an_application_for_another_cluster_is_not_let_loose_on_this_one(tmp_path: Path) -> None:
    far = (GOLDEN / "argocd.in.yaml").read_text().split("---")[1]

    result = converted(tmp_path, far, DEPLOYMENT)

    assert "kind: Application" not in result.stdout
    assert "warning: Application far: spec.destination: is another cluster" in result.stderr


def test_every_field_that_nobody_reads_is_told_by_its_path() -> None:
    body = {"spec": {"a": {"b": 1, "c": [{"d": 2, "e": 3}, {"e": 0}]}, "f": {}, "g": False}}

    told = list(unread("Thing x", body, frozenset({"spec.a.b", "spec.a.c[].d"}), {"spec.a.c": "look there"}))

    assert [str(loss) for loss in told] == [
        "Thing x: spec.a.c[0].e: has no counterpart and is left out; look there",
        "Thing x: spec.a.c[1].e: has no counterpart and is left out; look there",
    ]
