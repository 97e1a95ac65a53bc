"""Phase, message and counters, with the conditions: the status that a decision leaves behind.

Decides nothing about the workload; everything here follows from the sets and from what was decided before.
Called by `plan` at the end, and by the shell for a spec that cannot even be read (`invalid`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from rollouts.api.meta import (
    DEFAULT_GROUP,
    POD_TEMPLATE_HASH_LABEL,
    Condition,
    ConditionType,
    Reason,
)
from rollouts.api.parse import stamp
from rollouts.api.rollout import LabelSelector
from rollouts.api.rollout_status import (
    BlueGreenStatus,
    CanaryStatus,
    PauseReason,
    Phase,
    RolloutAnalysisRunStatus,
    RolloutStatus,
    TrafficWeights,
    WeightDestination,
)
from rollouts.api.webhook import WebhookPhase
from rollouts.delivery import (
    bake,
    conditions,
    duration,
    events,
    progress,
    queueing,
    routed,
    services,
    view,
    weights,
)
from rollouts.delivery.actions import Plan
from rollouts.delivery.sets import available
from rollouts.delivery.snapshot import ReplicaSet
from rollouts.delivery.view import View
from rollouts.errors import SpecError

_MORE_REPLICAS = "more replicas need to be updated"
_PHASE_REASONS = (Reason.ABORTED, Reason.PROGRESS_DEADLINE_EXCEEDED)


def finished(
    seen: View, status: RolloutStatus, *, waits_for_pods: bool, changing: bool = False
) -> RolloutStatus:
    """The status with everything that follows from it and from the observed sets.

    `changing`: the current set is given another spec by this very plan.
    """
    status = _settled(seen, status)
    complete = not changing and _is_complete(seen, status)
    healthy = complete and not (seen.spec.paused or status.pause_conditions)
    promoted = status.stable_rs == seen.hash
    counting = not (status.abort or seen.spec.paused or status.pause_conditions)
    waits = (promoted and not healthy) or (not promoted and waits_for_pods)
    status = progress.clocked(seen, status, counting=counting and waits)
    done = promoted and available(seen.sets.current) >= seen.replicas
    told = conditions.of(seen, status, complete=complete, healthy=healthy)
    phase, message = _phase(seen, status, told, healthy=healthy)
    return replace(
        status,
        duration=duration.measured(seen, status, done=done),
        conditions=told,
        phase=phase,
        message=message,
    )


def invalid(old: RolloutStatus, generation: int, error: SpecError, now: datetime) -> Plan:
    """What a spec that cannot be served leads to: it is said, and nothing is touched."""
    message = str(error)
    before = conditions.find(old.conditions, ConditionType.INVALID_SPEC)
    told = () if before and before.message == message else (events.warning(Reason.INVALID_SPEC, message),)
    status = replace(
        old,
        phase=Phase.DEGRADED,
        message=f"{Reason.INVALID_SPEC}: {message}",
        observed_generation=str(generation),
        conditions=conditions.of_invalid(old.conditions, message, stamp(now)),
        last_progress_at=None,
    )
    return Plan(status=status, events=told)


def selector_text(selector: LabelSelector, pod_template_hash: str = "") -> str:
    """A label selector as Kubernetes writes it in one line, sorted by key."""
    terms = [(key, f"{key}={value}") for key, value in selector.match_labels.items()]
    for term in selector.match_expressions:
        values = ",".join(sorted(term.values))
        match term.operator:
            case "In":
                terms.append((term.key, f"{term.key} in ({values})"))
            case "NotIn":
                terms.append((term.key, f"{term.key} notin ({values})"))
            case "Exists":
                terms.append((term.key, term.key))
            case _:
                terms.append((term.key, f"!{term.key}"))
    if pod_template_hash:
        terms.append((POD_TEMPLATE_HASH_LABEL, f"{POD_TEMPLATE_HASH_LABEL}={pod_template_hash}"))
    return ",".join(text for _, text in sorted(terms))


def _settled(seen: View, status: RolloutStatus) -> RolloutStatus:
    """Counters, and fields that are a view of others. Blue-green counts the pods that users reach."""
    sets = tuple(seen.sets)
    active = seen.sets.named(status.blue_green.active_selector) if seen.blue_green else None
    serving = (active,) if active else sets
    stable = seen.sets.current if status.stable_rs == seen.hash else seen.sets.stable
    canary, blue_green = _strategies(seen, status)
    return replace(
        status,
        observed_generation=str(seen.snapshot.rollout.metadata.generation),
        current_pod_hash=seen.hash,
        current_step_hash=seen.step_hash,  # of an adopted status it was made in another way
        current_revision=seen.revision,
        step=progress.step_text(seen, status.current_step_index),
        git_revision=seen.git_revision,
        config_copies=seen.snapshot.wanted_copies,
        stable_git_revision=_stable_git_revision(seen, status, stable),
        replicas=sum(rs.current_replicas for rs in sets),
        updated_replicas=seen.sets.current.current_replicas,
        ready_replicas=sum(rs.ready_replicas for rs in serving),
        available_replicas=sum(rs.available_replicas for rs in serving),
        # Pods on top of the replicas (surge, a canary beside the whole of stable) are no demand. An autoscaler
        # that is told of them asks for that many and more. argo-rollouts counts them.
        hpa_replicas=min(sum(rs.current_replicas for rs in serving), seen.replicas),
        selector=selector_text(seen.spec.selector, active.pod_template_hash if active else ""),
        canary=canary,
        blue_green=blue_green,
    )


def _strategies(seen: View, status: RolloutStatus) -> tuple[CanaryStatus, BlueGreenStatus]:
    if seen.canary is not None and seen.routing is not None:
        read = weights.as_read(seen, status, routed.pods(seen, seen.canary, status).canary)
        return replace(status.canary, weights=read, router_error=weights.errors(seen)), status.blue_green
    if seen.canary is not None:
        return replace(status.canary, weights=_weights(seen, status), router_error=""), status.blue_green
    blue_green = replace(status.blue_green, preview_selector=services.preview(seen, status))
    return replace(status.canary, weights=None, router_error=""), blue_green


def _stable_git_revision(seen: View, status: RolloutStatus, stable: ReplicaSet | None) -> str:
    """A commit that does not change the template is good with it; the set remembers only its first."""
    if status.stable_rs == seen.hash:
        return seen.git_revision
    if status.stable_rs == seen.old.stable_rs and seen.old.stable_git_revision:
        return seen.old.stable_git_revision
    return stable.git_revision if stable else ""


def _weights(seen: View, status: RolloutStatus) -> TrafficWeights:
    """The share of the pods that can serve now."""
    assert seen.canary is not None
    serving = sum(rs.available_replicas for rs in seen.sets)
    updated = seen.sets.current.available_replicas
    if status.stable_rs in (seen.hash, ""):
        share = 0 if status.stable_rs else 100
    else:
        share = round(100 * updated / serving) if serving else 0
    return TrafficWeights(
        canary=WeightDestination(share, seen.canary.canary_service, seen.hash),
        stable=WeightDestination(100 - share, seen.canary.stable_service, status.stable_rs),
    )


def _is_complete(seen: View, status: RolloutStatus) -> bool:
    """Everything that the spec asks for is there and serves, and nothing else is left to go."""
    if status.abort or _is_restarting(seen, status):
        return False
    current = seen.sets.current
    if status.stable_rs != seen.hash or not current.uid or not current.observed:
        return False
    if seen.routing is not None:  # old versions may be up for a while, and are served nothing
        return status.updated_replicas == seen.replicas <= available(seen.sets.current)
    if not status.updated_replicas == status.available_replicas == seen.replicas:
        return False
    if seen.blue_green is not None:
        return status.blue_green.active_selector == seen.hash
    return status.replicas == seen.replicas


def _is_restarting(seen: View, status: RolloutStatus) -> bool:
    at = seen.spec.restart_at
    return at is not None and at != status.restarted_at and at <= seen.snapshot.now


def _phase(
    seen: View, status: RolloutStatus, told: tuple[Condition, ...], *, healthy: bool
) -> tuple[Phase, str]:
    """First match wins (argo-rollouts: utils/rollout/rolloututil.go)."""
    progressing = conditions.find(told, ConditionType.PROGRESSING)
    if progressing and progressing.reason in _PHASE_REASONS:
        return Phase.DEGRADED, f"{progressing.reason}: {progressing.message}"
    if seen.spec.paused:
        return Phase.PAUSED, "manually paused"
    if status.pause_conditions:
        return Phase.PAUSED, _pause(status)
    if _is_restarting(seen, status):
        return Phase.PROGRESSING, "pods are being restarted"
    if healthy:
        return Phase.HEALTHY, ""
    return Phase.PROGRESSING, _waits_for(seen, status)


def _pause(status: RolloutStatus) -> str:
    reason = status.pause_conditions[0].reason
    held = next((w for w in status.webhooks if w.phase is WebhookPhase.WAITING), None)
    if reason is PauseReason.WEBHOOK_GATE and held is not None:
        return f"{reason}: {held.name} ({held.type}) says {held.message}"
    return reason.value


def _waits_for(seen: View, status: RolloutStatus) -> str:
    if status.stable_rs != seen.hash and (after := _waits_after_pods(seen, status)):
        return after
    if status.updated_replicas < seen.replicas:
        return _MORE_REPLICAS
    if status.available_replicas < min(status.updated_replicas, seen.replicas):
        return "updated replicas are still becoming available"
    if seen.blue_green is not None and status.blue_green.active_selector != seen.hash:
        return "active Service is to be switched"
    if status.stable_rs != seen.hash:
        error = status.canary.router_error
        return f"waiting for the router: {error}" if error else "steps are to complete"
    return "old replicas are pending termination"


def _waits_after_pods(seen: View, status: RolloutStatus) -> str:
    """What an update waits for whose pods are all there for now; empty when it is them."""
    if view.is_queued(seen, status):
        return queueing.MESSAGE
    if status.bake is not None:
        return bake.text(seen, status) if seen.enough(seen.replicas) else ""
    run = _blocking_run(status)
    if run is not None:
        return _waits_for_that(seen, status, f"AnalysisRun {run.name}")
    if status.canary.current_experiment:
        return _waits_for_that(seen, status, f"Experiment {status.canary.current_experiment}")
    return "waiting for the answer of a webhook" if status.gated else ""


def _waits_for_that(seen: View, status: RolloutStatus, what: str) -> str:
    index = status.current_step_index
    step = "" if index is None or index >= len(seen.steps) else f"step {index + 1} of {len(seen.steps)}: "
    waits = f"{step}waiting for {what}"
    if seen.names.group != DEFAULT_GROUP and status.updated_replicas < seen.replicas:
        return f"{_MORE_REPLICAS}; {waits}"  # begins as tools around Argo Rollouts know it
    return waits


def _blocking_run(status: RolloutStatus) -> RolloutAnalysisRunStatus | None:
    """The run that the update waits for; one in the background does not hold it up."""
    runs = (
        status.canary.current_step_analysis_run_status,
        status.blue_green.pre_promotion_analysis_run_status,
        status.blue_green.post_promotion_analysis_run_status,
    )
    return next((run for run in runs if run is not None and not run.status.completed), None)
