"""decide(snapshot) -> Plan: what should happen to an Experiment now.

How do its pods stand, how do its analyses, is it over because of either, of time or of a person; and from that
sets, Services, runs and the status. Called by the controller and by the simulator.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from rollouts.api.analysis import AnalysisPhase
from rollouts.api.experiment import (
    ExperimentAnalysisRunStatus,
    ExperimentStatus,
    ExperimentTemplate,
    TemplatePhase,
    TemplateStatus,
)
from rollouts.delivery.experiments import analyses, conditions, pods, validate
from rollouts.delivery.experiments.actions import Plan
from rollouts.delivery.experiments.snapshot import Snapshot, is_over
from rollouts.delivery.experiments.telling import told

_WORST_FIRST = (AnalysisPhase.FAILED, AnalysisPhase.ERROR, AnalysisPhase.INCONCLUSIVE)


def decide(snapshot: Snapshot) -> Plan:
    """The plan for a snapshot. Deterministic; applied to its own result it is empty."""
    over = is_over(snapshot.old)
    fault = None if over else validate.fault(snapshot.spec)
    if fault is not None:
        return conditions.invalid(snapshot.old, fault, snapshot.moment)
    draft = _wound_down(snapshot) if over else _assessed(snapshot)
    actions = (*analyses.actions(snapshot, draft), *pods.actions(snapshot, draft))
    draft = replace(draft, conditions=conditions.of(snapshot, draft))
    return Plan(
        status=draft,
        actions=actions,
        events=told(snapshot.old, draft, actions),
        requeue_at=min((at for at in _instants(snapshot, draft) if at > snapshot.now), default=None),
    )


def collided(snapshot: Snapshot, template: str) -> Plan:
    """The name of a template's ReplicaSet is taken by somebody else's: take the next one."""
    was = snapshot.old.template(template) or TemplateStatus(template)
    again = replace(was, collision_count=(was.collision_count or 0) + 1)
    return Plan(status=_with_template(snapshot, again), requeue_at=snapshot.now)


def refused(snapshot: Snapshot, template: str, message: str) -> Plan:
    """The API server does not take what a template needs: the Experiment ends with an Error."""
    was = snapshot.old.template(template) or TemplateStatus(template)
    again = replace(was, status=TemplatePhase.ERROR, message=message, last_transition_time=snapshot.moment)
    status = _with_template(snapshot, again)
    return Plan(status=status, events=told(snapshot.old, status, ()), requeue_at=snapshot.now)


def _assessed(seen: Snapshot) -> ExperimentStatus:
    templates = tuple(pods.assessed(seen, template) for template in seen.spec.templates)
    available_at = seen.old.available_at or (seen.moment if all(map(_is_up, templates)) else None)
    runs = analyses.assessed(seen, starts=available_at is not None)
    phase, message = _verdict(seen, templates, runs)
    if phase.completed:
        templates = tuple(_closed(seen, status) for status in templates)
    return replace(
        seen.old,
        phase=phase,
        message=message,
        template_statuses=templates,
        analysis_runs=runs,
        available_at=available_at,
    )


def _verdict(
    seen: Snapshot, templates: tuple[TemplateStatus, ...], runs: tuple[ExperimentAnalysisRunStatus, ...]
) -> tuple[AnalysisPhase, str]:
    """First match wins (argo-rollouts: experiments/experiment.go)."""
    failed = _failed(templates)
    if failed is not None:
        return failed
    for phase in _WORST_FIRST:
        for run in runs:
            if run.phase is phase:
                return phase, run.message or f"analysis {run.name} is {phase}"
    required = {a.name for a in seen.spec.analyses if a.required_for_completion}
    successful = {run.name for run in runs if run.phase is AnalysisPhase.SUCCESSFUL}
    if required and required <= successful:
        return AnalysisPhase.SUCCESSFUL, "Required AnalysisRuns completed"
    if seen.spec.terminate:
        return AnalysisPhase.SUCCESSFUL, "terminated"
    if not required and all(t.status is TemplatePhase.SUCCESSFUL for t in templates):
        return AnalysisPhase.SUCCESSFUL, ""
    return (AnalysisPhase.RUNNING if all(map(_is_up, templates)) else AnalysisPhase.PENDING), ""


def _failed(templates: tuple[TemplateStatus, ...]) -> tuple[AnalysisPhase, str] | None:
    for phase, verdict in (
        (TemplatePhase.FAILED, AnalysisPhase.FAILED),
        (TemplatePhase.ERROR, AnalysisPhase.ERROR),
    ):
        for template in templates:
            if template.status is phase:
                return verdict, template.message
    return None


def _is_up(status: TemplateStatus) -> bool:
    return status.status in (TemplatePhase.RUNNING, TemplatePhase.SUCCESSFUL)


def _closed(seen: Snapshot, status: TemplateStatus) -> TemplateStatus:
    """A template that had no trouble of its own has done its part."""
    if status.status is not None and status.status.completed:
        return status
    return replace(status, status=TemplatePhase.SUCCESSFUL, last_transition_time=seen.moment)


def _wound_down(seen: Snapshot) -> ExperimentStatus:
    """The verdict stands; pods go and runs end."""
    counted = tuple(pods.with_counts(seen, template, was) for template, was in _known(seen))
    return replace(seen.old, template_statuses=counted, analysis_runs=analyses.refreshed(seen))


def _known(seen: Snapshot) -> Iterator[tuple[ExperimentTemplate, TemplateStatus]]:
    for template in seen.spec.templates:
        was = seen.old.template(template.name)
        if was is not None:
            yield template, was


def _instants(seen: Snapshot, status: ExperimentStatus) -> Iterator[datetime]:
    """When something changes by itself."""
    if is_over(status):
        for template in seen.spec.templates:
            rs = seen.set_of(template)
            if rs is not None and rs.replicas:
                yield pods.scale_down_at(seen, rs)
        return
    end = pods.ends_at(seen, status)
    if end is not None:
        yield end
    for template_status in status.template_statuses:
        deadline = pods.deadline(seen, template_status)
        if deadline is not None:
            yield deadline


def _with_template(seen: Snapshot, status: TemplateStatus) -> ExperimentStatus:
    others = tuple(t for t in seen.old.template_statuses if t.name != status.name)
    return replace(seen.old, template_statuses=(*others, status))
