"""The verbs of people as patches, for both players: what our plugin and the peer's write."""

from __future__ import annotations

from datetime import datetime, timedelta

from rollouts.cli import patches
from rollouts.cli.patches import Patch
from tests.conformance.scenario import Object

_ALWAYS = {
    "abort": patches.ABORT,
    "retry": patches.RETRY,
    "pause": patches.PAUSE,
    "resume": patches.RESUME,
}
VERBS = frozenset({"promote", "promoteFull", "restart", *_ALWAYS})


def verb(name: str, rollout: Object, now: datetime) -> tuple[Patch, ...]:
    """What the plugin writes."""
    match name:
        case "promote":
            return patches.promote(rollout)
        case "promoteFull":
            return patches.promote_full(rollout)
        case "restart":
            return (patches.restart(now + timedelta(microseconds=1)),)
        case _:
            return (_ALWAYS[name],)
