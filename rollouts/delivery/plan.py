"""decide(snapshot) -> Plan: what should happen to a Rollout now.

The whole decision in one place, as a fold over values: what has been asked for, whether the update is over,
how many pods there should be, how far the steps go, who is served by what. The modules answer one question
each; nothing is done here. Called by the controller for every observed change, by the simulator and by the
linter.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from rollouts.api.analysis import AnalysisPhase
from rollouts.api.meta import Reason
from rollouts.api.rollout_status import CanaryStatus, RolloutAnalysisRunStatus, RolloutStatus
from rollouts.delivery import (
    abort,
    bake,
    bluegreen,
    canary,
    changes,
    conditions,
    configs,
    declared,
    duration,
    events,
    experiment_step,
    notes,
    phase,
    podmetadata,
    progress,
    queueing,
    recreate,
    restart,
    routed,
    runs,
    services,
    status,
    validate,
    view,
    webhooks,
    weights,
    workload,
)
from rollouts.delivery.actions import Action, CreateExperiment, PatchReplicaSet, Plan, WebhookCall
from rollouts.delivery.bake import Baking
from rollouts.delivery.sets import Sets
from rollouts.delivery.snapshot import ReplicaSet, Snapshot
from rollouts.delivery.steps import Analyse, Ask, Conduct, Step, Wait
from rollouts.delivery.view import Draft, Mode, View

_KEPT_REVISIONS = 50

invalid = status.invalid


def decide(snapshot: Snapshot) -> Plan:
    """The plan for a snapshot. Deterministic; applied to its own result it is empty."""
    seen = view.of(snapshot)
    fault = validate.fault(seen)
    if fault is not None:
        return invalid(seen.old, snapshot.rollout.metadata.generation, fault, snapshot.now)
    draft = phase.doubt(seen, abort.decided(seen, _begun(seen)))
    planned = _sizes(seen, draft.status)
    restarting = restart.due(seen, draft.status, planned)
    steered, draft = _steered(seen, draft)
    is_at_the_end = seen.canary is None or canary.weight(seen, draft.status) == seen.max_weight
    draft, blocked_on = _walked(seen, recreate.waiting(seen, draft) if seen.recreates else draft, planned)
    baking = None
    if is_at_the_end and blocked_on is None:
        draft, baking = _completed(seen, draft)
    planned = _annotated(seen, draft.status, _retired(seen, draft.status, planned))
    roles = podmetadata.assigned(seen, draft.status, planned)
    if roles.synced != draft.status.synced_pod_metadata:
        draft = draft.to(replace(draft.status, synced_pod_metadata=roles.synced))
    late: tuple[Action, ...] = (*roles.pods, *restarting.evictions, *steered)
    return _assembled(seen, _restarted(draft, restarting), roles.planned, blocked_on or baking, late)


def collided(snapshot: Snapshot) -> Plan:
    """The name of the new ReplicaSet is taken by somebody else's: take the next hash."""
    old = snapshot.rollout.status
    again = replace(old, collision_count=(old.collision_count or 0) + 1)
    return Plan(status=again, requeue_at=snapshot.now)


def _begun(seen: View) -> Draft:
    draft = declared.obeyed(seen, phase.begin(seen))
    if seen.blue_green is None:
        return draft
    active = bluegreen.active(seen, seen.blue_green, draft.status)
    return draft.to(
        replace(draft.status, blue_green=replace(draft.status.blue_green, active_selector=active))
    )


def _sizes(seen: View, now: RolloutStatus) -> Sets:
    if seen.recreates:
        return recreate.sizes(seen, now)
    if seen.blue_green:
        return bluegreen.sizes(seen, seen.blue_green, now)
    assert seen.canary is not None  # validate admits exactly one strategy
    return canary.sizes(seen, seen.canary, now)


def _steered(seen: View, draft: Draft) -> tuple[tuple[Action, ...], Draft]:
    """What routers are told for the step that the stored status names, and when they are asked again."""
    if seen.canary is None or seen.routing is None:
        return (), draft
    now = draft.status
    weight = weights.wanted(seen, now, routed.pods(seen, seen.canary, now).canary)
    again = weights.again_at(seen, now, weight)
    return weights.changes(seen, now, weight), draft.wake_at(again) if again else draft


