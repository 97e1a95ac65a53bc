"""States that nobody planned for: sets deleted, histories cut, strategies exchanged. All converge."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from rollouts.api.rollout_status import Phase
from rollouts.api.strategy import RolloutStrategy
from rollouts.delivery import plan
from rollouts.delivery.actions import DeleteReplicaSet
from tests.builders import blue_green, canary, pause, rollout, set_weight, window
from tests.fakes import FakeCluster


def updated(**fields: object) -> FakeCluster:
    cluster = FakeCluster(rollout(canary(set_weight(50), pause()), **fields))  # type: ignore[arg-type]
    cluster.run()
    cluster.deploy("v2")
    cluster.run()
    return cluster


def test_a_stable_set_that_somebody_deleted_leaves_nothing_to_protect() -> None:
    cluster = updated()

    del cluster.sets["web-hash-v1"]
    cluster.run()

    assert cluster.sizes() == {"v2": 4}
    assert cluster.status.phase is Phase.HEALTHY


def test_an_abort_without_a_stable_set_keeps_what_runs() -> None:
    cluster = updated()
    cluster.abort()
    del cluster.sets["web-hash-v1"]
    cluster.run()

    assert cluster.sizes() == {"v2": 4}
    assert cluster.status.phase is Phase.DEGRADED


def test_a_current_set_that_somebody_deleted_is_made_again() -> None:
    cluster = updated()

    del cluster.sets["web-hash-v2"]
    cluster.run()

    assert cluster.sizes() == {"v1": 2, "v2": 2}
    assert (cluster.status.phase, cluster.status.step) == (Phase.PAUSED, "1/2")
    assert cluster.status.current_revision == 2


def test_the_only_set_that_somebody_deleted_is_made_again() -> None:
    cluster = FakeCluster(rollout(canary()))
    cluster.run()

    del cluster.sets["web-hash-v1"]
    cluster.run()

    assert cluster.sizes() == {"v1": 4}
    assert cluster.status.phase is Phase.HEALTHY


def test_an_aborted_set_that_somebody_deleted_is_not_made_again() -> None:
    cluster = updated()
    cluster.abort()
    cluster.run()

    del cluster.sets["web-hash-v2"]
    cluster.run()

    assert cluster.sizes() == {"v1": 4}
    assert len(cluster.sets) == 1


def test_a_set_is_found_by_its_meaning_whatever_its_hash() -> None:
    """Sets of another controller version keep their pods."""
    cluster = FakeCluster(rollout(canary()))
    cluster.run()
    rs = cluster.sets.pop("web-hash-v1")
    rs.name, rs.hash = "web-7fd9b5545c", "7fd9b5545c"
    cluster.sets[rs.name] = rs
    cluster.patch_status(stable_rs="7fd9b5545c", current_pod_hash="7fd9b5545c")

    cluster.run()

    assert len(cluster.sets) == 1
    assert cluster.status.phase is Phase.HEALTHY


def test_a_set_whose_template_was_changed_on_its_way_in_is_not_made_again() -> None:
    cluster = FakeCluster(rollout(canary()))
    cluster.run()
    cluster.sets["web-hash-v1"].digest = "changed-by-a-webhook"

    cluster.run()

    assert len(cluster.sets) == 1
    assert cluster.status.collision_count is None


def test_a_name_that_is_taken_leads_to_the_next_hash() -> None:
    cluster = FakeCluster(rollout(canary()))

    decided = plan.collided(cluster.snapshot())

    assert decided.actions == ()
    assert decided.status.collision_count == 1
    assert plan.collided(replace(cluster.snapshot(), rollout=replace(cluster.rollout, status=decided.status)))


def test_empty_sets_beyond_the_history_limit_are_deleted_oldest_first() -> None:
    cluster = FakeCluster(rollout(canary(), revision_history_limit=1))
    for version in ("v1", "v2", "v3"):
        cluster.deploy(version)
        cluster.run()

    assert set(cluster.sets) == {"web-hash-v2", "web-hash-v3"}


def test_a_set_with_pods_is_never_deleted() -> None:
    cluster = FakeCluster(rollout(canary(set_weight(50), pause()), revision_history_limit=0))
    cluster.run()
    cluster.deploy("v2")
    cluster.run()
    cluster.deploy("v3")

    for _ in range(10):
        decided = cluster.decide()
        for action in decided.actions:
            if isinstance(action, DeleteReplicaSet):
                assert not cluster.sets[action.name].pods
        cluster.apply(decided)
        cluster.replica_set_controller()
        cluster.make_ready()
    assert set(cluster.sets) == {"web-hash-v1", "web-hash-v3"}


def test_from_blue_green_to_canary_and_back() -> None:
    cluster = FakeCluster(rollout(blue_green()), services=("active",))
    cluster.run()

    cluster.edit(strategy=RolloutStrategy(canary=canary(set_weight(50), pause())))
    cluster.run()
    assert (cluster.status.phase, cluster.status.step) == (Phase.HEALTHY, "2/2")
    cluster.deploy("v2")
    cluster.run()
    assert cluster.status.phase is Phase.PAUSED
    cluster.edit(strategy=RolloutStrategy(blue_green=blue_green()))
    cluster.run()

    assert cluster.status.phase is Phase.HEALTHY
    assert cluster.selected("active") == "v2"


def test_from_canary_to_blue_green_mid_update_users_stay_where_they_are_until_the_switch() -> None:
    cluster = FakeCluster(rollout(canary(set_weight(50), pause())), services=("active",))
    cluster.run()
    cluster.deploy("v2")
    cluster.run()

    cluster.edit(strategy=RolloutStrategy(blue_green=blue_green(auto_promotion_enabled=False)))
    cluster.run()

    assert cluster.selected("active") == "v1"
    assert cluster.sizes() == {"v1": 4, "v2": 4}
    assert cluster.status.phase is Phase.PAUSED


def test_a_wiped_status_is_rebuilt_without_touching_a_pod() -> None:
    cluster = FakeCluster(rollout(canary(set_weight(50), pause())))
    cluster.run()
    pods = {pod.name for pod in cluster.pods()}

    cluster.rollout = replace(cluster.rollout, status=type(cluster.status)())
    cluster.run()

    assert {pod.name for pod in cluster.pods()} == pods
    assert (cluster.status.phase, cluster.status.stable_rs) == (Phase.HEALTHY, "hash-v1")


def test_no_replicas_at_all() -> None:
    cluster = FakeCluster(rollout(canary(set_weight(50), pause()), replicas=0))
    cluster.run()
    assert cluster.status.phase is Phase.HEALTHY

    cluster.deploy("v2")
    cluster.run()
    assert cluster.status.phase is Phase.PAUSED
    cluster.promote()
    cluster.run()

    assert cluster.status.stable_rs == "hash-v2"
    assert cluster.status.phase is Phase.HEALTHY


def test_a_wiped_status_takes_no_pod_from_users_of_blue_green() -> None:
    cluster = FakeCluster(rollout(blue_green(auto_promotion_enabled=False)), services=("active",))
    cluster.run()
    cluster.deploy("v2")
    cluster.run(ready=lambda version: version == "v1")

    cluster.rollout = replace(cluster.rollout, status=type(cluster.status)())
    cluster.tick(3600, ready=lambda version: version == "v1")
    assert cluster.selected("active") == "v1"
    assert cluster.size("v1") == 4
    cluster.tick(3600)

    assert cluster.selected("active") == "v2"
    assert cluster.status.phase is Phase.HEALTHY


def test_a_fast_rollback_can_be_aborted() -> None:
    cluster = FakeCluster(rollout(canary(pause()), rollback_window=window(1)))
    cluster.run()
    cluster.now += timedelta(seconds=1)
    cluster.deploy("v2")
    cluster.run()
    cluster.promote()
    cluster.run()
    cluster.deploy("v1")
    cluster.run(ready=lambda version: version == "v2")

    cluster.abort()
    cluster.run()

    assert cluster.sizes() == {"v2": 4}
    assert cluster.status.phase is Phase.DEGRADED
    cluster.retry()
    cluster.run()
    assert cluster.sizes() == {"v1": 4}


def test_a_revision_number_never_comes_back() -> None:
    """The names of AnalysisRuns are made of it."""
    cluster = updated()
    cluster.abort()
    cluster.run()
    del cluster.sets["web-hash-v2"]

    cluster.deploy("v3")
    cluster.run()

    assert cluster.status.current_revision == 3


def test_a_step_waits_for_superseded_pods_to_go() -> None:
    strategy = canary(set_weight(25), pause(), max_surge=1, max_unavailable=0)
    cluster = FakeCluster(rollout(strategy))
    cluster.run()
    cluster.deploy("v2")
    cluster.run()
    cluster.deploy("v3")
    cluster.settle()
    cluster.replica_set_controller()
    cluster.make_ready()
    stable = cluster.of("v1")
    assert stable is not None
    stable.pods[0].available = False

    cluster.settle()
    assert cluster.sizes() == {"v1": 3, "v2": 1, "v3": 1}
    assert cluster.status.step == "0/2"
    cluster.run()

    assert cluster.sizes() == {"v1": 3, "v3": 1}
    assert cluster.status.step == "1/2"


def test_a_selector_is_put_right_without_any_pod_too() -> None:
    cluster = FakeCluster(rollout(blue_green(), replicas=0), services=("active",))
    cluster.run()
    service = cluster.services["active"]
    assert service is not None

    cluster.services["active"] = replace(service, selected_hash="")
    cluster.run()

    assert cluster.selected("active") == "v1"
    assert cluster.status.phase is Phase.HEALTHY
