"""The revision on the Rollout itself: where the peer's clients look, and at no extra write elsewhere."""

from __future__ import annotations

from rollouts.api.meta import Names
from rollouts.api.rollout import ObjectRef
from rollouts.delivery.snapshot import Workload
from tests.builders import canary, pod_template, rollout
from tests.fakes import FakeCluster

PEER = Names("argoproj.io")


def test_in_the_peers_group_the_rollout_says_its_revision() -> None:
    cluster = FakeCluster(rollout(canary()), names=PEER)
    cluster.run()
    assert cluster.rollout.metadata.annotations == {"rollout.argoproj.io/revision": "1"}

    cluster.deploy("v2")
    cluster.run()

    assert cluster.rollout.metadata.annotations == {"rollout.argoproj.io/revision": "2"}
    assert not cluster.decide().annotations


def test_in_our_group_it_costs_no_write() -> None:
    cluster = FakeCluster(rollout(canary()))
    cluster.run()

    assert cluster.rollout.metadata.annotations == {}


def test_it_comes_along_with_another_annotation() -> None:
    ref = ObjectRef("apps/v1", "Deployment", "web")
    cluster = FakeCluster(rollout(canary(), workload_ref=ref))
    cluster.workload = Workload("Deployment", "web", "u", "1", 3, pod_template("v1"), replicas=0)
    cluster.run()

    assert cluster.rollout.metadata.annotations == {
        "rollout.rollouts.dev/workload-generation": "3",
        "rollout.rollouts.dev/revision": "1",
    }
