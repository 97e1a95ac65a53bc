"""`timeout` of a pause that waits for a person: has nobody answered in time?

Decides only whether the pause that holds the update leads to an abort now; one that leads to a promotion goes
on as any pause whose time is over, in `steps`. Called by `abort`.
"""

from __future__ import annotations

from datetime import timedelta

from rollouts.api.rollout_status import PauseReason, RolloutStatus
from rollouts.api.strategy import OnTimeout, RolloutPause
from rollouts.delivery import view
from rollouts.delivery.view import View


def aborts(seen: View, status: RolloutStatus) -> timedelta | None:
    """How long was waited in vain, where that ends the update. Nothing runs out while a person holds it."""
    limit = _limit(seen, status)
    if limit is None or limit.timeout is None or limit.on_timeout is not OnTimeout.ABORT:
        return None
    since = next((p.start_time for p in status.pause_conditions if p.reason in _REASONS), None)
    if since is None or since + limit.timeout > seen.snapshot.now or view.is_held(seen, status):
        return None
    return limit.timeout


_REASONS = (PauseReason.CANARY_PAUSE_STEP, PauseReason.BLUE_GREEN_PAUSE)


def _limit(seen: View, status: RolloutStatus) -> RolloutPause | None:
    """The pause of the spec at which the update stands."""
    if seen.blue_green is not None:
        manual = not seen.blue_green.auto_promotion_enabled
        timeout = seen.blue_green.promotion_timeout if manual else None
        return RolloutPause(timeout=timeout, on_timeout=seen.blue_green.on_promotion_timeout)
    index = status.current_step_index
    return seen.steps[index].pause if index is not None and index < len(seen.steps) else None
