"""A Rollout whose template is that of a Deployment beside it is not good before it has seen it."""

from __future__ import annotations

import pytest

from rollouts.gitops import picture
from rollouts.gitops.snapshot import Snapshot
from tests.unit.gitops.builders import A, Object, applied, rollout, snapshot

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
