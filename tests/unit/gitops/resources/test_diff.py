"""What differs, by ownership; what is sent to put it right; what belongs to others and stays."""

from __future__ import annotations

from typing import Any

import pytest

from rollouts.api import podtemplate
from rollouts.api.meta import POD_TEMPLATE_HASH_LABEL
from rollouts.gitops.resources import diff, live
from rollouts.gitops.resources.diff import Change, Context
from tests.unit.gitops.builders import (
    NAMES,
    OWNER,
    A,
    B,
    Object,
    applied,
    config_map,
    declared,
    rollout,
    seen,
    service,
    with_manager,
)


def change(
    wanted: Object, found: Object | None, *, autoscaled: bool = False, **context: Any
) -> Change | None:
    who = Context("prod", "shop", NAMES, **{"revision": B, **context})
    return diff.change(declared(wanted), seen(found) if found else None, who, autoscaled=autoscaled)


def paths(wanted: Object, found: Object) -> tuple[str, ...]:
    there = change(wanted, found)
    return there.paths if there else ()


def deployment(**spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "prod"},
        "spec": {"replicas": 3, **spec},
    }


def test_what_was_applied_does_not_differ() -> None:
    assert change(config_map(), applied(config_map())) is None


def test_an_absent_object_is_created_with_the_owner_labels() -> None:
    there = change(config_map(), None)

    assert there is not None
    assert there.body["metadata"]["labels"] == OWNER


def test_what_the_server_and_others_add_is_none_of_our_business() -> None:
    found = applied(config_map())
    found["data"]["added"] = "by another"
    found["immutable"] = False

    assert change(config_map(), with_manager(found, "other", {"f:data": {"f:added": {}}})) is None


def test_a_changed_value_that_is_not_ours_any_more_is_named() -> None:
    found = applied(config_map(size="1"))
    found["data"]["color"] = "red"

    assert paths(config_map(color="blue", size="1"), found) == ("data.color",)


def test_a_field_that_git_no_longer_says_is_named() -> None:
    assert paths(config_map(color="blue"), applied(config_map(color="blue", old="1"))) == ("data.old",)


def test_a_field_with_dots_in_its_name_is_legible() -> None:
    found = applied(config_map(**{"app.conf": "x"}))

    assert paths(config_map(**{"app.conf": "y"}), found) == ("data[app.conf]",)


def test_items_of_a_list_are_told_apart_by_their_key() -> None:
    def containers(*images: str) -> Object:
        named = [{"name": f"c{i}", "image": image} for i, image in enumerate(images)]
        return deployment(template={"spec": {"containers": named}})

    assert paths(containers("a:1", "b:2"), applied(containers("a:1", "b:1"))) == (
        "spec.template.spec.containers[name=c1].image",
    )
    assert paths(containers("a:1"), applied(containers("a:1", "b:1"))) == (
        "spec.template.spec.containers[name=c1].image",
        "spec.template.spec.containers[name=c1].name",
    )


def test_a_key_that_the_manifest_leaves_to_its_default_still_matches() -> None:
    wanted = service()
    wanted["spec"]["ports"] = [{"port": 80}]
    found = applied(wanted)
    found["spec"]["ports"] = [{"port": 80, "protocol": "TCP"}]
    ports = {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}}}
    found["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:ports"] = ports

    assert change(wanted, found) is None


def test_what_kubectl_declares_beside_us_is_drift_and_can_be_taken_over() -> None:
    found = applied(config_map())
    found["data"]["extra"] = "1"
    found = with_manager(found, "kubectl-edit", {"f:data": {"f:extra": {}}})

    assert paths(config_map(), found) == ("data.extra",)
    (taken,) = live.taken_over(found["metadata"]["managedFields"]) or ()
    assert taken["manager"] == live.FIELD_MANAGER
    assert taken["operation"] == "Apply"
    assert set(taken["fieldsV1"]["f:data"]) == {"f:color", "f:extra"}


@pytest.mark.parametrize(
    "manager", ["kubectl-label", "kubectl-annotate", "kubectl-rollout", "some-controller"]
)
def test_what_people_do_in_an_incident_and_controllers_always_do_stays(manager: str) -> None:
    found = with_manager(applied(config_map()), manager, {"f:metadata": {"f:labels": {"f:note": {}}}})

    assert change(config_map(), found) is None


def test_a_pause_of_a_rollout_by_hand_stays() -> None:
    wanted = rollout()
    wanted["metadata"]["annotations"] = {NAMES.git_revision_annotation: A}
    found = applied(wanted)
    found["spec"]["paused"] = True

    assert change(rollout(), with_manager(found, "kubectl-patch", {"f:spec": {"f:paused": {}}})) is None


