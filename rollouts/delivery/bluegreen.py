"""The blue-green strategy: how many pods each set has, the walk over its steps, and what is scaled down when.

Where the update stands follows from the active Service and two marks in the status, so the steps are
compiled from that point on. Called by `plan`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from rollouts.api.rollout_status import PauseReason, RolloutStatus
from rollouts.api.strategy import BlueGreenStrategy
from rollouts.api.webhook import WebhookType
from rollouts.delivery import runs, view
from rollouts.delivery.delay import ending, without_deadline
from rollouts.delivery.sets import Sets, available, sized
from rollouts.delivery.snapshot import ReplicaSet
from rollouts.delivery.steps import Accept, Analyse, Ask, Grow, Step, Switch, Wait, follow
from rollouts.delivery.view import Draft, Mode, View


def active(seen: View, strategy: BlueGreenStrategy, status: RolloutStatus) -> str:
    """The hash that the active Service should select before any step is taken."""
    service = seen.service(strategy.active_service)
    selected = service.selected_hash if service else ""
    current, stable = seen.sets.current, seen.sets.stable
    match view.mode(seen, status):
        case Mode.PROMOTED:
            return seen.hash if _serves(seen, current) else selected
        case Mode.ABORTED:
            return stable.pod_template_hash if stable and _serves(seen, stable) else selected
        case Mode.INITIAL | Mode.PROVING:
            return selected
        case Mode.FAST | Mode.STEPPING:
            # a selector that somebody edited goes back to what serves
            lost = stable is not None and selected not in (seen.hash, stable.pod_template_hash)
            return stable.pod_template_hash if stable and lost and _serves(seen, stable) else selected


def _serves(seen: View, rs: ReplicaSet) -> bool:
    """It has a pod for users; where none is asked for, none is missed."""
    return available(rs) > 0 or seen.replicas == 0


def sizes(seen: View, strategy: BlueGreenStrategy, status: RolloutStatus) -> Sets:
    if view.is_held(seen, status):
        return _held(seen, strategy, status) if seen.rescaled else seen.sets
    current, stable = seen.sets.current, seen.sets.stable
    if view.mode(seen, status) is not Mode.ABORTED:
        current = sized(current, _wanted(seen, strategy, status))
    return replace(seen.sets, current=current, stable=sized(stable, seen.replicas) if stable else None)


def walk(seen: View, strategy: BlueGreenStrategy, draft: Draft, planned: Sets) -> tuple[Draft, Step | None]:
    """As far as the pods that there are allow; and the step that is not reached."""
    return follow(seen, draft, planned, compiled(seen, strategy, draft.status))


def compiled(seen: View, strategy: BlueGreenStrategy, status: RolloutStatus) -> tuple[Step, ...]:
    """The steps that are left."""
    growing: tuple[Step, ...] = (Grow(seen.replicas), Switch())
    if not view.is_analysed(seen, status):
        return growing
    proving = view.mode(seen, status) is Mode.PROVING
    growing = (Grow(seen.replicas), Ask((WebhookType.CONFIRM_TRAFFIC_INCREASE,)), Switch())
    after = _analyses(seen, runs.RunType.POST_PROMOTION)
    if status.blue_green.active_selector == seen.hash:
        return after
    if status.blue_green.scale_up_preview_check_point:
        return (*growing, *after)
    # Once the analysis or the pause has begun, a pod that restarts does not begin them again.
    begun = status.controller_pause or status.blue_green.pre_promotion_analysis_run_status is not None
    preview = () if begun else (Grow(seen.replicas if proving else _preview(seen, strategy)),)
    manual = () if proving else _wait(strategy)
    before = _analyses(seen, runs.RunType.PRE_PROMOTION)
    checks = (Ask((WebhookType.PRE_ROLLOUT,)), Ask((WebhookType.ROLLOUT,)))
    confirm = Ask((WebhookType.CONFIRM_PROMOTION,))
    return (*_gate(status), *preview, *checks, *before, confirm, *manual, Accept(), *growing, *after)


def _gate(status: RolloutStatus) -> tuple[Step, ...]:
    return (Ask((WebhookType.CONFIRM_ROLLOUT,)),) if status.gated else ()


def retire(seen: View, strategy: BlueGreenStrategy, status: RolloutStatus, planned: Sets) -> Sets:
    """Deadlines for sets that nobody needs any more, and their end when a deadline has passed."""
    kept = {status.stable_rs, status.blue_green.active_selector}
    others, delayed = [], 0
    for rs in planned.others:
        if rs.pod_template_hash in kept or not rs.replicas:
            others.append(without_deadline(rs))
            continue
        limit = strategy.scale_down_delay_revision_limit
        delayed += 1
        within = limit is None or delayed <= limit
        delay = strategy.scale_down_delay_seconds if within else 0
        others.append(ending(seen, rs, timedelta(seconds=delay)))
    stable = planned.stable
    if stable is not None and status.stable_rs == seen.hash:  # promoted in this very plan
        stable = ending(seen, stable, timedelta(seconds=strategy.scale_down_delay_seconds))
    elif stable is not None:
        stable = without_deadline(stable)
    return Sets(_current(seen, strategy, status, planned), stable, tuple(others))


def _current(seen: View, strategy: BlueGreenStrategy, status: RolloutStatus, planned: Sets) -> ReplicaSet:
    current, stable = planned.current, planned.stable
    if view.mode(seen, status) is not Mode.ABORTED or stable is None:
        # The status remembers why this update is fast before the set forgets it.
        begins = seen.old.current_pod_hash != seen.hash
        return current if begins else without_deadline(current)
    back = status.blue_green.active_selector == stable.pod_template_hash
    delay = strategy.abort_scale_down_delay_seconds
    if not back or not delay or not current.replicas:
        return current
    if current.scale_down_deadline is None and available(stable) < seen.replicas:
        return current  # the way forward stays open until stable is whole
    return ending(seen, current, timedelta(seconds=delay))


def _wanted(seen: View, strategy: BlueGreenStrategy, status: RolloutStatus) -> int:
    past = seen.hash == status.blue_green.active_selector or status.blue_green.scale_up_preview_check_point
    if view.mode(seen, status) is not Mode.STEPPING or past:
        return seen.replicas
    if status.gated or view.is_queued(seen, status):
        return 0
    return _preview(seen, strategy)


def _held(seen: View, strategy: BlueGreenStrategy, status: RolloutStatus) -> Sets:
    current, stable = seen.sets.current, seen.sets.stable
    return replace(
        seen.sets,
        current=sized(current, _wanted(seen, strategy, status)) if current.replicas else current,
        stable=sized(stable, seen.replicas) if stable else None,
    )


def _preview(seen: View, strategy: BlueGreenStrategy) -> int:
    count = strategy.preview_replica_count
    return seen.replicas if count is None else count


def _wait(strategy: BlueGreenStrategy) -> tuple[Step, ...]:
    reason = PauseReason.BLUE_GREEN_PAUSE
    if not strategy.auto_promotion_enabled:
        return (Wait(reason, None, strategy.promotion_timeout, strategy.on_promotion_timeout),)
    seconds = strategy.auto_promotion_seconds
    return (Wait(reason, timedelta(seconds=seconds)),) if seconds else ()


def _analyses(seen: View, kind: runs.RunType) -> tuple[Step, ...]:
    return tuple(Analyse(slot) for slot in runs.slots(seen) if slot.type is kind)
