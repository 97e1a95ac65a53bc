"""The Experiment of a step in virtual time: its pods live as those of the version they are of, its analyses are measured.

Decides when something happens next, never what the controller does about it. Called by `world`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from analysis.errors import AnalysisError
from rollouts.api.analysis import AnalysisTemplateRef, AnalysisTemplateSpec
from rollouts.api.experiment import Experiment, ExperimentSpec, ExperimentTemplate, TemplateService
from rollouts.api.experiment_step import SpecRef
from rollouts.api.meta import ObjectMeta
from rollouts.api.rollout import Rollout
from rollouts.delivery import actions
from rollouts.simulate import measuring
from rollouts.simulate.experiments import ExperimentCluster
from rollouts.simulate.measuring import Reader
from rollouts.simulate.pods import SimulatedPod

_ROUNDS = 1000


@dataclass(frozen=True, slots=True)
class Life:
    """How pods of a version live."""

    is_available: Callable[[SimulatedPod], bool]
    changes: Callable[[datetime], Iterator[datetime]]
    """Creation of a pod -> the next instants at which it becomes available, exits or starts again."""


class Conducted(ExperimentCluster):
    """`lives` is by side of the update; `reader` says what a metric yields at this instant."""

    def __init__(
        self,
        experiment: Experiment,
        action: actions.CreateExperiment,
        now: datetime,
        *,
        lives: Callable[[SpecRef], Life],
        reader: Reader,
        templates: Mapping[AnalysisTemplateRef, AnalysisTemplateSpec | None],
    ) -> None:
        super().__init__(experiment, now, templates=templates)
        self._sides = {f"{experiment.metadata.name}-{t.name}": t.spec_ref for t in action.step.templates}
        self._lives = lives
        self._reader = reader
        self.measured: dict[str, measuring.Run] = {}

    def rest(self, now: datetime) -> None:
        """Until pods, analyses and controller have nothing left to do at this instant."""
        self.now = now
        for _ in range(_ROUNDS):
            before = self.state()
            self.settle()
            self.replica_set_controller()
            for rs in self.sets.values():
                life = self._lives(self._sides[rs.name])
                for pod in rs.pods:
                    pod.available = life.is_available(pod)
            self._measure()
            if self.state() == before:
                return
        raise AssertionError("the simulated Experiment does not come to rest")

    def instants(self) -> Iterator[datetime | None]:
        """When something happens next."""
        yield self.wake
        for rs in self.sets.values():
            life = self._lives(self._sides[rs.name])
            for created_at in {pod.created_at for pod in rs.pods}:
                yield from life.changes(created_at)
        for run in self._going_on():
            yield run.next_due(self.now)

    def create_run(self, action: actions.CreateAnalysisRun) -> None:
        super().create_run(action)
        try:
            self.measured[action.name] = measuring.begin(action.name, action.spec, self.now)
        except AnalysisError as e:
            self.runs[action.name] = measuring.failed(self.runs[action.name], e)

    def _going_on(self) -> tuple[measuring.Run, ...]:
        return tuple(run for name, run in self.measured.items() if not self.runs[name].phase.completed)

    def _measure(self) -> None:
        for run in self._going_on():
            assessment = run.measure(self.now, self._reader)
            if assessment.phase.completed:
                self.runs[run.name] = measuring.seen(self.runs[run.name], run.metrics, assessment)


def experiment(action: actions.CreateExperiment, rollout: Rollout) -> Experiment:
    """The Experiment as the controller makes it, as far as it matters for who is there when."""
    step, spec = action.step, rollout.spec
    templates = tuple(
        ExperimentTemplate(
            name=template.name,
            selector=spec.selector,
            template=spec.template,
            replicas=template.replicas,
            min_ready_seconds=spec.min_ready_seconds,
            service=template.service or (TemplateService() if template.weight is not None else None),
        )
        for template in step.templates
    )
    made = ExperimentSpec(
        templates=templates,
        duration=step.duration,
        progress_deadline_seconds=spec.progress_deadline_seconds,
        analyses=action.analyses,
        scale_down_delay_seconds=step.scale_down_delay_seconds,
        dry_run=step.dry_run,
    )
    return Experiment(ObjectMeta(action.name, rollout.metadata.namespace, f"uid-{action.name}"), made)
