"""Every status that a test of the core leaves behind is linted."""

from __future__ import annotations

import pytest

from rollouts.delivery.actions import Plan
from tests import status_linter
from tests.fakes import FakeCluster


@pytest.fixture(autouse=True)
def linted(monkeypatch: pytest.MonkeyPatch) -> None:
    apply = FakeCluster.apply

    def checked(cluster: FakeCluster, decided: Plan, *, upto: int | None = None) -> None:
        apply(cluster, decided, upto=upto)
        if upto is None:
            status_linter.lint(cluster.rollout)

    monkeypatch.setattr(FakeCluster, "apply", checked)
