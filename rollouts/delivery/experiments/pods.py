"""The pods of an Experiment: how each template stands, and what is done to its ReplicaSet and its Service.

Decides nothing about the Experiment as a whole. The progress deadline measures net progress: a pod that is
ready for a moment, again and again, does not renew it for ever. Called by `plan`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from rollouts.api.experiment import ExperimentStatus, ExperimentTemplate, TemplatePhase, TemplateStatus
from rollouts.api.meta import SCALE_DOWN_DEADLINE_ANNOTATION
from rollouts.api.parse import format_timestamp
from rollouts.delivery.actions import PatchReplicaSet
from rollouts.delivery.experiments.actions import Action, CreateService, CreateTemplateSet, DeleteService
from rollouts.delivery.experiments.snapshot import Snapshot, is_over
from rollouts.delivery.sets import available
from rollouts.delivery.snapshot import ReplicaSet


def assessed(seen: Snapshot, template: ExperimentTemplate) -> TemplateStatus:
    """How a template of an Experiment that goes on stands now."""
    was = seen.old.template(template.name) or TemplateStatus(template.name)
    counted = with_counts(seen, template, was)
    if was.status is not None and was.status.completed:
        return counted
    if _is_available(seen, template):
        done = is_past(seen)
        return _with_phase(seen, counted, TemplatePhase.SUCCESSFUL if done else TemplatePhase.RUNNING)
    return _progressing(seen, template, counted)


def with_counts(seen: Snapshot, template: ExperimentTemplate, was: TemplateStatus) -> TemplateStatus:
    """The status with the pods as they are, and how they are reached."""
    rs = seen.set_of(template)
    service = seen.service_name(template)
    has_service = any(s.name == service for s in seen.services)
    return replace(
        was,
        replicas=rs.current_replicas if rs else 0,
        updated_replicas=rs.current_replicas if rs else 0,
        ready_replicas=rs.ready_replicas if rs else 0,
        available_replicas=rs.available_replicas if rs else 0,
        service_name=service if has_service else "",
        pod_template_hash=rs.pod_template_hash if rs else "",
    )


def is_past(seen: Snapshot) -> bool:
    """The duration is over. It counts from when all pods were first available."""
    end = ends_at(seen, seen.old)
    return end is not None and end <= seen.now


def ends_at(seen: Snapshot, status: ExperimentStatus) -> datetime | None:
    if seen.spec.duration is None or status.available_at is None:
        return None
    return status.available_at + seen.spec.duration


def deadline(seen: Snapshot, status: TemplateStatus) -> datetime | None:
    """When a template has failed for want of progress; None while there is none to make."""
    if status.status is not TemplatePhase.PROGRESSING or status.last_transition_time is None:
        return None
    return status.last_transition_time + timedelta(seconds=seen.spec.progress_deadline_seconds)


def actions(seen: Snapshot, status: ExperimentStatus) -> Iterator[Action]:
    """What brings sets and Services to where the Experiment wants them."""
    over = is_over(status)
    for template in seen.spec.templates:
        rs = seen.set_of(template)
        if rs is None and not over:
            yield CreateTemplateSet(
                template.name, seen.set_name(template), seen.hashes[template.name], template.replicas
            )
        patch = (_retired(seen, rs) if over else _sized(rs, template.replicas)) if rs else None
        if patch is not None:
            yield patch
    yield from _services(seen, over=over)


def scale_down_at(seen: Snapshot, rs: ReplicaSet) -> datetime:
    """When a set of an Experiment that is over loses its pods."""
    delay = timedelta(seconds=seen.spec.scale_down_delay_seconds)
    return rs.scale_down_deadline or seen.moment + delay


def _is_available(seen: Snapshot, template: ExperimentTemplate) -> bool:
    rs = seen.set_of(template)
    return rs is not None and rs.replicas == template.replicas and available(rs) >= template.replicas


def _progressing(seen: Snapshot, template: ExperimentTemplate, counted: TemplateStatus) -> TemplateStatus:
    """On the way to all of its pods, for as long as it gets nearer to them."""
    rs = seen.set_of(template)
    now_available = available(rs) if rs else 0
    status = _with_phase(seen, counted, TemplatePhase.PROGRESSING)
    if status.status is not counted.status or rs is None:
        return replace(status, last_transition_time=seen.moment, best_available=now_available)
    if now_available > status.best_available:
        return replace(status, last_transition_time=seen.moment, best_available=now_available)
    end = deadline(seen, status)
    if end is None or end > seen.now:
        return status
    seconds = seen.spec.progress_deadline_seconds
    message = f"Template '{template.name}' exceeded its progressDeadlineSeconds ({seconds})"
    failure = f": {rs.failure}" if rs.failure else ""
    return replace(_with_phase(seen, status, TemplatePhase.FAILED), message=message + failure)


def _with_phase(seen: Snapshot, status: TemplateStatus, phase: TemplatePhase) -> TemplateStatus:
    if status.status is phase:
        return status
    return replace(status, status=phase, last_transition_time=seen.moment, best_available=0)


def _sized(rs: ReplicaSet, replicas: int) -> PatchReplicaSet | None:
    """A set that is used (again, after a retry) has its size and no deadline."""
    size = replicas if rs.replicas != replicas else None
    annotations = {SCALE_DOWN_DEADLINE_ANNOTATION: None} if rs.scale_down_deadline else {}
    if size is None and not annotations:
        return None
    return PatchReplicaSet(rs.name, rs.uid, rs.resource_version, size, annotations)


def _retired(seen: Snapshot, rs: ReplicaSet) -> PatchReplicaSet | None:
    if not rs.replicas:
        return None
    at = scale_down_at(seen, rs)
    if at <= seen.now:
        return _sized(rs, 0)
    if rs.scale_down_deadline is not None:
        return None
    annotations = {SCALE_DOWN_DEADLINE_ANNOTATION: format_timestamp(at)}
    return PatchReplicaSet(rs.name, rs.uid, rs.resource_version, None, annotations)


def _services(seen: Snapshot, *, over: bool) -> Iterator[Action]:
    """A Service is there from when its set is, and goes when the last pod has gone."""
    present = {service.name: service for service in seen.services}
    wanted = set()
    for template in seen.spec.templates:
        name, rs = seen.service_name(template), seen.set_of(template)
        if not name or (over and (rs is None or not (rs.replicas or rs.available_replicas))):
            continue
        wanted.add(name)
        if name not in present and not over:
            selected = rs.pod_template_hash if rs else seen.hashes[template.name]
            yield CreateService(template.name, name, selected)
    for name, service in sorted(present.items()):
        if name not in wanted:
            yield DeleteService(name, service.uid)