class TestServices:
    """Delivery keeps the pod template hash of the stable or the canary pods in a selector."""

    def held(self, **selector: str) -> Object:
        """As delivery leaves it: the whole selector is its own, because it is atomic."""
        found = applied(service())
        found["spec"]["selector"] = {"app": "web", **selector}
        del found["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]
        found["metadata"]["annotations"] = {NAMES.managed_by_annotation: "web"}
        return with_manager(found, "rollouts-delivery", {"f:spec": {"f:selector": {}}})

    def test_the_hash_in_the_selector_is_not_drift(self) -> None:
        assert change(service(), self.held(**{POD_TEMPLATE_HASH_LABEL: "abc"})) is None

    def test_a_selector_without_hash_that_delivery_manages_is_not_drift(self) -> None:
        assert change(service(), self.held()) is None

    def test_another_change_carries_the_hash_over_and_fails_if_it_moves_meanwhile(self) -> None:
        wanted = service()
        wanted["metadata"]["labels"] = {"tier": "front"}

        there = change(wanted, self.held(**{POD_TEMPLATE_HASH_LABEL: "abc"}))

        assert there is not None
        assert there.body["spec"]["selector"] == {"app": "web", POD_TEMPLATE_HASH_LABEL: "abc"}
        assert there.body["metadata"]["resourceVersion"] == "1"

    def test_a_selector_edited_by_hand_is_drift(self) -> None:
        found = self.held(**{POD_TEMPLATE_HASH_LABEL: "abc"})
        found["spec"]["selector"]["app"] = "other"

        there = change(service(), found)

        assert there is not None
        assert there.paths == ("spec.selector",)
        assert there.body["spec"]["selector"] == {"app": "web", POD_TEMPLATE_HASH_LABEL: "abc"}


class TestReplicas:
    def scaled(self, replicas: int, manager: str) -> Object:
        found = applied(deployment())
        found["spec"]["replicas"] = replicas
        del found["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]
        entry = {
            "manager": manager,
            "operation": "Update",
            "subresource": "scale",
            "fieldsV1": {"f:spec": {"f:replicas": {}}},
        }
        found["metadata"]["managedFields"].append(entry)
        return found

    def test_an_autoscaler_keeps_its_replicas(self) -> None:
        assert change(deployment(), self.scaled(7, "kube-controller-manager")) is None

    def test_a_person_who_scales_by_hand_is_corrected(self) -> None:
        assert paths(deployment(), self.scaled(7, "kubectl-scale")) == ("spec.replicas",)

    def test_before_the_autoscaler_has_scaled_its_target_keeps_the_replicas_it_has(self) -> None:
        found = applied(deployment())
        found["spec"]["replicas"] = 5

        there = change(deployment(paused=True), found, autoscaled=True)

        assert there is not None
        assert there.body["spec"]["replicas"] == 5
        assert there.body["metadata"]["resourceVersion"] == "1"


class TestMarksOfRollouts:
    def marked(self, image: str = "web:1") -> Object:
        body = rollout(image=image)
        body["metadata"]["annotations"] = {NAMES.git_revision_annotation: A}
        return applied(body)

    def test_a_rollout_that_a_commit_does_not_change_keeps_the_commit_that_did(self) -> None:
        assert change(rollout(), self.marked(), marks_revision=True) is None

    def test_a_rollout_that_a_commit_changes_is_marked_with_it(self) -> None:
        there = change(rollout(image="web:2"), self.marked(), marks_revision=True)

        assert there is not None
        assert there.body["metadata"]["annotations"] == {NAMES.git_revision_annotation: B}

    def test_a_hand_edit_that_is_undone_keeps_the_mark(self) -> None:
        there = change(rollout(), self.marked(image="web:2"))

        assert there is not None
        assert there.body["metadata"]["annotations"] == {NAMES.git_revision_annotation: A}

    def test_a_template_that_was_good_before_is_vouched_for(self) -> None:
        there = change(rollout(), self.marked(image="web:2"), known_good=True)

        assert there is not None
        digest = podtemplate.digest(rollout()["spec"]["template"])
        assert there.body["metadata"]["annotations"][NAMES.fast_rollback_annotation] == digest

    def test_the_next_release_is_not_vouched_for(self) -> None:
        body = rollout()
        marks = {NAMES.git_revision_annotation: A, NAMES.fast_rollback_annotation: "digest of web:1"}
        body["metadata"]["annotations"] = marks

        there = change(rollout(image="web:2"), applied(body), marks_revision=True)

        assert there is not None
        assert there.body["metadata"]["annotations"] == {NAMES.git_revision_annotation: B}


def test_a_change_tells_who_holds_the_fields_and_no_value() -> None:
    found = applied(config_map(color="blue", size="1"))
    found["data"]["color"] = "red"
    found = with_manager(found, "kubectl-edit", {"f:data": {"f:color": {}}})
    found = with_manager(found, "an-operator", {"f:data": {"f:added": {}}})

    there = change(config_map(color="blue", size="1"), found)

    assert there is not None
    assert there.told == "ConfigMap prod/settings: data.color (changed by kubectl-edit)"


def test_who_took_a_field_away_is_not_known() -> None:
    found = applied(config_map(color="blue"))
    del found["data"]["color"]

    there = change(config_map(color="blue"), found)

    assert there is not None
    assert there.told == "ConfigMap prod/settings: data.color"
