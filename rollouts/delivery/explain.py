"""A Rollout's strategy in words: when an update is through at the earliest, and where it may wait for ever.

Pure arithmetic on the spec, for an update in which every pod is ready at once, every measurement succeeds
and nobody steps in; the simulator plays the same and is compared with it. Called by the linter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from rollouts.api.analysis import AnalysisTemplateRef, AnalysisTemplateSpec, Metric
from rollouts.api.experiment_step import RolloutExperimentStep
from rollouts.api.rollout import RolloutSpec
from rollouts.api.schema import TemplatedDuration
from rollouts.api.strategy import (
    BlueGreenStrategy,
    CanaryStep,
    CanaryStrategy,
    OnTimeout,
    RolloutAnalysis,
)
from rollouts.api.webhook import Webhook
from rollouts.delivery import configs, declared, replicas, rolling, routed, webhooks
from rollouts.delivery.replicas import Pair

Templates = Mapping[AnalysisTemplateRef, AnalysisTemplateSpec]
_NONE = timedelta()


@dataclass(frozen=True, slots=True)
class Explanation:
    """`earliest` leaves out what is waited for at `waits`, which have no end of their own."""

    earliest: timedelta
    waits: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    goal: str = "reaches 100 %"

    def __str__(self) -> str:
        soonest = f"{self.goal} after {words(self.earliest)} at the earliest"
        if not self.earliest:
            soonest = f"{self.goal} as fast as pods become ready"
        waits = [f"can wait for ever {', '.join(self.waits)}"] if self.waits else []
        return "; ".join([soonest, *waits, *self.notes])


def explain(spec: RolloutSpec, templates: Templates) -> Explanation:
    """`templates` holds every template that the spec names, directly or through others."""
    canary, blue_green = rolling.as_canary(spec.strategy), spec.strategy.blue_green
    if canary is not None:
        return _canary(spec, canary, templates)
    assert blue_green is not None  # validate admits no strategy without one of them
    return _blue_green(spec, blue_green, templates)


def words(span: timedelta) -> str:
    """35 min, 1 h 5 min, 2 d 40 s."""
    minutes, seconds = divmod(span.total_seconds(), 60)
    hours, minutes = divmod(int(minutes), 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s"))
    return " ".join(f"{count:g} {unit}" for count, unit in parts if count) or "0 s"


def _canary(spec: RolloutSpec, canary: CanaryStrategy, templates: Templates) -> Explanation:
    waits = [*(f"at step {number}" for number in _endless(canary.steps)), *_gates(canary.webhooks)]
    ready = timedelta(seconds=spec.min_ready_seconds)
    passed = [_length(step, templates, ready) for step in canary.steps]
    growth = _growth(spec, [pair.canary for pair in _pairs(spec, canary)])
    earliest = sum(passed, growth)
    # a step that leaves stable no pods serves everybody, long before the rest of the steps is over
    everybody = _serves_everybody(spec, canary)
    goal = "is promoted" if everybody else "reaches 100 %"
    notes = [*_held(spec), *_patient(canary.steps), *_routing(canary)]
    if rolling.recreated(spec.strategy):
        notes.append("serves nobody between the old pods and the new ones")
    if canary.analysis is not None:
        start = canary.analysis.starting_step or 0
        notes.append(_beside(canary.analysis, start, sum(passed[start:], _NONE), templates, ended=not waits))
    notes.extend(_baked(spec, templates))
    return Explanation(earliest, tuple(waits), tuple(notes), goal)


def _blue_green(spec: RolloutSpec, strategy: BlueGreenStrategy, templates: Templates) -> Explanation:
    before, after = strategy.pre_promotion_analysis, strategy.post_promotion_analysis
    manual = not strategy.auto_promotion_enabled
    timeout = strategy.promotion_timeout if manual else None
    endless = manual and timeout is None
    waits = ["before the switch, as autoPromotionEnabled is false"] if endless else []
    waits += _gates(strategy.webhooks)
    automatic = strategy.auto_promotion_seconds if strategy.auto_promotion_enabled else 0
    earliest = _growth(spec, [_preview(spec, strategy)]) + timedelta(seconds=automatic)
    if before is not None:
        earliest += _shortest(_metrics(before.templates, templates))
    notes = list(_held(spec))
    if timeout is not None:
        notes.append(_limited("before the switch", timeout, strategy.on_promotion_timeout))
    if after is not None:
        shortest = _shortest(_metrics(after.templates, templates))
        notes.append(f"is analysed for {words(shortest)} at least after the switch")
    notes.extend(_baked(spec, templates))
    return Explanation(earliest, tuple(waits), tuple(notes), goal="switches users over")


def _gates(listed: Iterable[Webhook]) -> list[str]:
    return [f"for webhook {w.name} ({w.type})" for w in listed if w.type in webhooks.GATES]


def _held(spec: RolloutSpec) -> Iterator[str]:
    read = ", ".join(f"{config.kind} {config.name}" for config in configs.references(spec.template))
    if spec.copy_config and read:
        yield f"a change of {read} is an update, too"
    if spec.promote is not None:
        whom = spec.promote.image or spec.promote.pod_template_hash
        yield f"is promoted {declared.text(spec.promote)} by spec.promote where it is {whom}"
    if spec.abort is not None:
        yield f"is aborted by spec.abort where it is {spec.abort.image or spec.abort.pod_template_hash}"
    if spec.paused:
        yield "does not begin while spec.paused is true"


def _baked(spec: RolloutSpec, templates: Templates) -> Iterator[str]:
    if spec.bake is not None:
        analysis = spec.bake.analysis
        analysed = _shortest(_metrics(analysis.templates, templates)) if analysis else _NONE
        length = max(spec.bake.duration or _NONE, analysed)
        yield f"bakes for {words(length)} at least after that, and can still go back"
    if spec.analyze_initial_deploy:
        yield "analyses the first deployment, too"


def _endless(steps: Iterable[CanaryStep]) -> list[int]:
    """Numbers (from 1) of the steps at which only a person goes on; validate admits no analysis without end."""
    return [i for i, step in enumerate(steps, start=1) if _is_endless(step)]


def _is_endless(step: CanaryStep) -> bool:
    if step.experiment is not None:
        required = any(analysis.required_for_completion for analysis in step.experiment.analyses)
        return step.experiment.duration is None and not required
    return step.pause is not None and step.pause.duration is None and step.pause.timeout is None


def _patient(steps: Iterable[CanaryStep]) -> Iterator[str]:
    """Pauses at which a person is waited for, but not for ever."""
    for number, step in enumerate(steps, start=1):
        if step.pause and step.pause.timeout is not None:
            yield _limited(f"at step {number}", step.pause.timeout, step.pause.on_timeout)


def _limited(where: str, timeout: timedelta, then: OnTimeout) -> str:
    end = "is aborted" if then is OnTimeout.ABORT else "goes on"
    return f"waits for somebody {where} for {words(timeout)}, then {end}"


def _length(step: CanaryStep, templates: Templates, ready: timedelta) -> timedelta:
    if step.pause is not None:
        return step.pause.duration or _NONE
    if step.experiment is not None:
        return ready + _conducted(step.experiment, templates)
    return _shortest(_metrics(step.analysis.templates, templates)) if step.analysis else _NONE


def _conducted(step: RolloutExperimentStep, templates: Templates) -> timedelta:
    """How long an Experiment takes whose pods are available at once."""
    required = [analysis.ref for analysis in step.analyses if analysis.required_for_completion]
    if not required:
        return step.duration or _NONE
    return max(_shortest(_metrics((ref,), templates)) for ref in required)


def _growth(spec: RolloutSpec, counts: Iterable[int]) -> timedelta:
    """minReadySeconds pass each time that there are more pods than ever, at least once on the way to all."""
    most, times = 0, 0
    for count in (*counts, spec.replicas):
        times += count > most
        most = max(most, count)
    return times * timedelta(seconds=spec.min_ready_seconds)


def _pairs(spec: RolloutSpec, canary: CanaryStrategy) -> list[Pair]:
    """Pods of both sides at each step that weighs or scales."""
    if canary.traffic_routing is not None:
        sized = (i for i, s in enumerate(canary.steps) if s.set_weight is not None or s.set_canary_scale)
        return [Pair(routed.canary_pods(canary, i, spec.replicas), spec.replicas) for i in sized]
    surge = replicas.limits(spec.replicas, canary.max_surge, canary.max_unavailable).surge > 0
    weights = [step.set_weight for step in canary.steps if step.set_weight is not None]
    return [replicas.for_weight(spec.replicas, weight, surge=surge) for weight in weights]


def _serves_everybody(spec: RolloutSpec, canary: CanaryStrategy) -> bool:
    routing = canary.traffic_routing
    if routing is None:
        return any(pair.stable == 0 for pair in _pairs(spec, canary))
    return any(step.set_weight == (routing.max_traffic_weight or 100) for step in canary.steps)


def _routing(canary: CanaryStrategy) -> Iterator[str]:
    routing = canary.traffic_routing
    if routing is None:
        return
    most = routing.max_traffic_weight or 100
    mixes = any(0 < (step.set_weight or 0) < most for step in canary.steps)
    if routing.services is not None and mixes:
        yield "between 0 and all, plain Services give the share that the ratio of the pods gives"
        if not canary.dynamic_stable_scale:
            yield "that share is smaller than setWeight says, as dynamicStableScale is not set"


def _preview(spec: RolloutSpec, strategy: BlueGreenStrategy) -> int:
    count = strategy.preview_replica_count
    return spec.replicas if count is None else count


def _metrics(named: tuple[AnalysisTemplateRef, ...], templates: Templates) -> tuple[Metric, ...]:
    """Of the templates that are named and those that they name, each once."""
    refs = list(dict.fromkeys(named))
    for ref in refs:  # grows while we go
        refs.extend(inner for inner in templates[ref].templates if inner not in refs)
    return tuple(metric for ref in refs for metric in templates[ref].metrics)


def _shortest(metrics: Iterable[Metric]) -> timedelta:
    """How long a run takes if every measurement succeeds; all of its metrics are waited for."""
    return max((_shortest_metric(metric) for metric in metrics), default=_NONE)


def _shortest_metric(metric: Metric) -> timedelta:
    return _time(metric.initial_delay) + (_needed(metric) - 1) * _time(metric.interval)


def _time(written: TemplatedDuration | None) -> timedelta:
    """One that is an argument is taken as none: what is told is a minimum."""
    return written if isinstance(written, timedelta) else _NONE


def _needed(metric: Metric) -> int:
    """Measurements that complete a metric if all succeed. A number that is an argument is taken as 1."""
    limits = (metric.count, metric.consecutive_success_limit)
    needed = [_number(limit) for limit in limits if limit is not None and _number(limit)]
    return min(needed, default=1)


def _number(limit: int | str) -> int:
    if isinstance(limit, int):
        return limit
    return int(limit) if limit.isdecimal() else 1


def _beside(
    analysis: RolloutAnalysis, start: int, left: timedelta, templates: Templates, *, ended: bool
) -> str:
    """The analysis beside the steps; one that comes too late is told."""
    names = ", ".join(ref.template_name for ref in analysis.templates)
    told = f"is analysed by {names} from step {start + 1} on"
    first = min((_time(m.initial_delay) for m in _metrics(analysis.templates, templates)), default=_NONE)
    if ended and first > left:
        told += f", but its first measurement after {words(first)} may come too late"
    return told
