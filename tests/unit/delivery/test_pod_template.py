"""Pod template identity against what Go's encoder and the API server's defaulting make of the same input.

`tests/golden/pod_templates.json` was written by a Go program over k8s.io/api v0.36.3 and
k8s.io/kubernetes v1.36.3: `canonical` and the hashes from encoding/json, `stored` from the codec of the
API server.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rollouts.api import podtemplate, quantity
from rollouts.errors import SpecError

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "pod_templates.json").read_text(encoding="utf-8"))
SIMPLE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}


@pytest.mark.parametrize("row", GOLDEN, ids=range(len(GOLDEN)))
def test_is_encoded_and_hashed_as_go_does_it(row: dict[str, Any]) -> None:
    assert podtemplate.canonical(row["template"]).decode() == row["canonical"]
    assert podtemplate.pod_template_hash(row["template"]) == row["hash"]
    assert podtemplate.pod_template_hash(row["template"], 1) == row["hash_after_a_collision"]


@pytest.mark.parametrize("row", GOLDEN, ids=range(len(GOLDEN)))
def test_means_the_same_after_the_api_server_has_filled_in_its_defaults(row: dict[str, Any]) -> None:
    stored = row["stored"]
    stored["metadata"]["labels"]["rollouts-pod-template-hash"] = row["hash"]

    assert podtemplate.digest(stored) == podtemplate.digest(row["template"])


def test_the_known_example_has_its_known_hash() -> None:
    assert podtemplate.pod_template_hash(GOLDEN[0]["template"]) == "674d8cf959"


def test_a_port_without_protocol_is_hashed_as_the_peers_crd_would_store_it() -> None:
    def with_port(port: dict[str, Any]) -> dict[str, Any]:
        containers = [{**SIMPLE["spec"]["containers"][0], "ports": [port]}]
        return {**SIMPLE, "spec": {"containers": containers, "initContainers": containers}}

    plain, stored = with_port({"containerPort": 80}), with_port({"containerPort": 80, "protocol": "TCP"})

    assert podtemplate.pod_template_hash(plain) == podtemplate.pod_template_hash(stored)


def test_all_golden_templates_mean_different_things() -> None:
    assert len({podtemplate.digest(row["template"]) for row in GOLDEN}) == len(GOLDEN)


@pytest.mark.parametrize("where", ["spec", "container"])
def test_an_unknown_field_is_part_of_the_identity(where: str) -> None:
    container = {**SIMPLE["spec"]["containers"][0], **({"fromTheFuture": 1} if where == "container" else {})}
    future = {"fromTheFuture": 1} if where == "spec" else {}
    changed = {**SIMPLE, "spec": {"containers": [container], **future}}

    assert podtemplate.digest(changed) != podtemplate.digest(SIMPLE)
    assert podtemplate.pod_template_hash(changed) != podtemplate.pod_template_hash(SIMPLE)


@pytest.mark.parametrize(
    ("container", "path", "problem"),
    [
        ({"resources": {"requests": {"memory": "invalid"}}}, "resources.requests.memory", "is no quantity"),
        ({"resources": {"limits": {"cpu": True}}}, "resources.limits.cpu", "is no quantity"),
        ({"env": [{"name": "A", "value": 1}]}, "env[0].value", "must be a string"),
        ({"ports": [{"containerPort": "http"}]}, "ports[0].containerPort", "must be an integer"),
        ({"tty": "yes"}, "tty", "must be true or false"),
        ({"command": "run"}, "command", "must be a list"),
        ({"resources": "none"}, "resources", "must be an object"),
        (
            {"livenessProbe": {"httpGet": {"port": 1.5}}},
            "livenessProbe.httpGet.port",
            "must be an integer or a",
        ),
    ],
)
def test_a_malformed_value_is_told_with_its_path(container: dict[str, Any], path: str, problem: str) -> None:
    template = {"spec": {"containers": [{"name": "web", "image": "web:1", **container}]}}

    for identify in (podtemplate.digest, podtemplate.canonical):
        with pytest.raises(SpecError) as told:
            identify(template)
        assert told.value.path == f"spec.template.spec.containers[0].{path}"
        assert problem in str(told.value)


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        ("1.5Gi", "1536Mi"),
        ("1024Mi", "1Gi"),
        ("0.5Ki", "512"),
        ("1e3", "1e3"),
        ("12E6", "12E6"),
        ("1500000", "1500k"),
        ("-1000m", "-1"),
        (".5", "500m"),
        ("0", "0"),
        ("0.0000000001", "1n"),
    ],
)
def test_quantities_have_one_spelling(written: str, stored: str) -> None:
    assert quantity.canonical(written) == stored


@pytest.mark.parametrize("text", ["", "abc", "1 Gi", "1KiB", "--1", "1.2.3", "e3"])
def test_what_is_no_quantity_has_no_spelling(text: str) -> None:
    assert quantity.canonical(text) is None
