"""The conditions of an Experiment, with the reasons of Argo Rollouts. Called by `plan`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from rollouts.api.analysis import AnalysisPhase
from rollouts.api.experiment import ExperimentStatus
from rollouts.api.meta import Condition, ConditionType, Reason
from rollouts.delivery import events
from rollouts.delivery.conditions import Truth, aged, find, said
from rollouts.delivery.experiments.actions import Plan
from rollouts.delivery.experiments.snapshot import Snapshot, is_over
from rollouts.errors import SpecError


def of(seen: Snapshot, status: ExperimentStatus) -> tuple[Condition, ...]:
    """Progressing: is it under way? A spec that was invalid is no more."""
    kept = _without(seen.old.conditions, ConditionType.PROGRESSING, ConditionType.INVALID_SPEC)
    says = _progressing(seen, status)
    return (*kept, aged(seen.old.conditions, says, seen.moment))


def invalid(old: ExperimentStatus, error: SpecError, now: datetime) -> Plan:
    """What a spec that cannot be served leads to: it is said, and nothing is touched."""
    message = str(error)
    says = said(ConditionType.INVALID_SPEC, Truth.TRUE, Reason.INVALID_SPEC, message)
    before = find(old.conditions, ConditionType.INVALID_SPEC)
    told = () if before and before.message == message else (events.warning(Reason.INVALID_SPEC, message),)
    conditions = (*_without(old.conditions, says.type), aged(old.conditions, says, now))
    status = replace(old, message=f"{Reason.INVALID_SPEC}: {message}", conditions=conditions)
    return Plan(status=status, events=told)


def _progressing(seen: Snapshot, status: ExperimentStatus) -> Condition:
    kind, name = ConditionType.PROGRESSING, seen.name
    if status.phase is AnalysisPhase.SUCCESSFUL:
        message = f"Experiment {name} ran and completed"
        return said(kind, Truth.FALSE, Reason.EXPERIMENT_COMPLETED, message)
    if is_over(status):
        return said(kind, Truth.FALSE, f"Experiment{status.phase}", status.message)
    if status.phase is AnalysisPhase.RUNNING:
        message = f"Experiment {name} is running"
        return said(kind, Truth.TRUE, Reason.NEW_REPLICA_SET_AVAILABLE, message)
    message = f"Experiment {name} is progressing"
    return said(kind, Truth.TRUE, Reason.REPLICA_SET_UPDATED, message)


def _without(conditions: Iterable[Condition], *kinds: str) -> tuple[Condition, ...]:
    return tuple(c for c in conditions if c.type not in kinds)
