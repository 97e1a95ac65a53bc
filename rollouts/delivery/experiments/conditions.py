"""The conditions of an Experiment, with the reasons of Argo Rollouts. Called by `plan`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from rollouts.api.analysis import AnalysisPhase
from rollouts.api.experiment import ExperimentStatus
from rollouts.api.meta import Condition, ConditionType, Reason
from rollouts.delivery.actions import Event, EventType
from rollouts.delivery.experiments.actions import Plan
from rollouts.delivery.experiments.snapshot import Snapshot, is_over
from rollouts.delivery.status import Truth
from rollouts.errors import SpecError


def of(seen: Snapshot, status: ExperimentStatus) -> tuple[Condition, ...]:
    """Progressing: is it under way? A spec that was invalid is no more."""
    kept = _without(seen.old.conditions, ConditionType.PROGRESSING, ConditionType.INVALID_SPEC)
    says = _progressing(seen, status)
    return (*kept, _aged(seen.old.conditions, says, seen.moment))


def invalid(old: ExperimentStatus, error: SpecError, now: datetime) -> Plan:
    """What a spec that cannot be served leads to: it is said, and nothing is touched."""
    message = str(error)
    says = Condition(ConditionType.INVALID_SPEC, Truth.TRUE, Reason.INVALID_SPEC.value, message)
    before = _find(old.conditions, ConditionType.INVALID_SPEC)
    told = () if before and before.message == message else (_warning(message),)
    conditions = (*_without(old.conditions, says.type), _aged(old.conditions, says, now))
    status = replace(old, message=f"{Reason.INVALID_SPEC}: {message}", conditions=conditions)
    return Plan(status=status, events=told)


def _progressing(seen: Snapshot, status: ExperimentStatus) -> Condition:
    kind, name = ConditionType.PROGRESSING.value, seen.name
    if status.phase is AnalysisPhase.SUCCESSFUL:
        message = f"Experiment {name} ran and completed"
        return Condition(kind, Truth.FALSE.value, Reason.EXPERIMENT_COMPLETED.value, message)
    if is_over(status):
        return Condition(kind, Truth.FALSE.value, f"Experiment{status.phase}", status.message)
    if status.phase is AnalysisPhase.RUNNING:
        message = f"Experiment {name} is running"
        return Condition(kind, Truth.TRUE.value, Reason.NEW_REPLICA_SET_AVAILABLE.value, message)
    message = f"Experiment {name} is progressing"
    return Condition(kind, Truth.TRUE.value, Reason.REPLICA_SET_UPDATED.value, message)


def _aged(old: Iterable[Condition], said: Condition, now: datetime) -> Condition:
    before = _find(old, said.type)
    if before is None:
        return replace(said, last_update_time=now, last_transition_time=now)
    if (before.status, before.reason, before.message) == (said.status, said.reason, said.message):
        return before
    since = before.last_transition_time if before.status == said.status else now
    return replace(said, last_update_time=now, last_transition_time=since)


def _find(conditions: Iterable[Condition], kind: str) -> Condition | None:
    return next((c for c in conditions if c.type == kind), None)


def _without(conditions: Iterable[Condition], *kinds: str) -> tuple[Condition, ...]:
    return tuple(c for c in conditions if c.type not in kinds)


def _warning(message: str) -> Event:
    return Event(Reason.INVALID_SPEC, message, EventType.WARNING)
