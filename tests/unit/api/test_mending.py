"""Which values of a pod template no strict client can read, and what is left when they are gone."""

from __future__ import annotations

from typing import Any

import pytest

from rollouts.api import mending, podtemplate

CONTAINERS = ("spec", "containers", 0)


def with_container(**fields: Any) -> dict[str, Any]:
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", **fields}]}}


@pytest.mark.parametrize(
    ("template", "places"),
    [
        (with_container(), []),
        (
            with_container(resources={"requests": {"memory": "invalid", "cpu": "1"}}),
            [(*CONTAINERS, "resources", "requests", "memory")],
        ),
        (
            with_container(resources={"limits": {"example.com/gpu": "many"}}, image=3),
            [(*CONTAINERS, "image"), (*CONTAINERS, "resources", "limits", "example.com/gpu")],
        ),
        ({"metadata": {"labels": {"a.b/c": 1}}}, [("metadata", "labels", "a.b/c")]),
        ({"spec": {"containers": [3]}}, [("spec", "containers", 0)]),
        ({"spec": {"containers": 3}}, [("spec", "containers")]),
        (
            {"spec": {"ephemeralContainers": [{"name": "x", "resources": {"requests": {"memory": "?"}}}]}},
            [("spec", "ephemeralContainers")],
        ),
    ],
)
def test_what_is_malformed_and_nothing_else_goes(template: dict[str, Any], places: list[Any]) -> None:
    assert list(mending.removals(template)) == places


def test_the_patch_holds_for_the_version_that_was_read() -> None:
    patch = mending.json_patch(with_container(resources={"limits": {"example.com/gpu": "many"}}), "7")

    assert patch == [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "remove", "path": "/spec/template/spec/containers/0/resources/limits/example.com~1gpu"},
    ]


def test_nothing_is_written_where_nothing_is_malformed() -> None:
    assert mending.json_patch(with_container(), "7") == []
    podtemplate.canonical(with_container())
