"""The Experiment kind, field for field as Argo Rollouts v1alpha1 names it.

Single source of the CRD, the reference and the validation. Decides nothing; `rollouts.delivery.experiments` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from rollouts.api.analysis import (
    AnalysisPhase,
    AnalysisRunMetadata,
    Argument,
    DryRun,
    MeasurementRetention,
)
from rollouts.api.meta import Condition, ObjectMeta
from rollouts.api.schema import Field
from rollouts.api.selector import LabelSelector

# Together with the name of the Experiment these are names of ReplicaSets and Services.
NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"


class TemplatePhase(StrEnum):
    """`status` of a template (argo-rollouts: experiment_types.go)."""

    PROGRESSING = "Progressing"
    RUNNING = "Running"
    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    ERROR = "Error"

    @property
    def completed(self) -> bool:
        return self not in (TemplatePhase.PROGRESSING, TemplatePhase.RUNNING)


@dataclass(frozen=True, slots=True)
class TemplateService:
    name: Annotated[str, Field("Name of the Service. Default: that of the ReplicaSet.")] = ""


@dataclass(frozen=True, slots=True)
class ExperimentTemplate:
    """Pods that run while the Experiment does."""

    name: Annotated[
        str,
        Field("Name, unique in the Experiment. The ReplicaSet is <experiment>-<name>.", pattern=NAME_PATTERN),
    ]
    selector: Annotated[LabelSelector, Field("Selects the pods; must match the template's labels.")]
    template: Annotated[Mapping[str, Any], Field("Pod template.")]
    replicas: Annotated[int, Field("Desired pods.", minimum=0)] = 1
    min_ready_seconds: Annotated[
        int, Field("Seconds a pod must be ready before it counts as available.", minimum=0)
    ] = 0
    service: Annotated[
        TemplateService | None, Field("Make a Service for these pods, with the ports of their containers.")
    ] = None


@dataclass(frozen=True, slots=True)
class ExperimentAnalysis:
    """An analysis that runs while the pods do."""

    name: Annotated[str, Field("Name, unique in the Experiment.", pattern=NAME_PATTERN)]
    template_name: Annotated[str, Field("Name of the template.", min_length=1)]
    cluster_scope: Annotated[bool, Field("True: a ClusterAnalysisTemplate.")] = False
    args: Annotated[
        tuple[Argument, ...],
        Field(
            "Arguments. In a value, {{templates.NAME.podTemplateHash}}, {{templates.NAME.replicaset.name}}, "
            "{{experiment.availableAt}} and {{experiment.finishedAt}} are filled in."
        ),
    ] = ()
    required_for_completion: Annotated[
        bool, Field("The Experiment ends when every analysis with this mark is Successful, and not before.")
    ] = False


@dataclass(frozen=True, slots=True)
class ExperimentSpec:
    templates: Annotated[tuple[ExperimentTemplate, ...], Field("Pods to run side by side.", min_items=1)]
    duration: Annotated[
        timedelta | None,
        Field("How long to run once all pods are available. Without it: until terminated or analysed."),
    ] = None
    progress_deadline_seconds: Annotated[
        int, Field("Seconds without progress towards available pods after which it has failed.", minimum=1)
    ] = 600
    terminate: Annotated[bool, Field("End the Experiment now. Set by people and by Rollouts.")] = False
    analyses: Annotated[tuple[ExperimentAnalysis, ...], Field("Analyses to run meanwhile.")] = ()
    scale_down_delay_seconds: Annotated[
        int, Field("Seconds that the pods are kept after the end.", minimum=0)
    ] = 30
    dry_run: Annotated[tuple[DryRun, ...], Field("Metrics that are measured but never decide.")] = ()
    measurement_retention: Annotated[
        tuple[MeasurementRetention, ...], Field("How many measurements of a metric are kept in the status.")
    ] = ()
    analysis_run_metadata: Annotated[
        AnalysisRunMetadata | None, Field("Labels and annotations for the AnalysisRuns.")
    ] = None


@dataclass(frozen=True, slots=True)
class TemplateStatus:
    name: Annotated[str, Field("Name of the template.")]
    replicas: Annotated[int, Field("Pods that exist.", shown=True)] = 0
    updated_replicas: Annotated[int, Field("Pods of the template.", shown=True)] = 0
    ready_replicas: Annotated[int, Field("Ready pods.", shown=True)] = 0
    available_replicas: Annotated[int, Field("Available pods.", shown=True)] = 0
    best_available: Annotated[
        int, Field("Most pods that were available since they last were all; more is progress.")
    ] = 0
    collision_count: Annotated[
        int | None, Field("Times that the name of the ReplicaSet was taken; it is appended to the name.")
    ] = None
    status: Annotated[TemplatePhase | None, Field("Progressing, Running, Successful, Failed or Error.")] = (
        None
    )
    message: Annotated[str, Field("Why, in one sentence.")] = ""
    last_transition_time: Annotated[
        datetime | None, Field("When its pods last made progress; the progress deadline counts from here.")
    ] = None
    service_name: Annotated[str, Field("Its Service, while there is one.")] = ""
    pod_template_hash: Annotated[str, Field("Pod template hash of its pods.")] = ""


@dataclass(frozen=True, slots=True)
class ExperimentAnalysisRunStatus:
    name: Annotated[str, Field("Name of the analysis.")]
    analysis_run: Annotated[str, Field("Its AnalysisRun; empty when none could be started.", shown=True)] = ""
    phase: Annotated[AnalysisPhase, Field("Its phase.", shown=True)] = AnalysisPhase.PENDING
    message: Annotated[str, Field("Its message.")] = ""


@dataclass(frozen=True, slots=True)
class ExperimentStatus:
    phase: Annotated[
        AnalysisPhase | None, Field("Pending, Running, Successful, Failed, Error or Inconclusive.")
    ] = None
    message: Annotated[str, Field("Why, in one sentence.")] = ""
    template_statuses: Annotated[tuple[TemplateStatus, ...], Field("Pods by template.")] = ()
    available_at: Annotated[
        datetime | None, Field("When all pods were first available; the duration counts from here.")
    ] = None
    conditions: Annotated[tuple[Condition, ...], Field("Conditions.")] = ()
    analysis_runs: Annotated[tuple[ExperimentAnalysisRunStatus, ...], Field("AnalysisRuns by analysis.")] = ()

    def template(self, name: str) -> TemplateStatus | None:
        return next((t for t in self.template_statuses if t.name == name), None)

    def analysis(self, name: str) -> ExperimentAnalysisRunStatus | None:
        return next((run for run in self.analysis_runs if run.name == name), None)


@dataclass(frozen=True, slots=True)
class Experiment:
    metadata: ObjectMeta
    spec: ExperimentSpec
    status: ExperimentStatus = field(default_factory=ExperimentStatus)
