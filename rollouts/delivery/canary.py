"""The canary strategy: which share the current set has, and the walk over the steps.

Decides sizes for the step that the stored status names, then how far the steps go. Called by `plan`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rollouts.api.analysis import AnalysisPhase
from rollouts.api.parse import format_duration
from rollouts.api.rollout_status import PauseReason, RolloutStatus
from rollouts.api.strategy import CanaryStep, CanaryStrategy
from rollouts.api.traffic import SetCanaryScale
from rollouts.api.webhook import WebhookType
from rollouts.delivery import experiment_step, replicas, routed, runs, view, webhooks, weights
from rollouts.delivery.actions import Event
from rollouts.delivery.events import StepCompleted
from rollouts.delivery.replicas import Pair
from rollouts.delivery.sets import Sets
from rollouts.delivery.steps import Analyse, Ask, Conduct, Grow, Steer, Step, Wait, Weigh, follow
from rollouts.delivery.view import Draft, Mode, View


def weight(seen: View, status: RolloutStatus) -> int:
    """Share of the pods, or of the traffic, that the current set has come to."""
    match view.mode(seen, status):
        case Mode.INITIAL | Mode.PROMOTED | Mode.FAST | Mode.PROVING:
            return seen.max_weight
        case Mode.ABORTED:
            return 0
        case Mode.STEPPING:
            return weights.step_weight(seen, view.reached(seen, status))


def sizes(seen: View, strategy: CanaryStrategy, status: RolloutStatus) -> Sets:
    if strategy.traffic_routing is not None:
        return routed.sizes(seen, strategy, status)
    if view.is_held(seen, status):
        return _held(seen)
    return _toward(seen, status)


def walk(seen: View, draft: Draft, planned: Sets) -> tuple[Draft, Step | None]:
    """From the current step on, as far as the pods that there are allow; and the step that is not reached.

    `planned` holds the sizes for the step that the stored status names: the index is written before anything
    is done for a step, so that after a crash the pods are never ahead of the status.
    """
    index = draft.status.current_step_index or 0
    proving = view.mode(seen, draft.status) is Mode.PROVING
    while index < len(seen.steps):
        step = compiled(seen, index)
        if proving:
            step = _proving(seen, step)
        before = draft
        draft, missed = follow(seen, draft, planned, _with_webhooks(seen, draft.status, step))
        if missed is not None:
            return draft, missed
        draft = _completed(seen, before, draft, index)
        index += 1
    return follow(seen, draft, planned, _promotion(seen, draft.status))


def _with_webhooks(seen: View, status: RolloutStatus, step: Step) -> tuple[Step, ...]:
    before = (Ask(webhooks.entry(seen, status.current_step_index)),) if status.gated else ()
    weighs = isinstance(step, Weigh) or (isinstance(step, Steer) and step.weighs)
    after = (Ask((WebhookType.ROLLOUT,)),) if weighs else ()
    return (*before, step, *after)


def _promotion(seen: View, status: RolloutStatus) -> tuple[Step, ...]:
    """What comes after the last step; an update without steps is checked once all of its pods are there."""
    before = (Ask(webhooks.entry(seen, status.current_step_index)),) if status.gated else ()
    checked = any(webhook.type is WebhookType.ROLLOUT for webhook in webhooks.of(seen))
    after = (Grow(seen.replicas), Ask((WebhookType.ROLLOUT,))) if checked and not seen.steps else ()
    return (*before, *after)


def _proving(seen: View, step: Step) -> Step:
    """On a first deployment there is nobody else to serve; only an analysis beside the steps needs its time."""
    is_timed = isinstance(step, Wait) and step.duration is not None
    if is_timed and seen.canary is not None and seen.canary.analysis is not None:
        return step
    return Grow(seen.replicas) if isinstance(step, Weigh | Steer | Wait | Conduct) else step


def compiled(seen: View, index: int) -> Step:
    step = seen.steps[index]
    if step.experiment is not None:
        return Conduct(index)
    if seen.routing is not None and step.pause is None and step.analysis is None:
        return Steer(weighs=step.set_weight is not None)
    if step.set_weight is not None:
        return Weigh(step.set_weight)
    if step.pause is not None:
        pause = step.pause
        return Wait(PauseReason.CANARY_PAUSE_STEP, pause.duration, pause.timeout, pause.on_timeout)
    assert step.analysis is not None  # validate admits no step without a field
    slot = runs.Slot(runs.RunType.STEP, step.analysis, f"spec.strategy.canary.steps[{index}].analysis", index)
    return Analyse(slot)


def text(step: CanaryStep) -> str:
    """A step in the words of its spec."""
    return ", ".join(_texts(step))


def _texts(step: CanaryStep) -> Iterator[str]:
    if step.set_weight is not None:
        yield f"setWeight {step.set_weight}"
    if step.pause is not None:
        yield f"pause {format_duration(step.pause.duration)}" if step.pause.duration else "pause"
    if step.analysis is not None:
        yield "analysis"
    if step.experiment is not None:
        yield "experiment"
    if step.set_canary_scale is not None:
        yield f"setCanaryScale {_scale_text(step.set_canary_scale)}"
    if step.set_header_route is not None:
        yield f"setHeaderRoute {step.set_header_route.name}"
    if step.set_mirror_route is not None:
        yield f"setMirrorRoute {step.set_mirror_route.name}"


def _scale_text(scale: SetCanaryScale) -> str:
    if scale.follows_weight:
        return "matchTrafficWeight"
    return f"weight {scale.weight}" if scale.replicas is None else f"replicas {scale.replicas}"


def _toward(seen: View, status: RolloutStatus) -> Sets:
    """Where nothing was ever stable the first version gives way as stable would: it may only be slow."""
    target, sets = _target(seen, weight(seen, status)), seen.sets
    first = min((rs for rs in sets.others if rs.replicas), key=lambda rs: rs.revision, default=None)
    if status.stable_rs or first is None:
        return replicas.toward(sets, target, seen.limits)
    others = tuple(rs for rs in sets.others if rs is not first)
    planned = replicas.toward(Sets(sets.current, first, others), target, seen.limits)
    sizes = {rs.name: rs for rs in planned}
    return replace(sets, current=planned.current, others=tuple(sizes[rs.name] for rs in sets.others))


def _target(seen: View, percent: int) -> Pair:
    return replicas.for_weight(seen.replicas, percent, surge=seen.limits.surge > 0)


def _held(seen: View) -> Sets:
    """While a person holds the update sizes stay, but a change of replicas is shared out as they are."""
    stable, current = seen.sets.stable, seen.sets.current
    if not seen.rescaled:
        return seen.sets
    pods = current.replicas + (stable.replicas if stable else 0)
    percent = round(100 * current.replicas / pods) if pods else 0
    return replicas.toward(seen.sets, _target(seen, percent), seen.limits)


def _completed(seen: View, before: Draft, after: Draft, index: int) -> Draft:
    told = StepCompleted(index + 1, len(seen.steps), text(seen.steps[index]))
    status = experiment_step.left(runs.record(after.status, runs.RunType.STEP, None))
    status = replace(status, current_step_index=index + 1, current_step_started_at=seen.now)
    status = webhooks.entering(seen, status)
    new = after.events[len(before.events) :]
    return replace(after, status=status, events=(*before.events, *_judged(seen, before, index), told, *new))


def _judged(seen: View, before: Draft, index: int) -> tuple[Event, ...]:
    """The good end of the step's analysis: said alone where tools wait for it, elsewhere by the step."""
    step = compiled(seen, index)
    run = runs.standing(seen, before.status, step.slot) if isinstance(step, Analyse) else None
    if run is None or run.status is not AnalysisPhase.SUCCESSFUL or not seen.names.is_the_peers:
        return ()
    return (runs.verdict(runs.RunType.STEP, run),)
