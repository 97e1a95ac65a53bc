"""Mass-prune guard: how much one commit may delete by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rollouts.api.application import SyncPolicy, SyncPolicyAutomated
from rollouts.api.application_status import ApplicationStatus
from rollouts.api.schema import IntOrString
from rollouts.gitops import plan, revision
from rollouts.gitops.actions import Plan, PruneObjects
from rollouts.gitops.resources import inventory
from rollouts.gitops.revision import Revisions
from rollouts.gitops.snapshot import Tokens
from tests.unit.gitops.builders import (
    NOW,
    A,
    application,
    applied,
    config_map,
    declared,
    digest_of,
    snapshot,
)


@pytest.mark.parametrize(
    ("doomed", "known", "limit", "is_too_much"),
    [
        (100, 100, None, False),
        (3, 10, 3, False),
        (4, 10, 3, True),
        (1, 10, 0, True),
        (2, 10, "20%", False),
        (3, 10, "20%", True),
        (0, 0, "0%", False),
    ],
)
def test_a_limit_is_a_count_or_a_share(
    doomed: int, known: int, limit: IntOrString | None, is_too_much: bool
) -> None:
    assert inventory.excess(doomed, known, limit) == is_too_much


def decided(limit: IntOrString | None, tokens: Tokens | None = None) -> Plan:
    """Git holds one object of four, and its revision is good."""
    objects = [config_map(name) for name in "abcd"]
    candidate = revision.Candidate(A, digest_of(A))
    state = revision.desire(Revisions(), candidate, automatic=True, now=NOW)
    status = revision.into_status(ApplicationStatus(), revision.succeed(state, NOW, history_limit=10))
    known = inventory.dump(inventory.with_declared({}, map(declared, objects)))
    policy = SyncPolicy(SyncPolicyAutomated(prune=True, prune_limit=limit))
    app = application(status=replace(status, inventory=known), sync_policy=policy)
    s = snapshot({A: objects[:1]}, git=A, live_objects=[applied(o) for o in objects], app=app, tokens=tokens)
    return plan.decide(s)


@pytest.mark.parametrize("limit", [None, 3, "75%"])
def test_what_is_within_the_limit_is_deleted(limit: IntOrString | None) -> None:
    action = decided(limit).action

    assert isinstance(action, PruneObjects)
    assert [found.key.name for found in action.objects] == ["b", "c", "d"]


@pytest.mark.parametrize("limit", [2, "50%"])
def test_more_is_held_back_and_said_until_a_person_says_sync(limit: IntOrString) -> None:
    held = decided(limit)
    asked = decided(limit, Tokens(sync="now"))

    (ready,) = (c for c in held.status.conditions if c.type == "Ready")
    assert held.action is None
    assert ready.status == "False"
    assert ready.message.startswith("3 of 4 objects are no longer in Git, more than")
    assert isinstance(asked.action, PruneObjects)
