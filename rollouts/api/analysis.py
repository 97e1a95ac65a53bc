"""AnalysisTemplate, ClusterAnalysisTemplate and AnalysisRun, field for field as Argo Rollouts names them.

`rollouts.controller.measure` turns a run's spec into `analysis.model` values; judging happens there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from rollouts.api.meta import ObjectMeta
from rollouts.api.providers import MetricProvider as MetricProvider  # noqa: PLC0414 - part of this vocabulary
from rollouts.api.schema import Field, IntOrString, TemplatedDuration


class AnalysisPhase(StrEnum):
    """`status.phase` of an AnalysisRun, a metric or a measurement."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    ERROR = "Error"
    INCONCLUSIVE = "Inconclusive"

    @property
    def completed(self) -> bool:
        return self not in (AnalysisPhase.PENDING, AnalysisPhase.RUNNING)


class PodTemplateHashValue(StrEnum):
    STABLE = "Stable"
    LATEST = "Latest"


@dataclass(frozen=True, slots=True)
class AnalysisTemplateRef:
    template_name: Annotated[str, Field("Name of the template.", min_length=1)]
    cluster_scope: Annotated[bool, Field("True: a ClusterAnalysisTemplate.")] = False


@dataclass(frozen=True, slots=True)
class FieldRef:
    field_path: Annotated[str, Field("Path in the Rollout, such as metadata.labels['region'].", min_length=1)]


@dataclass(frozen=True, slots=True)
class ArgumentValueFrom:
    pod_template_hash_value: Annotated[
        PodTemplateHashValue | None, Field("Stable or Latest: the hash of that ReplicaSet.")
    ] = None
    field_ref: Annotated[FieldRef | None, Field("A field of the Rollout.")] = None


@dataclass(frozen=True, slots=True)
class AnalysisRunArgument:
    """An argument that a Rollout hands to an analysis."""

    name: Annotated[str, Field("Name of the argument.", min_length=1)]
    value: Annotated[str, Field("Its value.")] = ""
    value_from: Annotated[ArgumentValueFrom | None, Field("Where its value comes from.")] = None


@dataclass(frozen=True, slots=True)
class SecretKeyRef:
    name: Annotated[str, Field("Name of the Secret.", min_length=1)]
    key: Annotated[str, Field("Key in the Secret.", min_length=1)]


@dataclass(frozen=True, slots=True)
class ValueFrom:
    secret_key_ref: Annotated[SecretKeyRef | None, Field("A key of a Secret in the same namespace.")] = None


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a template; without a value the user must give one."""

    name: Annotated[str, Field("Name of the argument.", min_length=1)]
    value: Annotated[str | None, Field("Default value.")] = None
    value_from: Annotated[ValueFrom | None, Field("Where the value comes from.")] = None


@dataclass(frozen=True, slots=True)
class DryRun:
    metric_name: Annotated[str, Field("Metric name, a regular expression, or * for all.", min_length=1)]


@dataclass(frozen=True, slots=True)
class MeasurementRetention:
    metric_name: Annotated[str, Field("Metric name, a regular expression, or * for all.", min_length=1)]
    limit: Annotated[int, Field("Measurements to keep. 0: 10, as without it.", minimum=0)]


class OnNoData(StrEnum):
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    PASS = "pass"  # noqa: S105 - no password
    RETRY = "retry"


class ComparisonTest(StrEnum):
    PROPORTION = "Proportion"
    RATE = "Rate"
    DISTRIBUTION = "Distribution"


class Direction(StrEnum):
    INCREASE = "Increase"
    DECREASE = "Decrease"
    EITHER = "Either"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The metric is measured for a canary and for a control, and fails if the canary is worse.

    In the provider's settings and in totalQuery, {{comparison.variant}} stands for the side that is measured,
    {{comparison.window}} for the time since the run began, {{comparison.offset}} for controlOffset.
    """

    canary: Annotated[
        str,
        Field("What {{comparison.variant}} is for the canary, such as its pod template hash.", min_length=1),
    ]
    control: Annotated[str, Field("What {{comparison.variant}} is for the control.", min_length=1)]
    test: Annotated[
        ComparisonTest,
        Field("Proportion: query of totalQuery. Rate: query by totalQuery. Distribution: values of query."),
    ] = ComparisonTest.PROPORTION
    total_query: Annotated[
        str, Field("The query that counts all of which query counts the bad; not for Distribution.")
    ] = ""
    direction: Annotated[Direction, Field("Which change of the canary is harmful.")] = Direction.INCREASE
    confidence: Annotated[str, Field("How sure a harmful finding has to be.")] = "0.95"
    minimum_effect: Annotated[
        str, Field("Smaller changes are harmless: difference of proportions (0.005), else relative (0.1).")
    ] = "0"
    sequential: Annotated[
        bool,
        Field("The confidence holds for all measurements together, however many. False: for each by itself."),
    ] = True
    lookback: Annotated[TemplatedDuration | None, Field("Also count this much time before the run.")] = None
    control_offset: Annotated[
        TemplatedDuration | None,
        Field("Measure the control this much earlier: the revision before, a day ago."),
    ] = None


