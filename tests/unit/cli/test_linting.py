"""Manifests are judged without a cluster: what, where, and what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from rollouts.cli.linting import Manifest, Report, check
from rollouts.cli.main import app
from rollouts.gitops.resources import documents
from tests.unit.cli.objects import NOW

ROLLOUT = """
apiVersion: rollouts.dev/v1alpha1
kind: Rollout
metadata: {name: checkout}
spec:
  selector: {matchLabels: {app: checkout}}
  template:
    metadata: {labels: {app: checkout}}
    spec: {containers: [{name: web, image: "web:1"}]}
  strategy:
    canary:
      canaryService: web
      steps: [{setWeight: 20}, {analysis: {templates: [{templateName: errors}]}}]
"""
TEMPLATE = """
apiVersion: rollouts.dev/v1alpha1
kind: AnalysisTemplate
metadata: {name: errors}
spec:
  args: [{name: service}]
  metrics:
  - name: errors
    count: 3
    interval: 10s
    successCondition: result[0] < 0.05
    provider: {prometheus: {query: 'errors{service="{{args.service}}"}'}}
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: checkout}}
"""


def lint(*texts: str, group: str = "rollouts.dev") -> Report:
    found = documents.load("---".join(texts).encode())
    manifests = [Manifest("shop.yaml", d.index, d.line, d.value) for d in found]
    return check(manifests, frozenset({group}), NOW)


def problems(*texts: str) -> list[str]:
    return [f"{f.object}: {f.problem}" for f in lint(*texts).findings]


def test_right_manifests_have_no_findings_and_what_they_name_elsewhere_is_told() -> None:
    report = lint(ROLLOUT)

    assert report == Report(
        checked=1,
        findings=(),
        unknown=("Service web", "AnalysisTemplate errors"),
        explained=("Rollout checkout: reaches 100 % as fast as pods become ready",),
    )


def test_a_rollout_is_explained_unless_it_is_wrong() -> None:
    report = lint(ROLLOUT.replace("steps: [", "steps: [{pause: {duration: 5m}}, {pause: {}}, "))
    wrong = lint(ROLLOUT, TEMPLATE)

    assert report.explained == (
        "Rollout checkout: reaches 100 % after 5 min at the earliest; can wait for ever at step 2",
    )
    assert wrong.findings
    assert wrong.explained == ()


def test_an_unknown_field_is_told_with_the_near_one() -> None:
    wrong = ROLLOUT.replace("canaryService", "canarySevice")

    assert problems(wrong) == [
        "Rollout checkout: spec.strategy.canary.canarySevice: unknown field; did you mean canaryService?"
    ]


def test_a_finding_names_file_line_and_document() -> None:
    finding = lint(TEMPLATE, ROLLOUT.replace("setWeight: 20", "setWeight: 120")).findings[0]

    assert (finding.file, finding.line, finding.document) == ("shop.yaml", 14, 2)
    assert finding.path == "spec.strategy.canary.steps[0].setWeight"
    assert str(finding).startswith(
        "shop.yaml:14: document 2: Rollout checkout: spec.strategy.canary.steps[0]"
    )


def test_a_condition_that_cannot_be_parsed_is_found() -> None:
    (problem,) = problems(TEMPLATE.replace("result[0] < 0.05", "result[0] <"))

    assert problem.startswith("AnalysisTemplate errors: spec.metrics[0].successCondition")


def test_an_argument_that_the_template_does_not_declare_is_found() -> None:
    (problem,) = problems(TEMPLATE.replace("name: service}]", "name: other}]"))

    assert "args.service" in problem


def test_an_argument_that_the_rollout_does_not_give_is_found() -> None:
    (problem,) = problems(ROLLOUT, TEMPLATE)

    assert 'spec.strategy.canary.steps[1].analysis.args: argument "service" has no value' in problem


def test_a_service_that_does_not_select_the_pods_is_found() -> None:
    (problem,) = problems(ROLLOUT, SERVICE.replace("app: checkout", "app: other"))

    assert "the Service selects app=other" in problem


def test_a_malformed_quantity_in_the_pod_template_is_found() -> None:
    (problem,) = problems(ROLLOUT.replace('image: "web:1"', "resources: {requests: {memory: lots}}"))

    assert "spec.template.spec.containers[0].resources.requests.memory" in problem


def test_numbers_and_durations_may_be_arguments() -> None:
    template = TEMPLATE.replace(
        "count: 3", "count: '{{args.n}}', failureLimit: '{{args.n}}'".replace(", ", "\n    ")
    )
    template = template.replace("10s", "'{{args.every}}'").replace(
        "{name: service}", "{name: n}, {name: every}"
    )
    template = template.replace("args.service", "args.n")

    assert problems(template) == []
    (problem,) = problems(template.replace("{name: every}", "{name: every, value: soon}"))
    assert 'spec.metrics[0].interval: "soon" is not a duration' in problem


def test_two_rollouts_on_one_service_are_found() -> None:
    rival = ROLLOUT.replace("name: checkout}\nspec", "name: rival}\nspec")

    assert [p for p in problems(ROLLOUT, rival) if "uses this Service too" in p]


def test_a_rollout_of_the_peer_is_checked_as_well() -> None:
    assert lint(ROLLOUT.replace("rollouts.dev", "argoproj.io")).checked == 1


def test_an_application_that_cannot_be_served_is_found() -> None:
    (problem,) = problems(
        """
