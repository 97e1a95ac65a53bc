"""The chart, rendered by the real helm: what is installed, with which rights, for which values."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml

from rollouts import __version__
from rollouts.api import crd
from rollouts.api.meta import Names
from rollouts.sandbox import binaries
from rollouts.sandbox.progress import Silent

CHART = Path(__file__).parents[3] / "charts" / "rollouts"

Object = dict[str, Any]


class Helm(Protocol):
    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]: ...


class Render(Protocol):
    def __call__(self, *values: str) -> dict[tuple[str, str], Object]: ...


@pytest.fixture(scope="session")
def helm() -> Helm:
    program = str(binaries.locate(None, environ=os.environ, report=Silent()).helm)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="session")
def render(helm: Helm) -> Render:
    """The objects of a release, by kind and name."""

    def rendered(*values: str) -> dict[tuple[str, str], Object]:
        options = [option for value in values for option in ("--set", value)]
        done = helm("template", "rollouts", str(CHART), "--namespace", "rollouts-system", *options)
        assert done.returncode == 0, done.stderr
        found = [o for o in yaml.safe_load_all(done.stdout) if o]
        return {(o["kind"], o["metadata"]["name"]): o for o in found}

    return rendered


def rules(objects: Mapping[tuple[str, str], Object], *roles: tuple[str, str]) -> set[tuple[str, str, str]]:
    """(group, resource, verb) that roles grant."""
    return {
        (group, resource, verb)
        for role in roles
        for rule in objects[role]["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_helm_finds_nothing_to_complain_about(helm: Helm) -> None:
    done = helm("lint", "--strict", str(CHART))

    assert done.returncode == 0, done.stdout


def test_the_chart_installs_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_the_definitions_are_those_of_the_models(render: Render) -> None:
    objects = render("apiGroup=argoproj.io")

    rendered = {name: o["spec"] for (kind, name), o in objects.items() if kind == "CustomResourceDefinition"}
    ours = (*crd.crds(Names("argoproj.io")), crd.crd(crd.APPLICATION, "rollouts.dev"))
    assert rendered == {d["metadata"]["name"]: d["spec"] for d in ours}


def test_definitions_outlive_the_release(render: Render) -> None:
    definition = render()["CustomResourceDefinition", "rollouts.rollouts.dev"]

    assert definition["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_definitions_of_the_peer_are_left_in_place_on_request(render: Render) -> None:
    objects = render("crds.delivery=false", "apiGroup=argoproj.io")

    definitions = [name for kind, name in objects if kind == "CustomResourceDefinition"]
    assert definitions == ["applications.rollouts.dev"]


def test_the_pod_is_locked_down(render: Render) -> None:
    pod = render()["Deployment", "rollouts"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {m["mountPath"] for m in container["volumeMounts"]} == {"/var/cache/rollouts", "/tmp"}


def test_every_flag_of_the_pod_is_one_of_the_program(render: Render) -> None:
    from typer.testing import CliRunner

    from rollouts.cli.main import app

    objects = render(
        "controller.prometheusAddress=http://prometheus", "watchNamespace=shop", "controller.instanceId=a"
    )
    pod = objects["Deployment", "rollouts"]["spec"]["template"]["spec"]
    command, *flags = pod["containers"][0]["args"]

    told = CliRunner(env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"}).invoke(app, [command, "--help"]).output
    assert [f for f in flags if f.partition("=")[0] not in told] == []


def test_the_delivery_half_has_these_rights_and_no_others(render: Render) -> None:
    objects = render("applications.enabled=false", "analysis.secrets=false")

    read = ("get", "list", "watch")
    own = "rollouts.dev"
    assert rules(objects, ("ClusterRole", "rollouts"), ("ClusterRole", "rollouts-cluster")) == {
        *(
            (own, kind, verb)
            for kind in ("rollouts", "analysisruns", "analysistemplates", "experiments")
            for verb in read
        ),
        *((own, "clusteranalysistemplates", verb) for verb in read),
        (own, "rollouts", "patch"),
        *(("apps", "deployments", verb) for verb in read),
        ("apps", "deployments/scale", "patch"),
        *(("", "podtemplates", verb) for verb in read),
        *((own, f"{kind}/status", "patch") for kind in ("rollouts", "analysisruns", "experiments")),
        *((own, f"{kind}/finalizers", "update") for kind in ("rollouts", "analysisruns", "experiments")),
        *((own, k, verb) for k in ("analysisruns", "experiments") for verb in ("create", "patch", "delete")),
        *(("apps", "replicasets", verb) for verb in (*read, "create", "patch", "delete")),
        *(("", "services", verb) for verb in (*read, "create", "patch", "delete")),
        *(("", "pods", verb) for verb in ("get", "list", "patch")),
        *(("batch", "jobs", verb) for verb in ("get", "create", "delete")),
        ("", "pods/eviction", "create"),
        ("", "events", "create"),
        *(("apiextensions.k8s.io", "customresourcedefinitions", verb) for verb in ("list", "watch")),
    }
    assert ("ClusterRole", "rollouts-sync") not in objects


def test_secrets_are_read_one_by_one_and_only_where_asked_for(render: Render) -> None:
    objects = render("applications.enabled=false")

    granted = rules(objects, ("ClusterRole", "rollouts"))
    assert {verb for _, resource, verb in granted if resource == "secrets"} == {"get"}


def test_config_is_copied_only_where_that_is_asked_for(render: Render) -> None:
    objects = render("applications.enabled=false", "copyConfig.enabled=true")

    granted = rules(objects, ("ClusterRole", "rollouts"))
    for kind in ("configmaps", "secrets"):
        verbs = {verb for _, resource, verb in granted if resource == kind}
        assert verbs == {"get", "list", "watch", "create", "delete"}


def test_what_applications_may_sync_is_a_role_of_its_own(render: Render) -> None:
    objects = render(
        "applications.syncRules[0].apiGroups={apps}",
        "applications.syncRules[0].resources={deployments}",
        "applications.syncRules[0].verbs={get}",
    )

    assert rules(objects, ("ClusterRole", "rollouts-sync")) == {("apps", "deployments", "get")}


def test_applications_may_not_write_roles_by_default(render: Render) -> None:
    objects = render()

    roles = [key for key in objects if key[0] in ("ClusterRole", "Role")]
    assert not [r for r in rules(objects, *roles) if r[0] in ("rbac.authorization.k8s.io", "*")]


def test_in_one_namespace_a_role_is_enough(render: Render) -> None:
    objects = render("watchNamespace=shop")

    cluster_wide = [name for kind, name in objects if kind == "ClusterRole"]
    assert cluster_wide == ["rollouts-cluster"]
    assert rules(objects, ("ClusterRole", "rollouts-cluster")) == {
        ("rollouts.dev", "clusteranalysistemplates", verb) for verb in ("get", "list", "watch")
    }
    assert objects["Role", "rollouts"]["metadata"]["namespace"] == "shop"
    assert objects["RoleBinding", "rollouts"]["metadata"]["namespace"] == "shop"


def test_two_replicas_have_a_disruption_budget_and_one_has_none(render: Render) -> None:
    assert ("PodDisruptionBudget", "rollouts") in render("controller.replicas=2")
    assert ("PodDisruptionBudget", "rollouts") not in render()


def test_the_dashboard_comes_where_grafana_looks_for_it(render: Render) -> None:
    assert ("ConfigMap", "rollouts-dashboards") not in render()

    found = render("metrics.dashboards.enabled=true", "metrics.dashboards.namespace=monitoring")[
        "ConfigMap", "rollouts-dashboards"
    ]

    assert found["metadata"]["namespace"] == "monitoring"
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    written = (CHART / "files" / "dashboards" / "rollouts.json").read_text()
    assert found["data"] == {"rollouts.json": written}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("controller.replicas=2,controller.leaderElect=false", "leaderElect"),
        ("controller.wrokers=5", "wrokers"),
        ("controller.logLevel=loud", "logLevel"),
        ("apiGroup=Not A Group", "apiGroup"),
        ("controller.prometheusAddress=prometheus:9090", "prometheusAddress"),
    ],
)
def test_wrong_values_are_refused(helm: Helm, value: str, problem: str) -> None:
    done = helm("template", "rollouts", str(CHART), "--set", value)

    assert done.returncode != 0
    assert problem in done.stderr


def test_every_value_that_the_readme_names_is_there() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    text = (CHART / "README.md").read_text()

    named = re.findall(
        r"`([a-zA-Z]+(?:\.[a-zA-Z]+)*)`", text.partition("| Value |")[2].partition("CRDs are")[0]
    )
    missing = []
    for name in set(named) - {"false"}:
        found: Any = values
        for key in name.split("."):
            found = found.get(key) if isinstance(found, dict) else None
        if found is None and name != "argoproj.io":
            missing.append(name)
    assert len(named) > 5
    assert missing == []


def test_every_value_is_known_to_the_schema(render: Render) -> None:
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    assert _unknown(values, schema) == []


def _unknown(values: Mapping[str, Any], schema: Mapping[str, Any], path: str = "") -> list[str]:
    known = schema.get("properties")
    if known is None:
        return []
    absent = [f"{path}{key}" for key in values if key not in known]
    inner = [(key, value) for key, value in values.items() if key in known and isinstance(value, Mapping)]
    return absent + [name for key, value in inner for name in _unknown(value, known[key], f"{path}{key}.")]


def test_webhooks_are_received_where_a_secret_signs_them(render: Render) -> None:
    silent = render()
    assert ("Service", "rollouts-webhook") not in silent

    objects = render("applications.webhook.secretName=hooks")

    (container,) = objects["Deployment", "rollouts"]["spec"]["template"]["spec"]["containers"]
    assert "--webhook-secret-file=/etc/rollouts/webhook/secrets" in container["args"]
    assert objects["Service", "rollouts-webhook"]["spec"]["ports"][0]["targetPort"] == "webhook"


def test_edits_by_hand_are_nobodys_business_unless_asked_for(render: Render) -> None:
    assert not any(kind.startswith("ValidatingAdmission") for kind, _ in render())

    for action in ("Warn", "Deny"):
        objects = render(f"admission.handEdits={action}")
        binding = objects["ValidatingAdmissionPolicyBinding", "rollouts-hand-edits"]
        assert binding["spec"]["validationActions"] == [action, "Audit"]
