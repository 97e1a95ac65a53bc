"""A Rollout whose template is that of a Deployment beside it is not good before it has seen it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rollouts.api import podtemplate
from rollouts.gitops import comparison, picture
from rollouts.gitops.snapshot import Snapshot
from tests.unit.gitops.builders import NAMES, A, Object, applied, rollout, snapshot

REF = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
HEALTHY = {"observedGeneration": "1", "phase": "Healthy", "stableRS": "x", "currentPodHash": "x"}


def deployment() -> Object:
    made = rollout()
    return {**made, "apiVersion": "apps/v1", "kind": "Deployment", "spec": {**made["spec"], "replicas": 0}}


def set_with(observed: str) -> Snapshot:
    referring = {**rollout(), "spec": {"replicas": 2, "workloadRef": REF}}
    live = [
        applied(deployment(), status={"observedGeneration": 1}),
        applied(referring, status={**HEALTHY, "workloadObservedGeneration": observed}),
    ]
    return snapshot({A: [deployment(), referring]}, git=A, live_objects=live)


@pytest.mark.parametrize(("observed", "good"), [("", False), ("0", False), ("1", True)])
def test_a_revision_is_good_once_its_template_is_seen(observed: str, *, good: bool) -> None:
    seen = picture.of(set_with(observed), (), ())

    assert (seen.is_good, seen.all_promoted) == (good, good)


def test_a_good_template_that_a_deployment_gets_back_is_vouched_for_on_the_rollout() -> None:
    referring = {**rollout(), "spec": {"replicas": 2, "workloadRef": REF}}
    bad = rollout(image="web:2")
    broken = {**deployment(), "spec": {**bad["spec"], "replicas": 0}}
    s = snapshot({A: [deployment(), referring]}, git=A, live_objects=[applied(broken), applied(referring)])
    assert s.target is not None
    back = replace(s, target=replace(s.target, known_good=True))
    digest = podtemplate.digest(deployment()["spec"]["template"])

    found = {m.key.kind: comparison.change(back, m, back.live[m.key]) for m in back.declared.manifests}

    there = found["Rollout"]
    assert there is not None
    assert there.body["metadata"]["annotations"][NAMES.fast_rollback_annotation] == digest
    assert comparison.change(s, s.declared.manifests[1], s.live[s.declared.manifests[1].key]) is None


def test_a_template_that_is_in_place_needs_nobody_to_vouch_for_it() -> None:
    s = set_with("1")
    assert s.target is not None
    back = replace(s, target=replace(s.target, known_good=True))

    assert [comparison.change(back, m, back.live[m.key]) for m in back.declared.manifests] == [None, None]
