"""Normal form, digest and place of declared objects."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from rollouts.gitops.resources import manifests
from rollouts.gitops.resources.manifests import Manifest, ManifestError, ObjectKey
from tests.unit.gitops.builders import config_map, declared


def test_what_the_server_writes_is_left_out() -> None:
    dumped = {
        **config_map(),
        "metadata": {
            "name": "settings",
            "uid": "1",
            "resourceVersion": "2",
            "creationTimestamp": None,
            "managedFields": [],
            "annotations": {manifests.LAST_APPLIED_ANNOTATION: "{}"},
        },
        "status": {"x": 1},
    }

    assert declared(dumped).body == {**config_map(), "metadata": {"name": "settings"}}


def test_a_null_is_an_absent_field() -> None:
    found = declared({**config_map(), "data": {"a": "1", "b": None}, "immutable": None})

    assert found.body["data"] == {"a": "1"}
    assert "immutable" not in found.body


def test_string_data_of_a_secret_becomes_data() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "v"}}

    assert declared(secret).body["data"] == {"k": base64.b64encode(b"v").decode()}
    assert "stringData" not in declared(secret).body


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"kind": "X", "metadata": {"name": "a"}}, "apiVersion"),
        ({"apiVersion": "v1", "metadata": {"name": "a"}}, "kind"),
        ({"apiVersion": 1, "kind": "X", "metadata": {"name": "a"}}, "apiVersion"),
        ({"apiVersion": "v1", "kind": "X"}, "metadata"),
        ({"apiVersion": "v1", "kind": "X", "metadata": {}}, "metadata.name"),
        ({"apiVersion": "v1", "kind": "X", "metadata": {"generateName": "a-"}}, "metadata.name"),
        ({"apiVersion": "v1", "kind": "X", "metadata": {"name": 5}}, "metadata.name"),
        (
            {"apiVersion": "v1", "kind": "X", "metadata": {"name": "a", "labels": {"n": 1}}},
            "metadata.labels.n",
        ),
        (
            {"apiVersion": "v1", "kind": "X", "metadata": {"name": "a", "annotations": []}},
            "metadata.annotations",
        ),
        (["a list"], ""),
    ],
)
def test_a_manifest_that_cannot_be_applied_names_its_place_and_field(value: object, field: str) -> None:
    with pytest.raises(ManifestError) as e:
        manifests.manifest(value, "dir/file.yaml:7")

    assert e.value.field == field
    assert str(e.value).startswith("dir/file.yaml:7")


def test_the_digest_depends_on_the_objects_only() -> None:
    one, two = declared(config_map("a")), declared(config_map("b"))

    digest = manifests.digest([one, two], namespace="prod")

    assert manifests.digest([replace(two, origin="elsewhere"), one], namespace="prod") == digest
    assert manifests.digest([one], namespace="prod") != digest
    assert manifests.digest([one, declared(config_map("b", color="red"))], namespace="prod") != digest
    assert manifests.digest([one, two], namespace="test") != digest


def test_objects_go_to_the_destination_unless_they_name_a_namespace() -> None:
    plain = declared({**config_map("a"), "metadata": {"name": "a"}})
    named = declared(config_map("b"))
    cluster = declared({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n", "namespace": "x"}})

    found = manifests.placed(
        [plain, named, cluster], namespace="dest", is_namespaced=lambda m: m.key.kind != "Namespace"
    )

    assert [m.key.namespace for m in found] == ["dest", "prod", ""]
    assert found[0].body["metadata"]["namespace"] == "dest"
    assert "namespace" not in found[2].body["metadata"]


def test_two_objects_in_one_place_are_refused() -> None:
    plain = Manifest(ObjectKey("", "ConfigMap", "", "a"), "v1", {"metadata": {"name": "a"}}, "one.yaml:1")
    named = Manifest(ObjectKey("", "ConfigMap", "prod", "a"), "v1", {"metadata": {"name": "a"}}, "two.yaml:1")

    with pytest.raises(ManifestError, match=r"two.yaml:1: .*declared twice; see one.yaml:1"):
        manifests.placed([plain, named], namespace="prod", is_namespaced=lambda _: True)


@pytest.mark.parametrize(
    ("mode", "is_scaled"), [({}, False), ({"scaleDown": "never"}, False), ({"scaleDown": "onsuccess"}, True)]
)
def test_m8_the_replicas_of_what_a_rollout_takes_over_are_delivery_s(
    mode: dict[str, str], is_scaled: bool
) -> None:
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", **mode}
    metadata = {"name": "release", "namespace": "prod"}
    body = {"apiVersion": "rollouts.dev/v1alpha1", "kind": "Rollout", "metadata": metadata}
    release = manifests.manifest({**body, "spec": {"workloadRef": ref}}, "a.yaml:1")

    found = manifests.scaled_by_others([release])

    assert (ObjectKey("apps", "Deployment", "prod", "web") in found) is is_scaled
