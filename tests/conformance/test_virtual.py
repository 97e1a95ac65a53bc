"""Every scenario in the simulator."""

from __future__ import annotations

import pytest

from tests.conformance import virtual
from tests.conformance.played import differences
from tests.conformance.scenario import Scenario, scenarios


@pytest.mark.parametrize("scenario", scenarios(), ids=lambda s: s.name)
def test_in_virtual_time(scenario: Scenario) -> None:
    played = virtual.play(scenario)

    assert "\n".join(differences(scenario, played)) == ""
