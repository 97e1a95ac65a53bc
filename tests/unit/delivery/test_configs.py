"""copyConfig: what a template refers to, what counts as a change, and which copies are made and deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollouts.api.meta import Names
from rollouts.api.rollout_status import ConfigCopy
from rollouts.delivery import configs
from rollouts.delivery.snapshot import Config
from tests.builders import canary, pause, rollout, set_weight
from tests.fakes import FakeCluster

NAMES = Names()
TEMPLATE: Mapping[str, Any] = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {
        "volumes": [
            {"name": "a", "configMap": {"name": "files", "optional": True}},
            {"name": "b", "secret": {"secretName": "keys"}},
            {
                "name": "c",
                "projected": {"sources": [{"configMap": {"name": "p"}}, {"secret": {"name": "q"}}]},
            },
            {"name": "d", "emptyDir": {}},
        ],
        "initContainers": [{"name": "init", "envFrom": [{"configMapRef": {"name": "files"}}]}],
        "containers": [
            {
                "name": "web",
                "image": "web:1",
                "envFrom": [{"secretRef": {"name": "env"}}],
                "env": [
                    {"name": "A", "value": "plain"},
                    {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "flags", "key": "b"}}},
                    {"name": "C", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "c"}}},
                    {"name": "D", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                ],
            }
        ],
        "imagePullSecrets": [{"name": "registry"}],
    },
}


def config_map(data: Mapping[str, str], **annotations: str) -> dict[str, Any]:
    return {"kind": "ConfigMap", "metadata": {"name": "app", "annotations": annotations}, "data": data}


def test_every_place_in_a_template_is_found() -> None:
    found = {(config.kind, config.name) for config in configs.references(TEMPLATE)}

    assert found == {
        ("ConfigMap", "files"),
        ("ConfigMap", "p"),
        ("ConfigMap", "flags"),
        ("Secret", "keys"),
        ("Secret", "q"),
        ("Secret", "env"),
    }


def test_all_of_them_are_renamed_and_nothing_else_is_touched() -> None:
    renamed = configs.rewritten(TEMPLATE, lambda config: f"{config.name}-x")
    back = configs.rewritten(renamed, lambda config: config.name.removesuffix("-x"))

    assert {c.name for c in configs.references(renamed)} == {
        f"{c.name}-x" for c in configs.references(TEMPLATE)
    }
    assert back == TEMPLATE
    assert renamed["spec"]["imagePullSecrets"] == [{"name": "registry"}]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["spec", "volumes", "configMap", "secret", "name", "env", "containers", "envFrom"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["metadata", "spec"]), JSON))
def test_a_malformed_template_is_left_as_it_is(template: Mapping[str, Any]) -> None:
    assert configs.rewritten(template, lambda config: config.name) == template


def test_only_what_pods_read_counts_as_content() -> None:
    first = configs.content_hash("web", config_map({"a": "1"}), NAMES)

    assert configs.content_hash("web", config_map({"a": "1"}, note="x"), NAMES) == first
    assert configs.content_hash("web", config_map({"a": "2"}), NAMES) != first
    assert configs.content_hash("api", config_map({"a": "1"}), NAMES) != first


def test_keys_that_are_left_out_change_nothing() -> None:
    ignoring = {NAMES.config_ignore_annotation: "lock, ca.crt"}
    one = config_map({"a": "1", "lock": "x"}, **ignoring)
    other = config_map({"a": "1", "lock": "y", "ca.crt": "z"}, **ignoring)

    assert configs.content_hash("web", one, NAMES) == configs.content_hash("web", other, NAMES)


@pytest.mark.parametrize(
    ("body", "copied"),
    [
        (config_map({}), True),
        (config_map({}, **{NAMES.config_copy_annotation: "false"}), False),
        ({"metadata": {"labels": {NAMES.config_copy_label: "true"}}}, False),
        ({"metadata": {}, "type": "kubernetes.io/service-account-token"}, False),
        ({"metadata": {"annotations": {"cert-manager.io/certificate-name": "web"}}}, False),
        (
            {
                "metadata": {
                    "annotations": {
                        "cert-manager.io/certificate-name": "web",
                        NAMES.config_copy_annotation: "true",
                    }
                }
            },
            True,
        ),
    ],
)
def test_what_is_copied(body: Mapping[str, Any], copied: bool) -> None:
    assert configs.is_copied(body, NAMES) is copied


def test_a_long_name_stays_a_name() -> None:
    assert len(configs.copy_name("n" * 253, "abcdefabcdef")) == 253


def copied(version: str) -> tuple[ConfigCopy, ...]:
    return (ConfigCopy("ConfigMap", "app", f"app-{version}"),)


def deploy(cluster: FakeCluster, version: str) -> None:
    cluster.wanted_copies = copied(version)
    cluster.deploy(version)
    cluster.run()


def serving(**fields: Any) -> FakeCluster:
    cluster = FakeCluster(rollout(canary(set_weight(50), pause()), **fields))
    deploy(cluster, "v1")
    return cluster


def test_a_copy_is_there_before_the_pods_that_read_it() -> None:
    cluster = serving()
    cluster.wanted_copies = copied("v2")
    cluster.deploy("v2")

    names = [type(action).__name__ for action in cluster.decide().actions]

    assert names.index("CopyConfig") < names.index("CreateReplicaSet")


def test_copies_of_stable_stay_while_the_update_goes_on_and_when_it_is_aborted() -> None:
    cluster = serving()
    deploy(cluster, "v2")
    assert set(cluster.copies) == {("ConfigMap", "app-v1"), ("ConfigMap", "app-v2")}

    cluster.abort()
    cluster.run()

    assert ("ConfigMap", "app-v1") in cluster.copies
    assert cluster.status.config_copies == copied("v2")


def test_copies_go_with_the_last_set_that_reads_them() -> None:
    cluster = serving(revision_history_limit=1)
    for version in ("v2", "v3", "v4"):
        deploy(cluster, version)
        cluster.promote()
        cluster.run()

    assert set(cluster.copies) == {("ConfigMap", "app-v3"), ("ConfigMap", "app-v4")}


def test_an_aborted_update_makes_no_copy_anew() -> None:
    cluster = serving()
    deploy(cluster, "v2")
    cluster.abort()
    cluster.run()

    del cluster.copies["ConfigMap", "app-v2"]
    cluster.run()

    assert ("ConfigMap", "app-v2") not in cluster.copies


def test_what_a_status_remembers_is_found_by_its_source() -> None:
    assert configs.known(copied("v1")) == {Config("ConfigMap", "app"): "app-v1"}
