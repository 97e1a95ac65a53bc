"""rollingUpdate and recreate: what a Deployment does, with analysis, abort and the way back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rollouts.api.analysis import AnalysisPhase
from rollouts.api.parse import parse
from rollouts.api.rollout_status import Phase
from rollouts.api.strategy import RolloutStrategy
from rollouts.delivery import recreate as recreation
from rollouts.delivery import rolling
from rollouts.delivery.snapshot import Pod
from tests.builders import START, background, bake, canary, recreate, rolling_update, rollout, template
from tests.fakes import FakeCluster

TEMPLATES = {"success-rate": template("success-rate")}


class SlowToLeave(FakeCluster):
    """Pods that are terminating are still there when their ReplicaSet has none."""

    leaving: tuple[Pod, ...] = ()

    def pods(self) -> tuple[Pod, ...]:
        return (*super().pods(), *self.leaving)


def updating(strategy: object, **fields: object) -> SlowToLeave:
    cluster = SlowToLeave(rollout(strategy, **fields), templates=TEMPLATES)  # type: ignore[arg-type]
    cluster.run()
    cluster.deploy("v2")
    return cluster


def stages(cluster: FakeCluster) -> list[dict[str, int]]:
    """Sizes after every round of controller and pods."""
    seen = []
    for _ in range(8):
        cluster.settle()
        seen.append(cluster.sizes())
        cluster.replica_set_controller()
        cluster.make_ready()
    return seen


def test_recreate_ends_the_old_pods_first() -> None:
    cluster = updating(recreate())

    assert stages(cluster)[:2] == [{}, {"v2": 4}]
    assert cluster.status.phase is Phase.HEALTHY


def test_recreate_waits_for_pods_that_are_terminating() -> None:
    cluster = updating(recreate())
    cluster.leaving = (Pod("old", "old", START, "hash-v1", available=False, deleting=True),)

    cluster.run()
    assert cluster.sizes() == {}
    assert cluster.decide().requeue_at == cluster.now + recreation.AGAIN

    cluster.leaving = ()
    cluster.tick(2)
    assert cluster.sizes() == {"v2": 4}


def test_an_abort_of_recreate_goes_back_the_same_way() -> None:
    cluster = updating(recreate(analysis=background()))
    cluster.settle()
    cluster.replica_set_controller()
    cluster.settle()
    assert cluster.sizes() == {"v2": 4}

    cluster.finish_run("web-hash-v2-2", AnalysisPhase.FAILED, value="0.2")

    assert stages(cluster)[:2] == [{}, {"v1": 4}]
    why = cluster.status.abort_reason
    assert why is not None
    assert (why.reason, why.metric) == ("AnalysisFailed", "success-rate")


def test_a_recreation_that_does_not_come_up_runs_into_the_deadline() -> None:
    cluster = updating(recreate(), progress_deadline_abort=True)

    cluster.run(ready=lambda version: version == "v1")
    cluster.tick(600, ready=lambda version: version == "v1")

    assert cluster.sizes() == {"v1": 4}
    assert cluster.status.abort_reason is not None
    assert cluster.status.abort_reason.reason == "ProgressDeadlineExceeded"


def test_a_newer_version_waits_for_the_pods_of_the_one_that_it_overtakes() -> None:
    cluster = updating(recreate())
    cluster.settle()
    cluster.replica_set_controller()
    cluster.settle()
    assert cluster.sizes() == {"v2": 4}

    cluster.deploy("v3")

    assert stages(cluster)[:2] == [{}, {"v3": 4}]


def test_recreate_scales_whoever_has_the_pods_while_it_is_held() -> None:
    cluster = updating(recreate())
    cluster.edit(paused=True)
    cluster.run()
    assert cluster.sizes() == {"v1": 4}

    cluster.edit(replicas=6)
    cluster.run()
    assert cluster.sizes() == {"v1": 6}

    cluster.edit(paused=False)
    cluster.run()
    assert cluster.sizes() == {"v2": 6}


def test_a_rolling_update_is_a_canary_without_steps() -> None:
    one, other = (
        updating(rolling_update(max_surge=1, max_unavailable=0)),
        updating(canary(max_surge=1, max_unavailable=0)),
    )

    assert stages(one) == stages(other)
    assert one.status.phase is Phase.HEALTHY


def test_a_failed_analysis_takes_a_rolling_update_back() -> None:
    cluster = updating(rolling_update(analysis=background()), bake=bake(60))
    cluster.run()
    assert cluster.sizes() == {"v2": 4}

    cluster.finish_run("web-hash-v2-2", AnalysisPhase.FAILED)
    cluster.run()

    assert cluster.sizes() == {"v1": 4}


@pytest.mark.parametrize(
    ("written", "chosen"),
    [
        ({"type": "Recreate"}, ("recreate",)),
        ({"type": "RollingUpdate"}, ("rollingUpdate",)),
        ({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}, ("rollingUpdate",)),
        ({"type": "Recreate", "recreate": {}}, ("recreate",)),
        ({"type": "Recreate", "rollingUpdate": {}}, ("rollingUpdate", "recreate")),
        ({"type": "RollingUpdate", "canary": {}}, ("canary", "rollingUpdate")),
        ({}, ()),
    ],
)
def test_a_deployments_strategy_may_be_kept(written: object, chosen: tuple[str, ...]) -> None:
    assert rolling.chosen(parse(RolloutStrategy, written, "strategy")) == chosen


def test_a_strategy_by_type_is_served() -> None:
    cluster = updating(recreate())
    spec = replace(cluster.rollout.spec, strategy=parse(RolloutStrategy, {"type": "Recreate"}, "strategy"))
    cluster.rollout = replace(cluster.rollout, spec=spec)

    assert stages(cluster)[:2] == [{}, {"v2": 4}]


def test_two_strategies_are_a_fault() -> None:
    strategy = parse(RolloutStrategy, {"type": "Recreate", "rollingUpdate": {}}, "strategy")
    cluster = updating(recreate())
    cluster.edit(strategy=strategy)
    cluster.run()

    assert "rollingUpdate and recreate are set" in cluster.status.message
    assert cluster.sizes() == {"v1": 4}


def test_the_clock_of_a_bake_starts_when_all_pods_are_back() -> None:
    cluster = updating(recreate(), bake=bake(60))
    cluster.run()

    assert cluster.status.message == "baking until 2026-01-01T12:01:00Z"
    cluster.now += timedelta(seconds=60)
    cluster.run()
    assert cluster.status.phase is Phase.HEALTHY
