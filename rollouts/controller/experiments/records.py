"""Experiments as the stores keep them. Nothing raises: one that does not parse is answered on itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rollouts.api import podtemplate
from rollouts.api.experiment import Experiment, ExperimentSpec, ExperimentStatus, ExperimentTemplate
from rollouts.api.meta import POD_TEMPLATE_HASH_LABEL, Names, ObjectMeta
from rollouts.api.parse import parse
from rollouts.controller.cache import Body, Record, Store
from rollouts.controller.records import served_by
from rollouts.delivery import snapshot
from rollouts.errors import SpecError
from rollouts.kube import resources

__all__ = ["KnownExperiment", "experiments"]


@dataclass(frozen=True, slots=True)
class KnownExperiment:
    """An Experiment, as its Rollout sees it and as it is served; `error` stands for a spec that is malformed."""

    metadata: ObjectMeta
    status: ExperimentStatus
    view: snapshot.Experiment
    experiment: Experiment | None = None
    hashes: Mapping[str, str] = field(default_factory=dict)
    """Pod template hashes that new ReplicaSets get, by template."""
    error: SpecError | None = None


def experiments(names: Names, instance_id: str) -> Store[KnownExperiment]:
    def trim(body: Body, old: Record[KnownExperiment] | None) -> KnownExperiment:
        return _experiment(body, old)

    return Store(resources.experiment(names.group), trim, label_selector=served_by(names, instance_id))


def _experiment(body: Body, old: Record[KnownExperiment] | None) -> KnownExperiment:
    metadata = parse(ObjectMeta, body["metadata"], "metadata", strict=False)
    status = _status(body.get("status") or {})
    terminating = bool((body.get("spec") or {}).get("terminate"))
    view = _view(metadata, status, terminating=terminating)
    before = old.value if old and old.generation == metadata.generation else None
    if before is not None and before.experiment is not None:
        known = Experiment(metadata, before.experiment.spec, status)
        return KnownExperiment(metadata, status, view, known, _hashes(known))
    try:
        known = Experiment(metadata, parse(ExperimentSpec, body.get("spec"), "spec"), status)
        return KnownExperiment(metadata, status, view, known, _hashes(known))
    except SpecError as e:
        return KnownExperiment(metadata, status, view, error=e.with_traceback(None))


def _view(metadata: ObjectMeta, status: ExperimentStatus, *, terminating: bool) -> snapshot.Experiment:
    return snapshot.Experiment(
        name=metadata.name,
        uid=metadata.uid,
        created_at=metadata.creation_timestamp or snapshot.LONG_AGO,
        pod_template_hash=metadata.labels.get(POD_TEMPLATE_HASH_LABEL, ""),
        phase=status.phase,
        message=status.message,
        terminating=terminating,
        pods=tuple(
            snapshot.ExperimentPods(template.name, template.service_name, template.pod_template_hash)
            for template in status.template_statuses
        ),
    )


def _hashes(experiment: Experiment) -> Mapping[str, str]:
    return {template.name: _hash(experiment, template) for template in experiment.spec.templates}


def _hash(experiment: Experiment, template: ExperimentTemplate) -> str:
    """Never that of a Rollout with the same pods: its Services must not select those of an Experiment."""
    pods = template.template
    metadata: Mapping[str, Any] = pods.get("metadata") or {}
    mark = f"{experiment.metadata.name}/{template.name}"
    marked = {
        **pods,
        "metadata": {**metadata, "annotations": {**(metadata.get("annotations") or {}), "experiment": mark}},
    }
    known = experiment.status.template(template.name)
    return podtemplate.pod_template_hash(marked, known.collision_count if known else None)


def _status(raw: Mapping[str, Any]) -> ExperimentStatus:
    """One that another program wrote in a way unknown to us counts as not set."""
    try:
        return parse(ExperimentStatus, raw, "status", strict=False)
    except SpecError:
        return ExperimentStatus()
