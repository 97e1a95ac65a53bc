"""The values of an analysis: what to measure, what was measured, what follows from it.

Decided here: names, defaults and what counts as completed. Not decided here: any verdict (`judge`), any
instant (`schedule`). Everybody uses these values; they are frozen and hold tuples and mappings only.
Defaults and spellings are those of Argo Rollouts' AnalysisRun.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from analysis.compare import Bounds

DEFAULT_CONSECUTIVE_ERROR_LIMIT = 4
DEFAULT_NO_DATA_LIMIT = 10
DEFAULT_MEASUREMENT_RETENTION = 10
FAILURE_LIMIT_DISABLED = -1
EVIDENCE = "evidence"
"""Key of a measurement's metadata: what a comparison knows so far, for the next measurement."""


class Phase(StrEnum):
    """Phase of a measurement, of a metric and of a run."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    ERROR = "Error"
    INCONCLUSIVE = "Inconclusive"

    @property
    def completed(self) -> bool:
        """Whether nothing more will happen."""
        return self not in {Phase.PENDING, Phase.RUNNING}

    @property
    def unfavourable(self) -> bool:
        """Whether it ends the run: completed, and not successful."""
        return self.completed and self is not Phase.SUCCESSFUL


_FROM_BEST_TO_WORST = (
    Phase.SUCCESSFUL,
    Phase.RUNNING,
    Phase.PENDING,
    Phase.INCONCLUSIVE,
    Phase.ERROR,
    Phase.FAILED,
)


def severity(phase: Phase) -> int:
    """Rank of a phase; the phase of a run is the one of the highest rank among its metrics."""
    return _FROM_BEST_TO_WORST.index(phase)


class NoData(StrEnum):
    """What an answer without data means for a measurement."""

    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    PASS = "pass"  # noqa: S105 - no password
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A metric that is measured for two variants, which are then compared.

    `canary` and `control` are what `{{comparison.variant}}` in the provider's settings stands for.
    """

    canary: str
    control: str
    bounds: Bounds = field(default_factory=Bounds)
    sequential: bool = True
    total_query: str = ""
    lookback: timedelta = timedelta()
    control_offset: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Metric:
    """One question asked of a provider, how often, and what the answers may be.

    `provider` names exactly one provider and holds its opaque settings: `{"prometheus": {...}}`.
    Arguments are already substituted (`template`).
    """

    name: str
    provider: Mapping[str, object]
    interval: timedelta | None = None
    initial_delay: timedelta | None = None
    count: int | None = None
    success_condition: str | None = None
    failure_condition: str | None = None
    failure_limit: int = 0
    inconclusive_limit: int = 0
    consecutive_error_limit: int = DEFAULT_CONSECUTIVE_ERROR_LIMIT
    consecutive_success_limit: int = 0
    dry_run: bool = False
    measurement_retention: int = DEFAULT_MEASUREMENT_RETENTION
    on_no_data: NoData | None = None
    no_data_limit: int = DEFAULT_NO_DATA_LIMIT
    min_samples: int = 0
    samples_query: str = ""
    comparison: Comparison | None = None

    @property
    def effective_count(self) -> int | None:
        """How many measurements complete the metric; None means that it runs until it is stopped."""
        if self.count:
            return self.count
        return 1 if self.interval is None else None


@dataclass(frozen=True, slots=True)
class Measurement:
    """One answer of a provider and what the conditions say about it. Unfinished: still in flight.

    Finished and yet Pending: there was no data, and it is asked again (`NoData.RETRY`).
    """

    phase: Phase
    value: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    resume_at: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def in_flight(self) -> bool:
        """Whether it was begun and has no outcome yet."""
        return self.finished_at is None


@dataclass(frozen=True, slots=True)
class MetricResult:
    """What a metric has measured so far. Errors and measurements without data are not part of `count`."""

    name: str
    phase: Phase = Phase.PENDING
    count: int = 0
    successful: int = 0
    failed: int = 0
    inconclusive: int = 0
    error: int = 0
    consecutive_error: int = 0
    consecutive_success: int = 0
    consecutive_no_data: int = 0
    measurements: tuple[Measurement, ...] = ()
    message: str = ""
    dry_run: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def last(self) -> Measurement | None:
        """The newest measurement, finished or not."""
        return self.measurements[-1] if self.measurements else None


@dataclass(frozen=True, slots=True)
class Summary:
    """How the metrics of a run stand; `count` is the number of metrics, the rest are completed ones."""

    count: int = 0
    successful: int = 0
    failed: int = 0
    inconclusive: int = 0
    error: int = 0


@dataclass(frozen=True, slots=True)
class RunAssessment:
    """The verdict on a run, with the metric results as they now stand (phases and messages set)."""

    phase: Phase
    message: str
    results: tuple[MetricResult, ...]
    summary: Summary
    dry_run_summary: Summary
