"""What `rollouts app` finds out before it asks the controller."""

from __future__ import annotations

import pytest

from rollouts.cli.application import no_way_back
from rollouts.cli.session import Object


def application(tried: str, *good: str) -> Object:
    history = [{"id": number, "digest": digest} for number, digest in enumerate(good)]
    operation = {"syncResult": {"digest": tried}}
    return {"metadata": {"name": "shop"}, "status": {"history": history, "operationState": operation}}


@pytest.mark.parametrize(
    ("found", "to", "problem"),
    [
        (application("b", "a", "b"), None, ""),
        (application("bad", "a"), None, ""),
        (application("a", "a"), None, "no other good revision to go back to; see: rollouts app get shop"),
        (application("bad"), None, "no other good revision to go back to; see: rollouts app get shop"),
        (application("b", "a", "b"), 0, ""),
        (application("b", "a", "b"), 7, "no good revision 7 in its history; there are: 0, 1"),
    ],
)
def test_a_rollback_to_nowhere_is_refused_at_once(found: Object, to: int | None, problem: str) -> None:
    assert no_way_back(found, to) == problem