@dataclass(frozen=True, slots=True)
class Metric:
    name: Annotated[str, Field("Name of the metric, unique in the template.", min_length=1)]
    provider: Annotated[
        MetricProvider,
        Field("Where the value comes from: exactly one.", schema={"minProperties": 1, "maxProperties": 1}),
    ]
    interval: Annotated[TemplatedDuration | None, Field("Time between two measurements.")] = None
    initial_delay: Annotated[TemplatedDuration | None, Field("Time before the first measurement.")] = None
    count: Annotated[
        IntOrString | None,
        Field("Measurements to take. Default: one without interval, until stopped with one.", percent=False),
    ] = None
    success_condition: Annotated[str, Field("Expression over result: true is a success.")] = ""
    failure_condition: Annotated[str, Field("Expression over result: true is a failure.")] = ""
    failure_limit: Annotated[
        IntOrString | None, Field("Failures that are tolerated; one more fails the metric. -1: any number.")
    ] = None
    inconclusive_limit: Annotated[
        IntOrString | None, Field("Inconclusive measurements that are tolerated.")
    ] = None
    consecutive_error_limit: Annotated[
        IntOrString | None, Field("Errors in a row that are tolerated. Default 4.")
    ] = None
    consecutive_success_limit: Annotated[
        IntOrString | None, Field("Successes in a row that make the metric Successful. 0: off.")
    ] = None
    on_no_data: Annotated[
        OnNoData | None,
        Field(
            "What an answer without data (nothing, an empty list, NaN) means. Default: the conditions decide."
        ),
    ] = None
    no_data_limit: Annotated[
        IntOrString | None,
        Field("Answers without data in a row that are waited for; one more is Inconclusive. Default 10."),
    ] = None
    min_samples: Annotated[
        IntOrString | None, Field("Fewer samples (on either side of a comparison) are no data.")
    ] = None
    samples_query: Annotated[str, Field("The query that counts the samples, when nothing is compared.")] = ""
    comparison: Annotated[
        Comparison | None, Field("Compare a canary with a control; without conditions.")
    ] = None


@dataclass(frozen=True, slots=True)
class AnalysisTemplateSpec:
    metrics: Annotated[tuple[Metric, ...], Field("Metrics to measure.")] = ()
    args: Annotated[tuple[Argument, ...], Field("Arguments of the template.")] = ()
    dry_run: Annotated[tuple[DryRun, ...], Field("Metrics that are measured but never decide.")] = ()
    measurement_retention: Annotated[
        tuple[MeasurementRetention, ...], Field("How many measurements of a metric are kept in the status.")
    ] = ()
    templates: Annotated[tuple[AnalysisTemplateRef, ...], Field("Templates whose metrics are added.")] = ()


@dataclass(frozen=True, slots=True)
class AnalysisTemplate:
    """An AnalysisTemplate, or a ClusterAnalysisTemplate where the namespace is empty."""

    metadata: ObjectMeta
    spec: AnalysisTemplateSpec


@dataclass(frozen=True, slots=True)
class TTLStrategy:
    seconds_after_completion: Annotated[
        int | None, Field("Delete this long after completion.", minimum=0)
    ] = None
    seconds_after_failure: Annotated[int | None, Field("Delete this long after a failure.", minimum=0)] = None
    seconds_after_success: Annotated[int | None, Field("Delete this long after a success.", minimum=0)] = None