apiVersion: rollouts.dev/v1alpha1
kind: Application
metadata: {name: shop}
spec: {source: {repoURL: "ftp://git.example/shop.git"}}
"""
    )

    assert problem.startswith("Application shop: spec.source.repoURL")


def test_an_application_of_the_peer_is_not_ours_to_judge() -> None:
    text = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: x}\nspec: {}\n"

    assert lint(text).checked == 0


def test_the_items_of_a_list_are_checked() -> None:
    text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: rollouts.dev/v1alpha1\n  kind: Rollout\n"

    assert problems(text) == ["Rollout: metadata.name: is required"]


def test_other_kinds_are_left_alone() -> None:
    assert lint(SERVICE, "\njust text\n") == Report(checked=0, findings=(), unknown=())


def test_the_exit_code_tells(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(ROLLOUT)
    good = CliRunner().invoke(app, ["lint", "-f", str(tmp_path)])
    (tmp_path / "broken.yaml").write_text("a: [")
    broken = CliRunner().invoke(app, ["lint", "-f", str(tmp_path)])

    assert (good.exit_code, broken.exit_code) == (0, 1)
    assert "broken.yaml:2: document 1: while parsing" in broken.output


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_programs_read_the_findings(tmp_path: Path, form: str) -> None:
    (tmp_path / "bad.yaml").write_text(TEMPLATE.replace("result[0] < 0.05", "result["))

    result = CliRunner().invoke(app, ["lint", "-f", str(tmp_path), "-o", form])

    assert result.exit_code == 1
    assert "spec.metrics[0].successCondition" in result.output


EXPERIMENT = """
apiVersion: rollouts.dev/v1alpha1
kind: Experiment
metadata: {name: compare}
spec:
  duration: 5m
  templates:
    - name: canary
      selector: {matchLabels: {app: web}}
      template:
        metadata: {labels: {app: web}}
        spec: {containers: [{name: main, image: "web:2"}]}
  analyses: [{name: rate, templateName: rate}]
"""


def test_an_experiment_is_checked_and_explained() -> None:
    report = lint(EXPERIMENT)

    assert (report.checked, report.findings, report.unknown) == (1, (), ("AnalysisTemplate rate",))
    ends = "ends 5 min after all pods are available or when rate did not succeed"
    assert report.explained == (f"Experiment compare: runs canary (1 pod); {ends}",)


@pytest.mark.parametrize(
    ("written", "wrong", "told"),
    [
        ("{matchLabels: {app: web}}", "{matchLabels: {app: shop}}", "does not match the template"),
        ("templateName: rate", "template: rate", "templateName: is required"),
        ('image: "web:2"', "image: 2", "image"),
        ("templateName: rate}", "templateName: rate, args: [{name: a, value: '{{x}}'}]}", '"x" is not known'),
    ],
)
def test_what_is_wrong_with_an_experiment_is_found(written: str, wrong: str, told: str) -> None:
    (problem,) = problems(EXPERIMENT.replace(written, wrong))

    assert told in problem
