"""The CustomResourceDefinitions are what the models say, and small enough for `kubectl apply`."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollouts.api import crd
from rollouts.api.analysis import Metric
from rollouts.api.meta import Names
from rollouts.api.parse import parse
from rollouts.errors import SpecError

ROOT = Path(__file__).parents[3]
LAST_APPLIED_LIMIT = 256 * 1024


@pytest.mark.parametrize(
    ("directory", "names"),
    [
        ("crds", Names()),
        ("charts/rollouts/files/crds", Names()),
        ("charts/rollouts/files/crds-of-peers", Names("argoproj.io")),
    ],
)
def test_the_files_in_the_repository_are_what_the_models_say(directory: str, names: Names) -> None:
    expected = {f"{kind.plural}.yaml": crd.text(crd.crd(kind, names.group)) for kind in crd.kinds(names)}

    found = {path.name: path.read_text() for path in (ROOT / directory).glob("*.yaml")}

    assert found == expected, "run `make generate`"


@pytest.mark.parametrize("kind", crd.KINDS, ids=lambda k: k.kind)
def test_a_definition_fits_into_the_last_applied_annotation(kind: crd.Kind) -> None:
    assert len(json.dumps(crd.crd(kind, "rollouts.dev"))) < LAST_APPLIED_LIMIT


@pytest.mark.parametrize("kind", crd.KINDS, ids=lambda k: k.kind)
def test_every_field_is_described(kind: crd.Kind) -> None:
    version = crd.crd(kind, "rollouts.dev")["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]["properties"]

    silent = [path for path, s in _fields(schema.get("spec", {}), "spec") if not s.get("description")]
    silent += [path for path, s in _fields(schema.get("status", {}), "status") if not s.get("description")]

    assert silent == []


def test_the_group_setting_names_the_definitions() -> None:
    definition = crd.crds(Names("argoproj.io"))[0]

    assert definition["metadata"]["name"] == "rollouts.argoproj.io"
    assert definition["spec"]["group"] == "argoproj.io"


@pytest.mark.parametrize("kind", [k for k in crd.KINDS if k.own_group], ids=lambda k: k.kind)
def test_in_the_group_of_a_peer_only_types_are_checked(kind: crd.Kind) -> None:
    ours, peers = (dict(_constraints(crd.crd(kind, group))) for group in ("rollouts.dev", "argoproj.io"))

    assert {path: kept for path, kept in peers.items() if kept} == {}
    assert set(peers) == set(ours), "a field is gone"
    assert any(ours.values())


def test_an_application_is_checked_as_ever_beside_the_objects_of_a_peer() -> None:
    names = Names("argoproj.io")

    assert crd.crd(crd.APPLICATION, crd.APPLICATION.group(names)) == crd.crd(crd.APPLICATION, "rollouts.dev")


def test_rollouts_scale_by_their_replicas() -> None:
    version = crd.crd(crd.ROLLOUT, "rollouts.dev")["spec"]["versions"][0]

    assert version["subresources"] == {
        "status": {},
        "scale": {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.HPAReplicas",
            "labelSelectorPath": ".status.selector",
        },
    }


def test_a_pod_template_is_not_looked_into() -> None:
    template = _rollout_spec()["template"]

    assert template["type"] == "object"
    assert template["x-kubernetes-preserve-unknown-fields"] is True
    assert "properties" not in template


def test_durations_and_counts_take_integers_and_strings() -> None:
    canary = _rollout_spec()["strategy"]["properties"]["canary"]["properties"]
    pause = canary["steps"]["items"]["properties"]["pause"]["properties"]["duration"]

    assert canary["maxSurge"]["x-kubernetes-int-or-string"] is True
    assert canary["maxSurge"]["pattern"] == "^[0-9]+%$"
    assert pause["x-kubernetes-int-or-string"] is True


@pytest.mark.parametrize(
    ("written", "right"),
    [
        ("30", True),
        ("1h30m", True),
        ("{{args.every}}", True),
        ("{{ args.n }}s", True),
        ("soon", False),
        ("", False),
    ],
)
def test_a_duration_of_a_metric_may_be_an_argument(written: str, right: bool) -> None:
    version = crd.crd(crd.ANALYSIS_TEMPLATE, "rollouts.dev")["spec"]["versions"][0]
    metrics = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["metrics"]

    pattern = metrics["items"]["properties"]["interval"]["pattern"]
    assert bool(re.search(pattern, written)) is right
    metric = {"name": "m", "provider": {}, "interval": written}
    with contextlib.nullcontext() if right else pytest.raises(SpecError, match="must be a duration"):
        parse(Metric, metric, "metric")


def test_rules_of_the_models_are_checked_by_the_api_server() -> None:
    strategy = _rollout_spec()["strategy"]

    assert [v["message"] for v in strategy["x-kubernetes-validations"]] == [
        "exactly one of canary, blueGreen, rollingUpdate and recreate must be set"
    ]


def test_writing_twice_changes_nothing(tmp_path: Path) -> None:
    first = {p.name: p.read_text() for p in crd.write(tmp_path, Names())}

    again = {p.name: p.read_text() for p in crd.write(tmp_path, Names())}

    assert again == first


def test_the_program_prints_every_definition(capsys: pytest.CaptureFixture[str]) -> None:
    crd.main(["--group", "example.org"])

    printed = list(yaml.safe_load_all(capsys.readouterr().out))
    assert printed == crd.crds(Names("example.org"))


def _rollout_spec() -> Mapping[str, Any]:
    version = crd.crd(crd.ROLLOUT, "rollouts.dev")["spec"]["versions"][0]
    properties: Mapping[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    return properties


def _constraints(definition: Mapping[str, Any]) -> Iterator[tuple[str, set[str]]]:
    """Each place of the schema and what is asked of its values beside their types."""
    asked = {
        "required",
        "enum",
        "pattern",
        "minimum",
        "maximum",
        "minLength",
        "minItems",
        "maxItems",
        "minProperties",
    }
    left = [("", definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"])]
    while left:
        path, schema = left.pop()
        yield path, (asked | {"x-kubernetes-validations"}) & set(schema)
        left += [(f"{path}.{name}", inner) for name, inner in schema.get("properties", {}).items()]
        left += [(f"{path}[]", schema["items"])] if "items" in schema else []


def _fields(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, child in schema.get("properties", {}).items():
        yield f"{path}.{name}", child
        yield from _fields(child, f"{path}.{name}")
        yield from _fields(child.get("items", {}), f"{path}.{name}[]")