@dataclass(frozen=True, slots=True)
class AnalysisRunSpec:
    metrics: Annotated[tuple[Metric, ...], Field("Metrics to measure.", min_items=1)]
    args: Annotated[tuple[Argument, ...], Field("Arguments.")] = ()
    terminate: Annotated[bool, Field("Stop measuring and complete.")] = False
    dry_run: Annotated[tuple[DryRun, ...], Field("Metrics that are measured but never decide.")] = ()
    measurement_retention: Annotated[
        tuple[MeasurementRetention, ...], Field("How many measurements of a metric are kept in the status.")
    ] = ()
    ttl_strategy: Annotated[TTLStrategy | None, Field("When to delete the run.")] = None


@dataclass(frozen=True, slots=True)
class AnalysisRunMetadata:
    labels: Annotated[Mapping[str, str], Field("Labels for the AnalysisRun.")] = field(default_factory=dict)
    annotations: Annotated[Mapping[str, str], Field("Annotations for the AnalysisRun.")] = field(
        default_factory=dict
    )


@dataclass(frozen=True, slots=True)
class MeasurementStatus:
    phase: Annotated[AnalysisPhase, Field("Verdict on this measurement.")]
    value: Annotated[str, Field("What was measured.")] = ""
    message: Annotated[str, Field("What went wrong, or what a comparison says.")] = ""
    started_at: Annotated[datetime | None, Field("When it started.")] = None
    finished_at: Annotated[datetime | None, Field("When it ended.")] = None
    metadata: Annotated[Mapping[str, str], Field("What the provider or a comparison adds.")] = field(
        default_factory=dict
    )


@dataclass(frozen=True, slots=True)
class MetricResult:
    name: Annotated[str, Field("Name of the metric.")]
    phase: Annotated[AnalysisPhase, Field("Verdict on the metric.")]
    message: Annotated[str, Field("Why.")] = ""
    count: Annotated[int, Field("Measurements without errors.")] = 0
    successful: Annotated[int, Field("Successful measurements.")] = 0
    failed: Annotated[int, Field("Failed measurements.")] = 0
    inconclusive: Annotated[int, Field("Inconclusive measurements.")] = 0
    error: Annotated[int, Field("Measurements that ended in an error.")] = 0
    consecutive_error: Annotated[int, Field("Errors in a row, up to now.")] = 0
    consecutive_success: Annotated[int, Field("Successes in a row, up to now.")] = 0
    consecutive_no_data: Annotated[int, Field("Answers without data in a row, up to now.")] = 0
    dry_run: Annotated[bool, Field("The metric does not decide.")] = False
    metadata: Annotated[Mapping[str, str], Field("What was asked, with the arguments filled in.")] = field(
        default_factory=dict
    )
    measurements: Annotated[
        tuple[MeasurementStatus, ...], Field("The newest measurements, oldest first.")
    ] = ()


@dataclass(frozen=True, slots=True)
class RunSummary:
    count: Annotated[int, Field("Metrics.")] = 0
    successful: Annotated[int, Field("Successful metrics.")] = 0
    failed: Annotated[int, Field("Failed metrics.")] = 0
    inconclusive: Annotated[int, Field("Inconclusive metrics.")] = 0
    error: Annotated[int, Field("Metrics that ended in an error.")] = 0


@dataclass(frozen=True, slots=True)
class AnalysisRunStatus:
    phase: Annotated[AnalysisPhase | None, Field("Verdict on the run.")] = None
    message: Annotated[str, Field("Why, in one sentence.")] = ""
    metric_results: Annotated[tuple[MetricResult, ...], Field("Results by metric.")] = ()
    started_at: Annotated[datetime | None, Field("When the run started.")] = None
    completed_at: Annotated[datetime | None, Field("When the run ended.")] = None
    run_summary: Annotated[RunSummary, Field("Metrics that decide, by verdict.")] = field(
        default_factory=RunSummary
    )
    dry_run_summary: Annotated[RunSummary | None, Field("Metrics that do not decide, by verdict.")] = None


@dataclass(frozen=True, slots=True)
class AnalysisRun:
    metadata: ObjectMeta
    spec: AnalysisRunSpec
    status: AnalysisRunStatus = field(default_factory=AnalysisRunStatus)
