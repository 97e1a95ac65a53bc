"""What is put into a ReplicaSet's template makes it no other template."""

from __future__ import annotations

from typing import Any

import pytest

from rollouts.api import injected, podtemplate
from rollouts.api.strategy import (
    AntiAffinity,
    PodTemplateMetadata,
    PreferredDuringScheduling,
    RequiredDuringScheduling,
)
from rollouts.errors import SpecError
from tests.builders import pod_template

ROLE = PodTemplateMetadata(labels={"role": "canary"}, annotations={"note": "x"})
REQUIRED = AntiAffinity(RequiredDuringScheduling())
PREFERRED = AntiAffinity(None, PreferredDuringScheduling(weight=7))
NODES = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}
OWN_TERM = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "zone"}
OWN = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [OWN_TERM]}}


def with_affinity(affinity: Any) -> dict[str, Any]:
    template = pod_template("v1")
    spec = {**template["spec"], "affinity": affinity} if affinity is not None else template["spec"]
    return {**template, "spec": spec}


@pytest.mark.parametrize("wanted", [REQUIRED, PREFERRED])
@pytest.mark.parametrize("own", [None, NODES, OWN])
def test_an_injected_anti_affinity_makes_no_other_template(own: Any, wanted: AntiAffinity) -> None:
    template = with_affinity(own)
    affinity = injected.affinity(template, wanted, away_from="abc", namespace="shop")
    live = with_affinity(affinity)

    assert live != template
    assert injected.away_from(live) == "abc"
    assert injected.away_from(template) == ""
    assert podtemplate.digest(live) == podtemplate.digest(template)


def test_the_term_is_that_of_the_peer() -> None:
    affinity = injected.affinity(pod_template("v1"), PREFERRED, away_from="abc", namespace="shop")

    assert affinity == {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 7,
                    "podAffinityTerm": {
                        "labelSelector": {
                            "matchExpressions": [
                                {"key": "rollouts-pod-template-hash", "operator": "In", "values": ["abc"]}
                            ]
                        },
                        "namespaces": ["shop"],
                        "topologyKey": "kubernetes.io/hostname",
                    },
                }
            ]
        }
    }


def test_metadata_goes_in_and_comes_out() -> None:
    template = pod_template("v1")
    live = injected.with_metadata(template, ROLE)

    assert injected.carried(live, ROLE) == ROLE
    assert podtemplate.digest(injected.without_metadata(live, ROLE)) == podtemplate.digest(template)


def test_the_annotation_is_the_peers_and_survives_reading() -> None:
    text = injected.written(ROLE)

    assert text == '{"annotations":{"note":"x"},"labels":{"role":"canary"}}'
    assert injected.read(text) == ROLE


@pytest.mark.parametrize(
    "affinity",
    [3, {"podAntiAffinity": 3}, {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": 3}}],
)
def test_a_malformed_affinity_is_told_by_its_path(affinity: Any) -> None:
    template = with_affinity(affinity)
    assert injected.away_from(template) == ""

    with pytest.raises(SpecError, match="affinity"):
        podtemplate.digest(template)


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"labels": 3}', "null"])
def test_an_annotation_that_cannot_be_read_counts_as_none(text: str | None) -> None:
    assert injected.read(text) == injected.NONE
