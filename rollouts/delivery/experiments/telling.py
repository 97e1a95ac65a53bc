"""What is told to people about an Experiment: one event a change of phase, one a new ReplicaSet.

Decides wording only. Called by `plan`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rollouts.api.analysis import AnalysisPhase
from rollouts.api.experiment import ExperimentStatus, TemplatePhase
from rollouts.api.meta import Reason
from rollouts.delivery import events
from rollouts.delivery.actions import Event, PatchReplicaSet
from rollouts.delivery.experiments.actions import Action, CreateTemplateSet

_BAD = frozenset({AnalysisPhase.FAILED, AnalysisPhase.ERROR, AnalysisPhase.INCONCLUSIVE})
_BAD_TEMPLATE = frozenset({TemplatePhase.FAILED, TemplatePhase.ERROR})


def told(old: ExperimentStatus, new: ExperimentStatus, actions: Iterable[Action]) -> tuple[Event, ...]:
    """In the order in which things happen."""
    return (*_sets(actions), *_templates(old, new), *_analyses(old, new), *_phase(old, new))


def _sets(actions: Iterable[Action]) -> Iterator[Event]:
    for action in actions:
        match action:
            case CreateTemplateSet():
                message = f"Created ReplicaSet {action.name} with {events.pods(action.replicas)}"
                yield events.normal(Reason.NEW_REPLICA_SET, message)
            case PatchReplicaSet() if action.replicas is not None:
                message = f"Scaled ReplicaSet {action.name} to {events.pods(action.replicas)}"
                yield events.normal(Reason.SCALING_REPLICA_SET, message)


def _templates(old: ExperimentStatus, new: ExperimentStatus) -> Iterator[Event]:
    for status in new.template_statuses:
        was = old.template(status.name)
        before = was.status if was else None
        if status.status is not None and status.status is not before:
            message = _moved(f"Template '{status.name}'", before, status.status, status.message)
            event = events.warning if status.status in _BAD_TEMPLATE else events.normal
            yield event(Reason(f"Template{status.status}"), message)


def _analyses(old: ExperimentStatus, new: ExperimentStatus) -> Iterator[Event]:
    for run in new.analysis_runs:
        was = old.analysis(run.name)
        before = was.phase if was else None
        if run.phase is not before:
            message = _moved(f"AnalysisRun '{run.name}'", before, run.phase, run.message)
            event = events.warning if run.phase in _BAD else events.normal
            yield event(Reason(f"AnalysisRun{run.phase}"), message)


def _phase(old: ExperimentStatus, new: ExperimentStatus) -> Iterator[Event]:
    if new.phase is not None and new.phase is not old.phase:
        message = _moved("Experiment", old.phase, new.phase, new.message)
        event = events.warning if new.phase in _BAD else events.normal
        yield event(Reason(f"Experiment{new.phase}"), message)


def _moved(what: str, before: object, after: object, because: str) -> str:
    return f"{what}: {before or 'new'} → {after}" + (f": {because}" if because else "")
