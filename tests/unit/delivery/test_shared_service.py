"""Two Rollouts that name one Service: who manages it already goes on, the other one is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rollouts.api.rollout_status import Phase
from rollouts.delivery import plan
from tests.builders import blue_green, rollout
from tests.fakes import FakeCluster


@pytest.mark.parametrize(
    ("manager", "is_refused"), [("web", False), ("", True), ("rival", True)], ids=["own", "none", "rival"]
)
def test_a_rival_is_a_fault_unless_the_service_is_managed_by_this_rollout(
    manager: str, is_refused: bool
) -> None:
    cluster = FakeCluster(rollout(blue_green(), name="web"), services=("active",))
    service = cluster.services["active"]
    assert service is not None
    cluster.services["active"] = replace(service, managed_by=manager)

    decided = plan.decide(replace(cluster.snapshot(), rivals={"active": "rival"}))

    assert (decided.status.phase is Phase.DEGRADED) is is_refused
    assert ("Rollout rival uses this Service too" in decided.status.message) is is_refused
