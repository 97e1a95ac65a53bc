"""An analysis tried out on the past: as if a release had started every so often.

Decided here: which starts are replayed, what counts as a false alarm, the figures. Not decided here: how it looks
(`backtest_page`, the command line). The past is asked of Prometheus, at each instant at which the run would have
measured; nothing is stored anywhere.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from analysis import measurement, replay, thresholds
from analysis.errors import ProviderError
from analysis.model import Measurement, Metric, Phase
from analysis.numbers import number
from analysis.providers.prometheus import Prometheus
from analysis.providers.result import ProviderResult
from analysis.replay import Replay
from analysis.thresholds import Suggestion

MAX_STARTS = 2000
Answer = ProviderResult | ProviderError
_THREADS = 4
_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of the past that is known to have been bad."""

    begin: datetime
    end: datetime

    def touches(self, run: Replay) -> bool:
        """Whether the run would have seen some of it."""
        return self.begin <= run.ended_at and run.started_at < self.end


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be replayed."""

    metrics: tuple[Metric, ...]
    begin: datetime
    end: datetime
    every: timedelta
    longest: timedelta
    bad: tuple[Window, ...] = ()

    @property
    def starts(self) -> tuple[datetime, ...]:
        """When a release would have started; the last one early enough to end in time."""
        last = self.end - self.longest
        count = int((last - self.begin) / self.every) + 1 if last >= self.begin else 0
        return tuple(self.begin + index * self.every for index in range(count))


@dataclass(frozen=True, slots=True)
class Figures:
    """What became of some runs."""

    runs: int
    phases: Mapping[Phase, int]
    median_seconds: float | None
    p90_seconds: float | None

    def share(self, phase: Phase) -> float:
        return self.phases.get(phase, 0) / self.runs if self.runs else 0.0


@dataclass(frozen=True, slots=True)
class Silent:
    """How often a metric had no answer, or none that could be judged."""

    metric: str
    measurements: int
    without_data: int
    errors: int
    example: str


@dataclass(frozen=True, slots=True)
class Past:
    """One release: how its analysis would have gone, and all that it would have measured had nothing stopped it."""

    run: Replay
    observed: Replay


@dataclass(frozen=True, slots=True)
class Report:
    """Everything there is to tell. `good` are the runs that touch no bad window."""

    plan: Plan
    runs: tuple[Replay, ...]
    observed: tuple[Replay, ...]
    everything: Figures
    good: Figures
    bad: Figures
    silent: tuple[Silent, ...]
    suggestions: tuple[Suggestion, ...]

    @property
    def false_alarms(self) -> float:
        """The share of the good runs that would not have been promoted by themselves."""
        return 1 - self.good.share(Phase.SUCCESSFUL) if self.good.runs else 0.0

    @property
    def found(self) -> float:
        """The share of the bad runs that would have been stopped."""
        return 1 - self.bad.share(Phase.SUCCESSFUL) if self.bad.runs else 0.0


def run(
    plan: Plan, prometheus: Prometheus, progress: Callable[[int, int], None] = lambda _, __: None
) -> Report:
    """Replay every start of the plan; `progress` hears how many of how many are done."""
    pasts: list[Past] = []
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="backtest") as pool:
        for one in pool.map(partial(_replayed, plan, prometheus), plan.starts):
            pasts.append(one)
            progress(len(pasts), len(plan.starts))
    return report(plan, pasts)


def report(plan: Plan, pasts: Sequence[Past]) -> Report:
    """The figures of some releases."""
    runs = tuple(past.run for past in pasts)
    touched = [any(window.touches(past.run) for window in plan.bad) for past in pasts]
    good = [past for past, is_bad in zip(pasts, touched, strict=True) if not is_bad]
    bad = [past for past, is_bad in zip(pasts, touched, strict=True) if is_bad]
    return Report(
        plan=plan,
        runs=runs,
        observed=tuple(past.observed for past in pasts),
        everything=_figures(runs),
        good=_figures([past.run for past in good]),
        bad=_figures([past.run for past in bad]),
        silent=tuple(_silent(metric.name, runs) for metric in plan.metrics),
        suggestions=tuple(
            found
            for metric in plan.metrics
            if (found := thresholds.suggest(metric, _values(metric.name, good), _values(metric.name, bad)))
        ),
    )


def numbers(run: Replay, metric: str) -> list[tuple[datetime, float]]:
    """When a run measured what, for values that are one number."""
    found = []
    for result in run.results:
        for one in result.measurements if result.name == metric else ():
            value = number(one.value)
            if value is not None and one.finished_at is not None:
                found.append((one.finished_at, value))
    return found


def _replayed(plan: Plan, prometheus: Prometheus, started_at: datetime) -> Past:
    asked: dict[tuple[str, datetime], Answer] = {}

    def measure(metric: Metric, at: datetime, last: Measurement | None) -> Measurement:
        then = {"prometheus": _Remembering(replace(prometheus, at=at), asked)}
        answer = measurement.attempt(metric, then, _SECONDS, elapsed=at - started_at, last=last)
        return measurement.finished(answer, at, at, last=last)

    until = started_at + plan.longest
    observed = replay.run([_unstoppable(metric) for metric in plan.metrics], started_at, until, measure)
    return Past(replay.run(plan.metrics, started_at, until, measure), observed)


class _Remembering:
    """Asks each question once: both replays of a start ask the same ones at the same instants."""

    def __init__(self, prometheus: Prometheus, asked: dict[tuple[str, datetime], Answer]) -> None:
        self._prometheus = prometheus
        self._asked = asked

    def query(self, spec: Mapping[str, object], deadline: float) -> ProviderResult:
        assert self._prometheus.at is not None
        key = str(spec), self._prometheus.at
        if key not in self._asked:
            try:
                self._asked[key] = self._prometheus.query(spec, deadline)
            except ProviderError as error:
                self._asked[key] = error
        found = self._asked[key]
        if isinstance(found, ProviderError):
            raise found
        return found

    def metadata(self, spec: Mapping[str, object]) -> Mapping[str, str]:
        return self._prometheus.metadata(spec)


def _unstoppable(metric: Metric) -> Metric:
    """The metric as an observer: what it measures ends nothing, neither well nor badly."""
    many = 1_000_000
    return replace(
        metric,
        dry_run=True,
        success_condition=None,
        failure_condition=None,
        failure_limit=many,
        inconclusive_limit=many,
        consecutive_error_limit=many,
        consecutive_success_limit=0,
    )


def _values(metric: str, pasts: Iterable[Past]) -> list[list[float]]:
    return [[value for _, value in numbers(past.observed, metric)] for past in pasts]


def _figures(runs: Sequence[Replay]) -> Figures:
    decided = sorted(
        (run.ended_at - run.started_at).total_seconds() for run in runs if run.phase is not Phase.SUCCESSFUL
    )
    return Figures(
        runs=len(runs),
        phases=Counter(run.phase for run in runs),
        median_seconds=statistics.median(decided) if decided else None,
        p90_seconds=decided[min(len(decided) - 1, int(0.9 * len(decided)))] if decided else None,
    )


def _silent(metric: str, runs: Sequence[Replay]) -> Silent:
    measured = [one for run in runs for r in run.results if r.name == metric for one in r.measurements]
    nothing = [one for one in measured if one.value in {"", "[]"} and one.phase is not Phase.ERROR]
    nothing += [one for one in measured if one.phase is Phase.ERROR and "returned no data" in one.message]
    errors = [one for one in measured if one.phase is Phase.ERROR and one not in nothing]
    example = next((one.message for one in (*errors, *nothing) if one.message), "")
    return Silent(metric, len(measured), len(nothing), len(errors), example)