def _walked(seen: View, draft: Draft, planned: Sets) -> tuple[Draft, Step | None]:
    if not _may_go_on(seen, draft.status):
        return draft, None
    if seen.blue_green:
        return bluegreen.walk(seen, seen.blue_green, draft, planned)
    return canary.walk(seen, draft, planned)


def _may_go_on(seen: View, now: RolloutStatus) -> bool:
    under_way = view.mode(seen, now) not in (Mode.ABORTED, Mode.PROMOTED)
    doubtful = any(pause.reason in phase.DOUBTS for pause in now.pause_conditions)
    waits = doubtful or view.is_held(seen, now) or view.is_queued(seen, now)
    return under_way and not (now.abort or waits)


def _completed(seen: View, draft: Draft) -> tuple[Draft, Baking | None]:
    """All steps are taken: once all its pods are available and the bake is over, the set is stable."""
    if not _may_go_on(seen, draft.status) or not _is_whole(seen, draft.status):
        return draft, None
    draft, baking = bake.left(seen, draft)
    return (draft, baking) if baking else (_promoted(seen, draft), None)


def _promoted(seen: View, draft: Draft) -> Draft:
    now = draft.status
    status_now = replace(
        now,
        duration=duration.promoted(seen, now),
        stable_rs=seen.hash,
        promote_full=False,
        current_step_index=len(seen.steps) if seen.steps else None,
        canary=CanaryStatus(weights=now.canary.weights),
        blue_green=replace(now.blue_green, scale_up_preview_check_point=False),
        bake=None,
    )
    told = f"Revision {seen.revision} ({seen.hash}) is stable: {_why_promoted(seen, now)}"
    return draft.to(status_now, events.normal(Reason.COMPLETED, told))


def _is_whole(seen: View, now: RolloutStatus) -> bool:
    if seen.blue_green is not None:
        return now.blue_green.active_selector == seen.hash
    index = now.current_step_index
    taken = index is None or index >= len(seen.steps)
    return taken and seen.enough(seen.replicas) and (seen.routing is None or routed.is_over(seen, now))


def _why_promoted(seen: View, now: RolloutStatus) -> str:
    match view.mode(seen, now):
        case Mode.INITIAL | Mode.PROVING:
            return "first deployment"
        case Mode.FAST:
            return "full promotion" if now.promote_full else "fast rollback"
        case _:
            return f"all {len(seen.steps)} steps completed" if seen.steps else "update completed"


def _retired(seen: View, now: RolloutStatus, planned: Sets) -> Sets:
    if seen.blue_green:
        return bluegreen.retire(seen, seen.blue_green, now, planned)
    if seen.canary and seen.routing:
        return routed.retire(seen, seen.canary, now, planned)
    return planned


def _annotated(seen: View, now: RolloutStatus, planned: Sets) -> Sets:
    """What sets remember of the Rollout. A set that is used again gets the highest revision number."""
    current, stable = _sized_for(seen, planned.current), planned.stable
    begins = not current.uid or seen.old.current_pod_hash != seen.hash
    if begins or current.revision != seen.revision:
        git_revision = seen.git_revision if begins else current.git_revision
        current = _renumbered(current, seen.revision)
        current = replace(current, git_revision=git_revision)
    current = _kept_apart(seen, now, current)
    planned = replace(planned, current=current, stable=_sized_for(seen, stable) if stable else None)
    return planned.each(lambda rs: _ready_after(seen, rs))


def _renumbered(rs: ReplicaSet, revision: int) -> ReplicaSet:
    if rs.revision in (0, revision):
        return replace(rs, revision=revision)
    past = (*rs.revision_history, rs.revision)
    # for ever going back and forth must not fill the annotation; the first number tells the age
    return replace(rs, revision=revision, revision_history=(*past[:1], *past[1:][-_KEPT_REVISIONS:]))


def _ready_after(seen: View, rs: ReplicaSet) -> ReplicaSet:
    """minReadySeconds is no part of the pod template: sets that are in use get the new value in place."""
    seconds = seen.spec.min_ready_seconds
    if rs.min_ready_seconds == seconds or not (rs.replicas or rs.name == seen.sets.current.name):
        return rs
    return replace(rs, min_ready_seconds=seconds)


