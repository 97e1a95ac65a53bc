"""spec.paused, spec.replicas, spec.restartAt, and Services of a canary."""

from __future__ import annotations

from datetime import timedelta

from rollouts.api.rollout_status import Phase
from rollouts.delivery.actions import EvictPod, PatchReplicaSet
from tests.builders import canary, pause, rollout, set_weight
from tests.fakes import FakeCluster


def updated(
    *, percent: int = 50, replicas: int = 4, services: tuple[str, ...] = (), **fields: object
) -> FakeCluster:
    strategy = canary(set_weight(percent), pause(), **fields)
    cluster = FakeCluster(rollout(strategy, replicas=replicas), services=services)
    cluster.run()
    cluster.told.clear()
    cluster.deploy("v2")
    cluster.run()
    return cluster


def test_a_held_update_stays_where_it_is() -> None:
    cluster = updated()
    cluster.edit(paused=True)
    cluster.promote()
    cluster.edit(paused=True)

    cluster.tick(3600)

    assert cluster.sizes() == {"v1": 2, "v2": 2}
    assert (cluster.status.phase, cluster.status.message) == (Phase.PAUSED, "manually paused")


def test_a_promotion_that_was_asked_for_while_held_is_not_forgotten() -> None:
    cluster = updated()
    cluster.edit(paused=True)
    cluster.run()
    cluster.patch_status(pause_conditions=())
    cluster.run()

    cluster.edit(paused=False)
    cluster.run()

    assert cluster.status.phase is Phase.HEALTHY


def test_a_new_version_waits_while_held() -> None:
    cluster = FakeCluster(rollout(canary()))
    cluster.run()
    cluster.edit(paused=True)
    cluster.deploy("v2")
    cluster.run()

    assert cluster.sizes() == {"v1": 4}
    cluster.edit(paused=False)
    cluster.run()
    assert cluster.sizes() == {"v2": 4}


def test_scaling_is_served_while_held_in_the_shares_as_they_are() -> None:
    cluster = updated()
    cluster.edit(paused=True)
    cluster.run()

    cluster.edit(replicas=8)
    cluster.run()

    assert cluster.sizes() == {"v1": 4, "v2": 4}
    assert cluster.status.step == "1/2"


def test_scaling_moves_no_step() -> None:
    cluster = updated()

    cluster.edit(replicas=10)
    cluster.run()

    assert cluster.sizes() == {"v1": 5, "v2": 5}
    assert (cluster.status.step, cluster.status.phase) == ("1/2", Phase.PAUSED)
    cluster.edit(replicas=2)
    cluster.run()
    assert cluster.sizes() == {"v1": 1, "v2": 1}


def test_a_healthy_rollout_is_scaled_in_one_write() -> None:
    cluster = FakeCluster(rollout(canary()))
    cluster.run()
    cluster.edit(replicas=7)

    [patch] = cluster.decide().actions

    assert patch.replicas == 7  # type: ignore[union-attr]
    assert patch.annotations == {"rollout.rollouts.dev/desired-replicas": "7"}  # type: ignore[union-attr]


def test_a_set_that_somebody_scaled_is_put_right() -> None:
    cluster = FakeCluster(rollout(canary()))
    cluster.run()
    rs = cluster.of("v1")
    assert rs is not None
    rs.replicas = 1

    cluster.run()

    assert cluster.sizes() == {"v1": 4}


def test_a_restart_evicts_old_pods_one_by_one() -> None:
    cluster = FakeCluster(rollout(canary(max_surge=1, max_unavailable=0)))
    cluster.run()
    old = {pod.name for pod in cluster.pods()}
    cluster.now += timedelta(seconds=10)
    cluster.edit(restart_at=cluster.now)

    decided = cluster.decide()
    assert len([a for a in decided.actions if isinstance(a, EvictPod)]) == 1
    assert decided.status.message == "pods are being restarted"
    cluster.run()

    assert not old & {pod.name for pod in cluster.pods()}
    assert cluster.status.restarted_at == cluster.rollout.spec.restart_at
    assert cluster.status.phase is Phase.HEALTHY


def test_a_restart_takes_as_many_at_a_time_as_may_be_missing() -> None:
    cluster = FakeCluster(rollout(canary(max_unavailable=2)))
    cluster.run()
    cluster.now += timedelta(seconds=10)
    cluster.edit(restart_at=cluster.now)

    assert len(cluster.decide().actions) == 2


