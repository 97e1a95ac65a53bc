"""A Rollout with routers in the cluster in memory, as the tests of the plan begin."""

from __future__ import annotations

from rollouts.api.rollout_status import Phase
from rollouts.api.strategy import CanaryStep
from tests.builders import rollout, routed
from tests.fakes import FakeCluster

RECORDING = "plugins.recording"
BOTH = ("canary", "stable")


def deployed(
    *steps: CanaryStep, replicas: int = 10, spec: dict[str, object] | None = None, **fields: object
) -> FakeCluster:
    """v1 is stable."""
    subject = rollout(routed(*steps, **fields), replicas=replicas, **(spec or {}))
    services = (*BOTH, "root") if subject.spec.strategy.canary.traffic_routing.services else BOTH  # type: ignore[union-attr]
    cluster = FakeCluster(subject, services=services)
    cluster.run()
    assert cluster.status.phase is Phase.HEALTHY
    assert cluster.selected("stable") == cluster.selected("canary") == "v1"
    cluster.told.clear()
    return cluster


def updating(*steps: CanaryStep, **fields: object) -> FakeCluster:
    cluster = deployed(*steps, **fields)  # type: ignore[arg-type]
    cluster.deploy("v2")
    cluster.run()
    return cluster


def weights(cluster: FakeCluster) -> tuple[int, int]:
    shown = cluster.status.canary.weights
    assert shown is not None
    return shown.canary.weight, shown.stable.weight