def _kept_apart(seen: View, now: RolloutStatus, current: ReplicaSet) -> ReplicaSet:
    """Anti-affinity is given to a new set, and follows stable where an old set is used again."""
    strategy = seen.canary or seen.blue_green
    is_wanted = strategy is not None and strategy.anti_affinity is not None
    if not is_wanted or now.stable_rs in ("", seen.hash) or view.mode(seen, now) is Mode.ABORTED:
        return current
    if current.away_from == now.stable_rs or (current.uid and not current.away_from):
        return current
    return replace(current, away_from=now.stable_rs)


def _sized_for(seen: View, rs: ReplicaSet) -> ReplicaSet:
    if not rs.replicas or rs.desired_replicas == seen.replicas:
        return rs
    return replace(rs, desired_replicas=seen.replicas)


def _analysed(seen: View, draft: Draft, blocked_on: Step | Baking | None) -> tuple[Draft, tuple[Action, ...]]:
    """Runs that start now, and the status of those that go on."""
    now = _refreshed(seen, draft.status)
    started: list[Action] = []
    for slot in _live(seen, now, blocked_on):
        stands = runs.standing(seen, now, slot)
        if stands is None:
            started.append(runs.create(seen, now, slot))
            stands = RolloutAnalysisRunStatus(runs.name(seen, now, slot), AnalysisPhase.PENDING)
        now = runs.record(now, slot.type, stands)
    return replace(draft, status=now, events=(*runs.told(seen.old, now), *draft.events)), tuple(started)


def _live(seen: View, now: RolloutStatus, blocked_on: Step | Baking | None) -> list[runs.Slot]:
    if not _may_go_on(seen, now) or not view.is_analysed(seen, now):
        return []
    background = [slot for slot in phase.judged(seen, now) if slot.type is runs.RunType.BACKGROUND]
    here = blocked_on.slot if isinstance(blocked_on, Analyse | Baking) else None
    return [*background, *([here] if here else [])]


def _refreshed(seen: View, now: RolloutStatus) -> RolloutStatus:
    observed = {run.name: run for run in seen.snapshot.analysis_runs}
    for kind in runs.RunType:
        known = runs.recorded(now, kind)
        run = observed.get(known.name) if known else None
        if run is not None:
            now = runs.record(now, kind, RolloutAnalysisRunStatus(run.name, run.phase, run.message))
    asked = {slot.type for slot in runs.slots(seen)}
    if runs.RunType.BACKGROUND not in asked and view.is_analysed(seen, now):
        now = runs.record(now, runs.RunType.BACKGROUND, None)  # the spec has lost it
    return now


def _conducted(
    seen: View, draft: Draft, blocked_on: Step | Baking | None
) -> tuple[Draft, tuple[CreateExperiment, ...]]:
    """The Experiment that starts now, or goes on."""
    now = draft.status
    if experiment_step.current(seen, now) is None:
        return draft.to(experiment_step.left(now)), ()
    if not isinstance(blocked_on, Conduct) or not _may_go_on(seen, now):
        return draft, ()
    draft = draft.to(experiment_step.entered(seen, now, blocked_on.index))
    if experiment_step.observed(seen, now) is not None or blocked_on.index != now.current_step_index:
        return draft, ()
    started = experiment_step.create(seen, now, blocked_on.index)
    told = f"Created Experiment {started.name} (step {blocked_on.index + 1} of {len(seen.steps)})"
    return draft.to(draft.status, events.normal(Reason.EXPERIMENT_CREATED, told)), (started,)


