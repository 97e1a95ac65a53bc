"""Which fields of a status an API server would drop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from rollouts.api import crd
from rollouts.controller.definitions import unknown_fields

OURS = {
    "properties": {
        "phase": {"type": "string"},
        "canary": {"properties": {"weight": {"type": "integer"}}},
        "runs": {"items": {"properties": {"name": {"type": "string"}}}},
    }
}


@pytest.mark.parametrize(
    ("served", "unknown"),
    [
        (OURS, []),
        ({}, ["status.phase", "status.canary", "status.runs"]),
        ({"x-kubernetes-preserve-unknown-fields": True}, []),
        ({"properties": {**OURS["properties"], "more": {}}}, []),
        ({"properties": {**OURS["properties"], "canary": {}}}, ["status.canary.weight"]),
        (
            {"properties": {**OURS["properties"], "runs": {"items": {"properties": {}}}}},
            ["status.runs[].name"],
        ),
        ({"properties": {**OURS["properties"], "canary": {"additionalProperties": {"type": "string"}}}}, []),
    ],
)
def test_what_would_be_dropped_is_named(served: Mapping[str, Any], unknown: list[str]) -> None:
    assert list(unknown_fields(OURS, served, "status")) == unknown


@pytest.mark.parametrize("kind", crd.KINDS, ids=lambda k: k.kind)
def test_ours_know_everything(kind: crd.Kind) -> None:
    strict, types_only = (
        crd.crd(kind, group)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for group in ("rollouts.dev", "argoproj.io")
    )

    assert list(unknown_fields(strict, types_only, "")) == []
