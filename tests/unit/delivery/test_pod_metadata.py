"""Labels and annotations by role, anti-affinity and minReadySeconds: in place, without a new revision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from rollouts.api.rollout_status import Phase
from rollouts.api.strategy import (
    AntiAffinity,
    BlueGreenStrategy,
    CanaryStrategy,
    PodTemplateMetadata,
    RequiredDuringScheduling,
)
from rollouts.delivery import validate, view
from rollouts.delivery.actions import CreateReplicaSet, PatchPod, PatchReplicaSet
from tests.builders import blue_green, canary, pause, pod_template, rollout, set_weight
from tests.fakes import FakeCluster

NEW = PodTemplateMetadata(labels={"role": "new", "fresh": "yes"})
OLD = PodTemplateMetadata(labels={"role": "old"}, annotations={"team": "core"})
APART = AntiAffinity(RequiredDuringScheduling())


def by_role() -> list[CanaryStrategy | BlueGreenStrategy]:
    return [
        canary(set_weight(50), pause(), canary_metadata=NEW, stable_metadata=OLD),
        blue_green(
            auto_promotion_enabled=False,
            scale_down_delay_seconds=30,
            preview_metadata=NEW,
            active_metadata=OLD,
        ),
    ]


def cluster_of(strategy: CanaryStrategy | BlueGreenStrategy, **fields: Any) -> FakeCluster:
    made = FakeCluster(rollout(strategy, **fields), services=["active"])
    made.run()
    assert made.status.phase is Phase.HEALTHY
    return made


def updated(strategy: CanaryStrategy | BlueGreenStrategy, **fields: Any) -> FakeCluster:
    made = cluster_of(strategy, **fields)
    made.deploy("v2")
    made.run()
    assert made.status.phase is Phase.PAUSED
    return made


def labels(cluster: FakeCluster, version: str) -> list[Mapping[str, str]]:
    rs = cluster.of(version)
    assert rs is not None
    distinct = [dict(pod.labels) for pod in rs.pods]
    return [found for i, found in enumerate(distinct) if found not in distinct[:i]]


def assert_settled(cluster: FakeCluster) -> None:
    """Annotation, template and pods say the same, and nothing is left to do."""
    assert not cluster.decide().actions
    for rs in cluster.sets.values():
        assert rs.injected == rs.carried
        assert all((p.labels, p.annotations) == (rs.carried.labels, rs.carried.annotations) for p in rs.pods)


@pytest.mark.parametrize("strategy", by_role(), ids=["canary", "blueGreen"])
def test_pods_carry_their_role_from_creation_on(strategy: CanaryStrategy | BlueGreenStrategy) -> None:
    cluster = cluster_of(strategy)
    assert labels(cluster, "v1") == [OLD.labels]

    cluster.deploy("v2")
    created = next(a for a in cluster.decide().actions if isinstance(a, CreateReplicaSet))
    assert created.pod_metadata == NEW
    cluster.run()

    assert (labels(cluster, "v1"), labels(cluster, "v2")) == ([OLD.labels], [NEW.labels])
    assert_settled(cluster)


@pytest.mark.parametrize("strategy", by_role(), ids=["canary", "blueGreen"])
def test_a_promotion_changes_running_pods_in_place(strategy: CanaryStrategy | BlueGreenStrategy) -> None:
    cluster = updated(strategy)
    rs = cluster.of("v2")
    assert rs is not None
    before = {pod.name for pod in rs.pods}

    cluster.promote()
    cluster.run()

    assert cluster.status.phase is Phase.HEALTHY
    assert before <= {pod.name for pod in rs.pods}
    assert labels(cluster, "v2") == [OLD.labels]
    cluster.tick(60)
    assert_settled(cluster)


@pytest.mark.parametrize("strategy", by_role(), ids=["canary", "blueGreen"])
def test_an_abort_takes_the_role_away(strategy: CanaryStrategy | BlueGreenStrategy) -> None:
    cluster = updated(strategy)

    cluster.abort()
    cluster.run()

    assert labels(cluster, "v1") == [OLD.labels]
    assert labels(cluster, "v2") in ([], [{}])
    assert_settled(cluster)
    cluster.retry()
    cluster.run()
    assert labels(cluster, "v2") == [NEW.labels]
    assert_settled(cluster)


@pytest.mark.parametrize("crash_after", range(8))
def test_a_crash_at_any_write_leaves_no_pod_with_a_role_that_it_lost(crash_after: int) -> None:
    cluster = updated(by_role()[0])
    cluster.promote()

    left = crash_after
    for _ in range(50):
        decided = cluster.decide()
        if left < len(decided.actions):
            cluster.apply(decided, upto=left)
            break
        left -= len(decided.actions)
        cluster.apply(decided)
        cluster.replica_set_controller()
        cluster.make_ready()
    cluster.run()

    assert labels(cluster, "v2") == [OLD.labels]
    assert_settled(cluster)


def test_metadata_that_the_spec_no_longer_has_is_removed() -> None:
    cluster = cluster_of(by_role()[0])

    strategy = replace(cluster.rollout.spec.strategy, canary=canary(set_weight(50), pause()))
    cluster.edit(strategy=strategy)
    cluster.run()

    assert labels(cluster, "v1") == [{}]
    assert_settled(cluster)
    assert cluster.status.synced_pod_metadata == ""
    assert len(cluster.sets) == 1


def test_a_label_of_the_template_itself_comes_back() -> None:
    shadowing = PodTemplateMetadata(labels={"tier": "canary"})
    made = rollout(canary(set_weight(50), pause(), canary_metadata=shadowing))
    cluster = FakeCluster(made)
    cluster.run()
    cluster.version = "v2"
    template = pod_template("v2")
    own = {**template["metadata"]["labels"], "tier": "web"}
    cluster.edit(template={**template, "metadata": {"labels": own}})
    cluster.run()
    assert labels(cluster, "v2") == [{"tier": "canary"}]

    cluster.promote()
    cluster.run()

    assert labels(cluster, "v2") == [{"tier": "web"}]
    assert not cluster.decide().actions


def test_one_plan_changes_a_bounded_number_of_pods() -> None:
    cluster = updated(by_role()[0], replicas=250)
    cluster.promote()
    most = 0
    for _ in range(100):
        decided = cluster.decide()
        most = max(most, sum(isinstance(a, PatchPod) for a in decided.actions))
        cluster.apply(decided)
        cluster.replica_set_controller()
        cluster.make_ready()
    assert 0 < most <= 100
    cluster.run()
    assert_settled(cluster)


def test_who_asks_for_no_metadata_pays_nothing() -> None:
    cluster = updated(canary(set_weight(50), pause()))

    assert cluster.status.synced_pod_metadata == ""
    assert cluster.snapshot().pods == ()


def test_labels_that_pods_are_selected_by_are_refused() -> None:
    wrong = PodTemplateMetadata(labels={"app": "other"})
    cluster = FakeCluster(rollout(canary(canary_metadata=wrong)))

    fault = validate.fault(view.of(cluster.snapshot()))

    assert fault is not None
    assert fault.path == "spec.strategy.canary.canaryMetadata.labels.app"


def test_a_new_version_keeps_away_from_stable_and_follows_it() -> None:
    cluster = updated(canary(set_weight(50), pause(), anti_affinity=APART))
    created = {v: rs.away_from for v in ("v1", "v2") if (rs := cluster.of(v))}
    assert created == {"v1": "", "v2": "hash-v1"}

    cluster.deploy("v3")
    cluster.run()
    cluster.promote()
    cluster.run()
    assert cluster.status.stable_rs == "hash-v3"
    cluster.deploy("v2")
    cluster.run()

    again = cluster.of("v2")
    assert again is not None
    assert again.away_from == "hash-v3"
    assert not cluster.decide().actions


def test_min_ready_seconds_reach_the_sets_that_are_in_use() -> None:
    cluster = updated(canary(set_weight(50), pause()))

    cluster.edit(min_ready_seconds=7)
    patches = [a for a in cluster.decide().actions if isinstance(a, PatchReplicaSet)]

    assert [p.min_ready_seconds for p in patches] == [7, 7]
    cluster.run()
    assert cluster.status.current_revision == 2
    assert {rs.min_ready_seconds for rs in cluster.sets.values()} == {7}