def _assembled(
    seen: View,
    draft: Draft,
    planned: Sets,
    blocked_on: Step | Baking | None,
    late: tuple[Action, ...],
) -> Plan:
    draft, started = _analysed(seen, draft, blocked_on)
    draft, conducted = _conducted(seen, draft, blocked_on)
    now = draft.status
    waits = view.is_held(seen, now) or view.is_queued(seen, now)
    creates = not waits and view.mode(seen, now) is not Mode.ABORTED
    resized = changes.between(seen, planned, creates=creates)
    switched = services.switches(seen, now, planned)
    waited_for = [runs.name(seen, now, slot) for slot in phase.judged(seen, now)]
    outdated = changes.outdated(seen, planned)
    actions: tuple[Action, ...] = (
        *runs.terminated(seen, waited_for),
        *experiment_step.terminated(seen, now),
        *(configs.missing(seen) if creates else ()),
        *resized.up,
        *switched,
        *resized.down,
        *resized.late,
        *workload.scaled(seen, now),
        *started,
        *conducted,
        *outdated,
        *configs.unused(seen, [action.name for action in outdated]),
        *runs.outlived(seen, now),
        *experiment_step.outlived(seen, now),
        *late,  # what may be slow or refused
    )
    told = [fact for switch in switched if (fact := services.told(seen, switch))]
    facts = (*draft.events, *resized.facts, *told)
    draft, calls = _asked(seen, replace(draft, events=facts), blocked_on)
    waits_for_pods = _waits_for_pods(draft.status, blocked_on)
    return replace(_finished(seen, draft, actions, planned, waits_for_pods=waits_for_pods), calls=calls)


def _asked(
    seen: View, draft: Draft, blocked_on: Step | Baking | None
) -> tuple[Draft, tuple[WebhookCall, ...]]:
    """Webhooks last: what they say is written now and has its effect in the next decision."""
    types = blocked_on.types if isinstance(blocked_on, Ask) else ()
    if not types and _may_go_on(seen, draft.status):
        draft = webhooks.released(draft)
    return webhooks.asked(seen, queueing.admitted(seen, draft), types)


def _waits_for_pods(now: RolloutStatus, blocked_on: Step | Baking | None) -> bool:
    return not isinstance(blocked_on, Wait | Analyse | Conduct | Ask | Baking) and not (
        now.pause_conditions or now.queued_at
    )


def _restarted(draft: Draft, restarting: restart.Restart) -> Draft:
    if draft.status.restarted_at != restarting.restarted_at:
        draft = draft.to(replace(draft.status, restarted_at=restarting.restarted_at))
    return draft.wake_at(restarting.wake_at) if restarting.wake_at else draft


def _finished(
    seen: View, draft: Draft, actions: tuple[Action, ...], planned: Sets, *, waits_for_pods: bool
) -> Plan:
    now = draft.status
    if now.controller_pause and not now.pause_conditions and not view.is_held(seen, now):
        now = replace(now, controller_pause=False)
    now = workload.observed(seen, now)
    # Its counts will be old.
    changing = any(_changes(action, seen.sets.current) for action in actions)
    now = status.finished(seen, now, waits_for_pods=waits_for_pods, changing=changing)
    facts = [*draft.events, *weights.told(seen, now), *_timed_out(seen, now)]
    ordered = events.in_order(facts, first=not seen.old.stable_rs)
    stepping = bool(seen.steps) and view.mode(seen, seen.old) is Mode.STEPPING and not seen.rescaled
    told = events.fold(ordered, seen.names, stepping=stepping)
    return Plan(
        status=now,
        actions=actions,
        events=told,
        requeue_at=_next(seen, now, draft, planned),
        ended=duration.ended(seen, now),
        annotations=notes.missing(seen),
    )


def _changes(action: Action, rs: ReplicaSet) -> bool:
    """The action gives a set another spec; a mere annotation is none of its controller's business."""
    if not isinstance(action, PatchReplicaSet) or action.name != rs.name:
        return False
    return replace(action, annotations={}) != PatchReplicaSet(rs.name, rs.uid, action.resource_version)


def _timed_out(seen: View, now: RolloutStatus) -> tuple[events.Fact, ...]:
    if not conditions.is_timed_out(seen, now) or conditions.was_timed_out(seen.old):
        return ()
    message = f"Revision {seen.revision} made no progress for {seen.spec.progress_deadline_seconds}s"
    return (events.warning(Reason.PROGRESS_DEADLINE_EXCEEDED, message),)


def _next(seen: View, now: RolloutStatus, draft: Draft, planned: Sets) -> datetime | None:
    deadlines = (rs.scale_down_deadline for rs in planned if rs.replicas)
    instants = (*draft.wake, *deadlines, progress.deadline(seen, now))
    return min((at for at in instants if at is not None and at > seen.snapshot.now), default=None)