def test_a_restart_takes_stable_pods_first() -> None:
    cluster = updated()
    cluster.now += timedelta(seconds=10)
    cluster.edit(restart_at=cluster.now)

    [eviction] = cluster.decide().actions

    assert isinstance(eviction, EvictPod)
    assert "hash-v1" in eviction.name


def test_a_restart_in_the_future_waits_for_its_time() -> None:
    cluster = FakeCluster(rollout(canary()))
    cluster.run()
    at = cluster.now + timedelta(hours=1)
    cluster.edit(restart_at=at)
    cluster.run()

    assert cluster.decide().requeue_at == at
    assert cluster.status.phase is Phase.HEALTHY


def test_a_new_version_makes_a_restart_needless() -> None:
    cluster = FakeCluster(rollout(canary()))
    cluster.run()
    cluster.edit(restart_at=cluster.now + timedelta(seconds=60))
    cluster.deploy("v2")
    cluster.run()

    assert cluster.status.restarted_at == cluster.rollout.spec.restart_at
    cluster.tick(60)
    assert not any(pod.deleting for pod in cluster.pods())


def test_no_pod_is_evicted_in_a_plan_that_takes_pods_away() -> None:
    cluster = updated(percent=100, replicas=2, max_surge=1, max_unavailable=0)
    cluster.abort()
    cluster.settle()
    cluster.replica_set_controller()
    cluster.make_ready()
    cluster.now += timedelta(seconds=10)
    cluster.edit(restart_at=cluster.now)

    decided = cluster.decide()

    assert any(isinstance(action, PatchReplicaSet) for action in decided.actions)
    assert not any(isinstance(action, EvictPod) for action in decided.actions)
    cluster.run()
    assert cluster.sizes() == {"v1": 2}
    assert cluster.status.restarted_at == cluster.rollout.spec.restart_at


def test_services_follow_their_sides() -> None:
    cluster = updated(services=("canary", "stable"), canary_service="canary", stable_service="stable")

    assert (cluster.selected("canary"), cluster.selected("stable")) == ("v2", "v1")
    weights = cluster.status.canary.weights
    assert weights is not None
    assert (weights.canary.weight, weights.stable.weight) == (50, 50)
    assert (weights.canary.service_name, weights.stable.pod_template_hash) == ("canary", "hash-v1")
    cluster.promote()
    cluster.run()
    assert (cluster.selected("canary"), cluster.selected("stable")) == ("v2", "v2")


def test_an_abort_points_the_canary_service_at_stable() -> None:
    cluster = updated(services=("canary", "stable"), canary_service="canary", stable_service="stable")

    cluster.abort()
    cluster.run()

    assert (cluster.selected("canary"), cluster.selected("stable")) == ("v1", "v1")


def test_a_service_is_not_switched_to_a_set_without_pods() -> None:
    cluster = FakeCluster(
        rollout(canary(set_weight(50), pause(), canary_service="canary")), services=("canary",)
    )
    cluster.run()
    cluster.deploy("v2")
    cluster.run(ready=lambda version: version == "v1")

    assert cluster.selected("canary") == "v1"


def test_a_service_of_somebody_else_is_taken_over_only_by_a_whole_set() -> None:
    cluster = FakeCluster(rollout(canary(stable_service="stable")), services=("stable",))
    cluster.settle()
    cluster.replica_set_controller()
    rs = cluster.of("v1")
    assert rs is not None
    rs.pods[0].available = True
    cluster.settle()
    assert cluster.selected("stable") == ""

    cluster.run()
    assert cluster.selected("stable") == "v1"


def test_the_stable_service_is_never_without_pods() -> None:
    """At 100 % stable has none: the canary stands in, and steps back when stable returns."""
    cluster = updated(percent=100, services=("stable",), stable_service="stable")
    assert cluster.sizes() == {"v2": 4}
    assert cluster.selected("stable") == "v2"

    cluster.abort()
    cluster.run()

    assert cluster.selected("stable") == "v1"


def test_a_selector_that_somebody_edited_is_put_right() -> None:
    cluster = updated(services=("stable",), stable_service="stable")
    service = cluster.services["stable"]
    assert service is not None
    cluster.services["stable"] = type(service)(
        service.name, service.uid, "7", selected_hash="hash-x", selector={"app": "web"}, managed_by="web"
    )

    cluster.run()

    assert cluster.selected("stable") == "v1"
