"""What `decide` sees of one Experiment: plain values, read from the stores by `rollouts.controller.experiments`.

Decides nothing but names, which follow from the Experiment and the template alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rollouts.api.analysis import AnalysisTemplateRef, AnalysisTemplateSpec
from rollouts.api.experiment import Experiment, ExperimentSpec, ExperimentStatus, ExperimentTemplate
from rollouts.api.meta import Names
from rollouts.api.parse import stamp
from rollouts.delivery.snapshot import AnalysisRun, ReplicaSet, Service


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that one decision may look at: the Experiment and what it owns.

    `hashes` are the pod template hashes that new sets get, by template.
    """

    experiment: Experiment
    now: datetime
    hashes: Mapping[str, str]
    replica_sets: tuple[ReplicaSet, ...] = ()
    services: tuple[Service, ...] = ()
    analysis_runs: tuple[AnalysisRun, ...] = ()
    templates: Mapping[AnalysisTemplateRef, AnalysisTemplateSpec | None] = field(default_factory=dict)
    names: Names = field(default_factory=Names)

    @property
    def name(self) -> str:
        return self.experiment.metadata.name

    @property
    def spec(self) -> ExperimentSpec:
        return self.experiment.spec

    @property
    def old(self) -> ExperimentStatus:
        return self.experiment.status

    @property
    def moment(self) -> datetime:
        """`now` as a status will read back: whole seconds."""
        return stamp(self.now)

    def set_name(self, template: ExperimentTemplate) -> str:
        known = self.old.template(template.name)
        count = known.collision_count if known else None
        base = f"{self.name}-{template.name}"
        return f"{base}-{count}" if count else base

    def set_of(self, template: ExperimentTemplate) -> ReplicaSet | None:
        wanted = self.set_name(template)
        return next((rs for rs in self.replica_sets if rs.name == wanted), None)

    def service_name(self, template: ExperimentTemplate) -> str:
        """Empty when the template has no Service: none is asked for, or its containers have no ports."""
        if template.service is None or not has_ports(template.template):
            return ""
        return template.service.name or self.set_name(template)


def has_ports(pod_template: Mapping[str, Any]) -> bool:
    containers = (pod_template.get("spec") or {}).get("containers") or ()
    return any(container.get("ports") for container in containers)


def is_over(status: ExperimentStatus) -> bool:
    return status.phase is not None and status.phase.completed
