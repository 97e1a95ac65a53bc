"""Fields that are left to others: what a rule means, what is sent for it, what still counts."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollouts.api.application import IgnoreDifference
from rollouts.errors import SpecError
from rollouts.gitops import validation
from rollouts.gitops.resources import diff, ignoring
from rollouts.gitops.resources.diff import Change, Context
from rollouts.gitops.resources.ignoring import PathError
from tests.unit.gitops.builders import NAMES, B, Object, application, applied, declared, seen, with_manager


def deployment(replicas: int = 3, image: str = "web:1", **containers: str) -> Object:
    items = [{"name": "web", "image": image}, *({"name": n, "image": i} for n, i in containers.items())]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "prod"},
        "spec": {"replicas": replicas, "args": ["a", "b"], "containers": items},
    }


def change(wanted: Object, found: Object | None, *rules: IgnoreDifference) -> Change | None:
    context = Context("prod", "shop", NAMES, B, ignored=rules)
    return diff.change(declared(wanted), seen(found) if found else None, context, autoscaled=False)


def rule(*pointers: str, jq: str = "", manager: str = "", **more: Any) -> IgnoreDifference:
    return IgnoreDifference(
        **{"kind": "Deployment", "group": "apps", **more},
        json_pointers=pointers,
        jq_path_expressions=(jq,) if jq else (),
        managed_fields_managers=(manager,) if manager else (),
    )


def edited(body: Object, replicas: int) -> Object:
    """`kubectl edit` of the replicas: the field is kubectl's now, and ours no more."""
    found = applied(body)
    found["spec"]["replicas"] = replicas
    del found["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:replicas"]
    return with_manager(found, "kubectl-edit", {"f:spec": {"f:replicas": {}}})


IMAGE_OF_WEB = '.spec.containers[] | select(.name == "web") | .image'


@pytest.mark.parametrize(
    ("ignored", "is_drift"),
    [
        (rule("/spec/replicas"), False),
        (rule(jq=".spec.replicas"), False),
        (rule("/spec"), False),
        (rule("/spec/paused"), True),
        (rule("/spec/replicas", name="w*"), False),
        (rule("/spec/replicas", name="other"), True),
        (rule("/spec/replicas", namespace="dev"), True),
        (rule("/spec/replicas", kind="StatefulSet"), True),
        (rule("/spec/replicas", kind="*", group="*"), False),
        (rule(manager="kubectl-edit"), True),
    ],
)
def test_what_somebody_else_set_is_drift_unless_it_is_ignored(
    ignored: IgnoreDifference, is_drift: bool
) -> None:
    found = change(deployment(3), edited(deployment(3), 9), ignored)

    assert (found is not None) == is_drift


def test_an_ignored_field_is_sent_at_first_and_never_reset_after() -> None:
    first = change(deployment(3), None, rule("/spec/replicas"))
    assert first is not None
    assert first.body["spec"]["replicas"] == 3

    scaled = applied(deployment(9))
    later = change(deployment(3, image="web:2"), scaled, rule("/spec/replicas"))

    assert later is not None
    assert later.paths == ("spec.containers[name=web].image",)
    assert later.body["spec"]["replicas"] == 9


def test_a_field_that_we_do_not_own_is_not_sent() -> None:
    found = change(deployment(3, image="web:2"), edited(deployment(3), 9), rule("/spec/replicas"))

    assert found is not None
    assert "replicas" not in found.body["spec"]


@pytest.mark.parametrize(
    ("ignored", "expected"),
    [
        (rule(jq=IMAGE_OF_WEB), [("web", "web:9"), ("proxy", "proxy:1")]),
        (rule(jq=".spec.containers[].image"), [("web", "web:9"), ("proxy", "proxy:9")]),
        (rule("/spec/containers/1/image"), [("web", "web:1"), ("proxy", "proxy:9")]),
        (rule(jq=".spec.containers[1].image"), [("web", "web:1"), ("proxy", "proxy:9")]),
        (rule("/spec/containers"), [("web", "web:9"), ("proxy", "proxy:9")]),
    ],
)
def test_a_rule_reaches_into_lists(ignored: IgnoreDifference, expected: list[tuple[str, str]]) -> None:
    wanted = deployment(4, proxy="proxy:1")

    found = change(wanted, applied(deployment(3, image="web:9", proxy="proxy:9")), ignored)

    assert found is not None
    assert [(c["name"], c["image"]) for c in found.body["spec"]["containers"]] == expected


def test_a_position_in_an_atomic_list_keeps_what_the_cluster_has() -> None:
    live = applied(deployment())
    live["spec"]["args"] = ["a", "changed"]

    assert change(deployment(), live, rule("/spec/args/1")) is None
    assert change(deployment(), live, rule("/spec/args/0")) is not None


def test_what_a_manager_owns_is_left_to_it() -> None:
    live = applied(deployment(3))
    live["spec"]["containers"][0]["image"] = "web:9"
    fields = live["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:containers"]
    del fields['k:{"name": "web"}']["f:image"]
    owned = {"f:spec": {"f:containers": {'k:{"name":"web"}': {"f:image": {}}}}}
    live = with_manager(live, "image-updater", owned)

    assert change(deployment(3), live, rule(manager="image-updater")) is None
    assert change(deployment(3), live, rule(manager="other")) is not None


def test_a_declared_object_is_never_changed_in_place() -> None:
    wanted = deployment(3)
    before = copy.deepcopy(wanted)

    change(wanted, edited(deployment(3), 9), rule("/spec", jq=".spec.containers[].image"))

    assert wanted == before


@pytest.mark.parametrize(
    "text", ["", ".", "spec.replicas", ".spec[", ".a | length", ".a | select(.b)", "..", ".a.b; .c"]
)
def test_a_path_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(PathError):
        ignoring.compiled(text)


@pytest.mark.parametrize("text", ["", "/", "spec/replicas"])
def test_a_pointer_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(PathError):
        ignoring.pointer(text)


def test_a_pointer_may_hold_slashes() -> None:
    assert ignoring.pointer("/metadata/annotations/a~1b~0c") == ("metadata", "annotations", "a/b~c")


def test_a_spec_with_such_a_path_names_it() -> None:
    app = application(ignore_differences=(rule("/spec/replicas"), rule(jq=".spec | length")))

    with pytest.raises(SpecError, match=r"spec\.ignoreDifferences\[1\]\.jqPathExpressions\[0\]"):
        validation.check(app)


@given(st.text(alphabet='.[]|"\\ abselct()=0123456789', max_size=40))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        steps = ignoring.compiled(text)
    except (PathError, ValueError):
        return
    assert steps
