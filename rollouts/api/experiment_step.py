"""The experiment step of a canary, field for field as Argo Rollouts v1alpha1 names it.

Part of the Rollout kind (`rollouts.api.strategy`). Decides nothing; `rollouts.delivery` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from rollouts.api.analysis import (
    AnalysisRunArgument,
    AnalysisRunMetadata,
    AnalysisTemplateRef,
    DryRun,
)
from rollouts.api.experiment import NAME_PATTERN, TemplateService
from rollouts.api.podmetadata import PodTemplateMetadata
from rollouts.api.schema import Field
from rollouts.api.selector import LabelSelector


class SpecRef(StrEnum):
    STABLE = "stable"
    CANARY = "canary"


@dataclass(frozen=True, slots=True)
class RolloutExperimentTemplate:
    """Pods of the Experiment, from one side of the update."""

    name: Annotated[str, Field("Name, unique in the step.", pattern=NAME_PATTERN)]
    spec_ref: Annotated[SpecRef, Field("Whose pod template: that of stable or of the canary.")]
    replicas: Annotated[int, Field("Desired pods.", minimum=0)] = 1
    metadata: Annotated[
        PodTemplateMetadata | None,
        Field("Labels and annotations beside those of the pod template; the selector has the labels, too."),
    ] = None
    selector: Annotated[LabelSelector | None, Field("Selects the pods. Default: the Rollout's.")] = None
    weight: Annotated[
        int | None,
        Field("Share of the traffic that the pods get, taken from stable. Needs trafficRouting.", minimum=0),
    ] = None
    service: Annotated[
        TemplateService | None, Field("Make a Service for these pods, with the ports of their containers.")
    ] = None


@dataclass(frozen=True, slots=True)
class RolloutExperimentAnalysis:
    """An analysis of the Experiment."""

    name: Annotated[str, Field("Name, unique in the step.", pattern=NAME_PATTERN)]
    template_name: Annotated[str, Field("Name of the template.", min_length=1)]
    cluster_scope: Annotated[bool, Field("True: a ClusterAnalysisTemplate.")] = False
    args: Annotated[
        tuple[AnalysisRunArgument, ...],
        Field(
            "Arguments. In a value, {{templates.NAME.podTemplateHash}}, {{templates.NAME.replicaset.name}}, "
            "{{experiment.availableAt}} and {{experiment.finishedAt}} are filled in by the Experiment."
        ),
    ] = ()
    required_for_completion: Annotated[
        bool, Field("The Experiment ends when every analysis with this mark is Successful, and not before.")
    ] = False

    @property
    def ref(self) -> AnalysisTemplateRef:
        return AnalysisTemplateRef(self.template_name, self.cluster_scope)


@dataclass(frozen=True, slots=True)
class RolloutExperimentStep:
    """Run an Experiment and go on only when it is Successful."""

    templates: Annotated[
        tuple[RolloutExperimentTemplate, ...], Field("Pods to run side by side.", min_items=1)
    ]
    duration: Annotated[
        timedelta | None,
        Field("How long to run once all pods are available. Without it: until terminated or analysed."),
    ] = None
    analyses: Annotated[tuple[RolloutExperimentAnalysis, ...], Field("Analyses to run meanwhile.")] = ()
    dry_run: Annotated[tuple[DryRun, ...], Field("Metrics that are measured but never decide.")] = ()
    analysis_run_metadata: Annotated[
        AnalysisRunMetadata | None, Field("Labels and annotations for the AnalysisRuns.")
    ] = None
    scale_down_delay_seconds: Annotated[
        int, Field("Seconds that the pods are kept after the end.", minimum=0)
    ] = 30
