"""What should happen to an Application next: one decision, from a snapshot.

Decides what is applied, when the attempt has failed or succeeded, what is healed and what is pruned.
Reads top down: record, apply, judge, prune. The revisions themselves are `revision`'s, the words `report`'s.
Pure; called by `controller.applications`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from rollouts.api.application import ApplicationSpec, SyncPolicyAutomated
from rollouts.api.application_status import FailureReason, HookType
from rollouts.gitops import events, picture, report, revision, rollback, validation
from rollouts.gitops.actions import ApplyObjects, Event, KeepGood, Plan, PruneObjects, RunHooks
from rollouts.gitops.comparison import Comparison, compare, is_open, is_settled
from rollouts.gitops.gates import Gate
from rollouts.gitops.picture import Picture
from rollouts.gitops.resources import discretion, hooks, inventory
from rollouts.gitops.resources.diff import Change
from rollouts.gitops.resources.hooks import Hook
from rollouts.gitops.resources.live import Live
from rollouts.gitops.resources.manifests import ObjectKey
from rollouts.gitops.revision import Good, Revisions
from rollouts.gitops.snapshot import Healing, Snapshot, SourceView, Tokens

_HEALS_AT_ONCE = 3
_HEAL_LONGEST_SECONDS = 300
_SOURCE_RETRY = timedelta(seconds=30)


def policy(spec: ApplicationSpec) -> SyncPolicyAutomated:
    """How far things happen by themselves."""
    return spec.sync_policy.automated or SyncPolicyAutomated(enabled=False)


def begin(
    state: Revisions,
    source: SourceView,
    tokens: Tokens,
    *,
    spec: ApplicationSpec,
    now: datetime,
    gate: Gate | None = None,
) -> Revisions:
    """What Git says and people asked for, taken into the state."""
    goes_on = gate is None and policy(spec).enabled
    is_asked_for = bool(tokens.sync or tokens.retry) and (gate is None or gate.manual)
    if source.recorded and revision.begins_with(state, source.recorded) and not is_asked_for:
        # Before anything that nobody has proven here: what was good where this was running before.
        begun = revision.desire(state, source.recorded, automatic=goes_on, now=now)
        said = source.candidate or source.unrenderable
        return replace(begun, desired=said.revision if said else "")
    if tokens.rollback:
        state = rollback.roll_back(state, source.candidate, tokens.rollback, now)
    if source.unrenderable:
        return revision.desire_unrenderable(
            state, source.unrenderable.revision, source.unrenderable.message, now
        )
    if source.candidate is None:
        return state
    if tokens.retry:
        state = revision.lift(state, source.candidate)
    return revision.desire(state, source.candidate, automatic=goes_on or is_asked_for, now=now)


def decide(s: Snapshot) -> Plan:
    """What to do next."""
    comparison = compare(s)
    if s.target is None or s.declared.problem:
        return _finish(s, s.revisions, comparison)
    if refusal := _refusal(s):
        return _failed(s, FailureReason.APPLY_REJECTED, refusal, comparison)
    if before := _hook_step(s, HookType.PRE_SYNC, comparison):
        return before
    if changes := _to_apply(s, comparison):
        return _apply(s, comparison, changes)
    due = comparison.place.wave if comparison.place else None
    if beside := _hook_step(s, HookType.SYNC, comparison, only_wave=due):
        return beside
    return _judge(s, comparison)


def rejected(s: Snapshot, message: str) -> Plan:
    """The API server refused the changes of the open attempt."""
    comparison = compare(s)
    if is_open(s.revisions):
        return replace(_failed(s, FailureReason.APPLY_REJECTED, message, comparison), again=True)
    return _finish(s, s.revisions, comparison, trouble=message)


def troubled(s: Snapshot, message: str) -> Plan:
    """The action could not be carried out for now; it will be tried again."""
    return _finish(s, s.revisions, compare(s), trouble=message)


def pruned(s: Snapshot, gone: tuple[ObjectKey, ...], message: str) -> Plan:
    """The outcome of a prune: what is gone leaves the inventory, what is not stays in it."""
    comparison = compare(s)
    left = tuple(live for live in comparison.leftovers if live.key not in gone)
    versions = inventory.remaining(s.inventory, s.declared.manifests, left)
    after = replace(s, inventory=versions)
    plan = _finish(after, s.revisions, replace(comparison, leftovers=left), trouble=message)
    told = (events.pruned_event(gone),) if gone else ()
    return replace(plan, events=(*told, *plan.events), again=not message)


def healed(
    healings: Mapping[ObjectKey, Healing], keys: Iterable[ObjectKey], now: datetime
) -> Mapping[ObjectKey, Healing]:
    """One more heal of these objects. What was quiet for five minutes is forgotten, and counts from one again."""
    longest = timedelta(seconds=_HEAL_LONGEST_SECONDS)
    recent = {key: known for key, known in healings.items() if now - known.last_at <= longest}
    return {**recent, **{key: Healing(recent[key].times + 1 if key in recent else 1, now) for key in keys}}


def _refusal(s: Snapshot) -> str:
    """Why the open attempt may not touch the cluster at all."""
    if not is_open(s.revisions):
        return ""
    if s.declared.refusal:
        return s.declared.refusal
    for m in s.declared.manifests:
        live, claimant = s.live.get(m.key), s.claimed.get(m.key)
        if live and claimant and live.owner not in (("", ""), s.owner):
            return f"{m.origin}: {m.key} belongs to Application {claimant}; declare it in one of them only"
    if not s.declared.manifests and s.inventory and _prunes(s) and not policy(s.application.spec).allow_empty:
        return (
            f"the commit declares no object and would prune all {len(s.inventory)}; "
            "if that is meant, set spec.syncPolicy.automated.allowEmpty"
        )
    return ""


def _prunes(s: Snapshot) -> bool:
    return policy(s.application.spec).prune


def _to_apply(s: Snapshot, comparison: Comparison) -> tuple[Change, ...]:
    """The changes of the stage that is due, as far as policy and patience allow."""
    assert s.target is not None
    if not s.target.converge:
        return ()
    if not is_settled(s.revisions):
        return comparison.due
    if not policy(s.application.spec).self_heal:
        return ()
    return tuple(c for c in comparison.due if _heal_at(s, c) <= s.now)


def _heal_at(s: Snapshot, change: Change) -> datetime:
    known = s.healings.get(change.manifest.key)
    if known is None or known.times < _HEALS_AT_ONCE:
        return s.now
    pause = min(1 << min(known.times - _HEALS_AT_ONCE, 10), _HEAL_LONGEST_SECONDS)
    return max(s.now, known.last_at + timedelta(seconds=pause))


def _apply(s: Snapshot, comparison: Comparison, changes: tuple[Change, ...]) -> Plan:
    wanted = inventory.with_declared(s.inventory, s.declared.manifests)
    if wanted.keys() - s.inventory.keys():
        # Recorded before it is applied: a crash in between must not leave objects that nobody knows.
        return replace(_finish(replace(s, inventory=wanted), s.revisions, comparison), again=True)
    namespace = ""
    if validation.creates_namespace(s.application) and any(c.live is None for c in changes):
        namespace = s.application.spec.destination.namespace
    action = ApplyObjects(
        changes,
        as_one=is_open(s.revisions),
        create_namespace=namespace,
        confidential=discretion.is_confidential(s.application.spec),
    )
    return Plan(_finish(s, s.revisions, comparison).status, action, again=True, writes_status=False)


def _judge(s: Snapshot, comparison: Comparison) -> Plan:
    """Nothing to apply now: how does the target do?"""
    state, seen = s.revisions, _picture(s, comparison)
    if is_open(state):
        return _judge_attempt(s, comparison, seen)
    if is_settled(state):
        return _clean_up(s, comparison)
    if comparison.changes:
        return _finish(s, state, comparison)
    if revision.may_recover(state) and seen.is_good:
        return _succeed(s, revision.recover(state), comparison)
    if state.good and seen.all_promoted:
        return _finish(s, revision.restored(state, s.now), comparison, again=True)
    return _finish(s, state, comparison)


def _clean_up(s: Snapshot, comparison: Comparison) -> Plan:
    """The target is in place: delete what is left over, and forget what is gone."""
    if _prunes(s) and not s.declared.refusal and (doomed := inventory.in_pruning_order(comparison.leftovers)):
        limit = policy(s.application.spec).prune_limit
        if not s.tokens.sync and inventory.excess(len(doomed), len(s.inventory), limit):
            return _finish(s, s.revisions, comparison, trouble=_held_back(s, doomed))
        return Plan(s.application.status, PruneObjects(doomed), again=True, writes_status=False)
    versions = inventory.remaining(s.inventory, s.declared.manifests, comparison.leftovers)
    return _finish(replace(s, inventory=versions), s.revisions, comparison)


def _held_back(s: Snapshot, doomed: tuple[Live, ...]) -> str:
    return (
        f"{len(doomed)} of {len(s.inventory)} objects are no longer in Git, more than "
        f"spec.syncPolicy.automated.pruneLimit ({policy(s.application.spec).prune_limit}) lets go by itself: "
        f"{events.listed([str(live.key) for live in doomed])}; "
        f"if that is meant: kubectl rollouts app sync {s.application.metadata.name}"
    )


def _judge_attempt(s: Snapshot, comparison: Comparison, seen: Picture) -> Plan:
    state = s.revisions
    if seen.failure:
        return _failed(s, *seen.failure, comparison, again=True)
    if comparison.changes:
        state = revision.waiting(state, healthy=False, now=s.now)
    else:
        state = revision.waiting(state, healthy=not seen.awaited, now=s.now)
    if (deadline := _deadline(s, state)) and s.now >= deadline:
        message = f"{seen.awaited or 'an earlier wave'} after {s.application.spec.timeout}"
        return _failed(s, FailureReason.HEALTH_TIMEOUT, message, comparison, again=True)
    if comparison.changes:
        return _finish(s, state, comparison)
    if seen.is_good:
        return _hook_step(s, HookType.POST_SYNC, comparison) or _succeed(s, state, comparison)
    if seen.all_promoted or state.good is None:
        state = revision.serving(state)
    return _finish(s, state, comparison)


def _hook_step(
    s: Snapshot, type_: HookType, comparison: Comparison, *, only_wave: int | None = None
) -> Plan | None:
    """What the hooks of one type need now; None once all of them have succeeded."""
    attempt = s.revisions.attempt
    if attempt is None or not is_open(s.revisions) or not s.declared.hooks:
        return None
    found = hooks.progress(s.declared.hooks, type_, attempt, s.live, only_wave=only_wave)
    state = replace(s.revisions, attempt=replace(attempt, hooks=found.results))
    if found.failed:
        s = replace(s, revisions=state)
        return _failed(s, FailureReason.HOOK_FAILED, found.failed, comparison, again=True)
    if found.awaited and found.results == attempt.hooks and not (found.run or found.remove):
        return _await_hook(s, state, found.awaited, comparison)
    if found.results != attempt.hooks:
        # Recorded before anything follows from it: what has succeeded is not run again after a crash.
        return _finish(s, revision.waiting(state, healthy=True, now=s.now), comparison, again=True)
    if found.run or found.remove:
        action = _run(s, found.run, found.remove)
        return replace(_finish(s, state, comparison), action=action, again=bool(found.run))
    return None


def _await_hook(s: Snapshot, state: Revisions, awaited: str, comparison: Comparison) -> Plan:
    state = revision.waiting(state, healthy=False, now=s.now)
    if (deadline := _deadline(s, state)) and s.now >= deadline:
        message = f"{awaited} still runs after {s.application.spec.timeout}"
        return _failed(s, FailureReason.HEALTH_TIMEOUT, message, comparison, again=True)
    return _finish(s, state, comparison)


def _run(s: Snapshot, run: tuple[Hook, ...], remove: tuple[Live, ...] = ()) -> RunHooks:
    attempt = s.revisions.attempt
    assert attempt is not None
    bodies = tuple(hooks.body(h, attempt, s.owner, s.names) for h in run)
    creates = bool(bodies) and validation.creates_namespace(s.application)
    namespace = s.application.spec.destination.namespace if creates else ""
    return RunHooks(bodies, remove, namespace, discretion.is_confidential(s.application.spec))


def _failed(
    s: Snapshot, reason: FailureReason, message: str, comparison: Comparison, *, again: bool = False
) -> Plan:
    """The open attempt has failed: quarantine it, and run what is to run then."""
    state = revision.fail(s.revisions, reason, message, s.now)
    plan = _finish(s, state, comparison, again=again)
    run = tuple(h for h in s.declared.hooks if HookType.SYNC_FAIL in h.types)
    return replace(plan, action=_run(s, run)) if run else plan


def _succeed(s: Snapshot, state: Revisions, comparison: Comparison) -> Plan:
    limit = s.application.spec.revision_history_limit
    state = revision.succeed(state, s.now, history_limit=limit)
    assert state.good is not None
    plan = _finish(s, state, comparison, again=True)
    return replace(plan, action=KeepGood(Good(state.good.revision, state.good.digest)))


def _deadline(s: Snapshot, state: Revisions) -> datetime | None:
    since = state.attempt.unhealthy_since if state.attempt else None
    return since + s.application.spec.timeout if since else None


def _picture(s: Snapshot, comparison: Comparison) -> Picture:
    return picture.of(s, comparison.changes, comparison.leftovers)


def _finish(
    s: Snapshot, state: Revisions, comparison: Comparison, *, trouble: str = "", again: bool = False
) -> Plan:
    """The status that says all this, the events of what has changed, and when to look again."""
    seen = _picture(s, comparison)
    status = report.status(s, state, seen, trouble=trouble or s.declared.refusal)
    return Plan(
        status,
        events=(*events.transitions(s, state, status), *_drift(s, comparison)),
        requeue_at=_requeue_at(s, state, comparison),
        again=again,
    )


def _drift(s: Snapshot, comparison: Comparison) -> tuple[Event, ...]:
    if policy(s.application.spec).self_heal or not is_settled(s.revisions):
        return ()
    return events.drift_events(s, comparison.changes)


def _requeue_at(s: Snapshot, state: Revisions, comparison: Comparison) -> datetime | None:
    entry = revision.holding(state, s.source.candidate)
    times = [entry.retry_at if entry else None, _deadline(s, state), s.gate.until if s.gate else None]
    if s.source.failure:
        # Polls ring when Git answers again; nobody does for what is fetched while rendering.
        times.append(s.now + _SOURCE_RETRY)
    if is_settled(state) and policy(s.application.spec).self_heal:
        times += [_heal_at(s, c) for c in comparison.due]
    return min((t for t in times if t is not None), default=None)
