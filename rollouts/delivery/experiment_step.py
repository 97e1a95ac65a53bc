"""The experiment step of a canary: which Experiment belongs to it, how it stands, what is made, ended, deleted.

The name says which update, step and attempt an Experiment is for, so that a crash between its creation and the
status never leads to a second one. What an Experiment does itself is decided in `experiments`. Called by `phase`
and `abort` (verdicts), `steps`, `validate` and `plan`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from analysis.errors import AnalysisError
from rollouts.api.analysis import AnalysisPhase, AnalysisTemplateRef
from rollouts.api.experiment import ExperimentAnalysis
from rollouts.api.experiment_step import RolloutExperimentAnalysis, RolloutExperimentStep
from rollouts.api.meta import APPLICATION_GROUP, POD_TEMPLATE_HASH_LABEL
from rollouts.api.rollout import RolloutSpec
from rollouts.api.rollout_status import RolloutStatus, WeightDestination
from rollouts.delivery import templates, view
from rollouts.delivery.actions import CreateExperiment, DeleteExperiment, TerminateExperiment
from rollouts.delivery.experiments.validate import repeated
from rollouts.delivery.snapshot import Experiment
from rollouts.delivery.view import Mode, View
from rollouts.errors import SpecError

# What only the Experiment knows; for a look at the templates any value does.
_REFERENCE = re.compile(r"\{\{[^{}]*\}\}")


def current(seen: View, status: RolloutStatus) -> int | None:
    """Index of the experiment step at which the update stands; None elsewhere."""
    index = status.current_step_index
    if view.mode(seen, status) is not Mode.STEPPING or index is None or index >= len(seen.steps):
        return None
    return index if seen.steps[index].experiment is not None else None


def name(seen: View, status: RolloutStatus, index: int) -> str:
    """The Experiment of a step: the one that the status names, or the one of the current attempt."""
    base = f"{seen.name}-{seen.hash}-{seen.revision}-{index}"
    known = status.canary.current_experiment
    if known == base or known.startswith(f"{base}-"):
        return known
    return f"{base}-{status.attempt}" if status.attempt else base


def observed(seen: View, status: RolloutStatus) -> Experiment | None:
    """The Experiment of the current step; None elsewhere, and while it is still to be made."""
    index = current(seen, status)
    if index is None:
        return None
    wanted = name(seen, status, index)
    return next((e for e in seen.snapshot.experiments if e.name == wanted), None)


def verdict(seen: View, status: RolloutStatus) -> AnalysisPhase | None:
    """How the Experiment of the current step has ended, if it has."""
    experiment = observed(seen, status)
    ended = experiment is not None and experiment.phase is not None and experiment.phase.completed
    return experiment.phase if experiment and ended else None


def left(status: RolloutStatus) -> RolloutStatus:
    """The status once the step is over, one way or the other."""
    if not status.canary.current_experiment:
        return status
    return replace(status, canary=replace(status.canary, current_experiment=""))


def entered(seen: View, status: RolloutStatus, index: int) -> RolloutStatus:
    canary = replace(status.canary, current_experiment=name(seen, status, index))
    return replace(status, canary=canary)


def create(seen: View, status: RolloutStatus, index: int) -> CreateExperiment:
    step, stable = seen.steps[index].experiment, seen.sets.stable
    assert step is not None, "the index is that of an experiment step"
    assert stable is not None, "steps are taken only beside a stable set"
    metadata = seen.snapshot.rollout.metadata
    inherited = {
        k: v for k, v in metadata.labels.items() if not k.startswith(f"application.{APPLICATION_GROUP}/")
    }
    path = f"spec.strategy.canary.steps[{index}].experiment"
    return CreateExperiment(
        name=name(seen, status, index),
        step=step,
        analyses=tuple(
            _analysis(seen, status, a, f"{path}.analyses[{i}]") for i, a in enumerate(step.analyses)
        ),
        canary_set=seen.sets.current.name,
        stable_set=stable.name,
        labels={**inherited, POD_TEMPLATE_HASH_LABEL: seen.hash},
        annotations={seen.names.revision_annotation: str(seen.revision)},
    )


def terminated(seen: View, status: RolloutStatus) -> Iterator[TerminateExperiment]:
    """Experiments that nobody waits for any more."""
    index = current(seen, status)
    kept = None if index is None else name(seen, status, index)
    for experiment in seen.snapshot.experiments:
        over = experiment.phase is not None and experiment.phase.completed
        if experiment.name != kept and not (over or experiment.terminating or _is_served(seen, experiment)):
            yield TerminateExperiment(experiment.name, experiment.uid)


def outlived(seen: View, status: RolloutStatus) -> Iterator[DeleteExperiment]:
    """Completed Experiments beyond the history limits of analyses, or whose ReplicaSet is gone."""
    hashes = {rs.pod_template_hash for rs in seen.sets}
    limits = seen.spec.analysis
    left_over = {True: limits.successful_run_history_limit, False: limits.unsuccessful_run_history_limit}
    newest_first = sorted(seen.snapshot.experiments, key=lambda e: (e.created_at, e.name), reverse=True)
    for experiment in newest_first:
        over = experiment.phase is not None and experiment.phase.completed
        if experiment.name == status.canary.current_experiment or not over:
            continue
        successful = experiment.phase is AnalysisPhase.SUCCESSFUL
        if experiment.pod_template_hash in hashes and left_over[successful] > 0:
            left_over[successful] -= 1
        else:
            yield DeleteExperiment(experiment.name, experiment.uid)


def shares(seen: View, status: RolloutStatus) -> tuple[WeightDestination, ...]:
    """Shares of the traffic that its pods get while all of them are available, and not a moment longer."""
    index, experiment = current(seen, status), observed(seen, status)
    if index is None or experiment is None or experiment.phase is not AnalysisPhase.RUNNING:
        return ()
    step = seen.steps[index].experiment
    assert step is not None, "the index is that of an experiment step"
    wanted = {template.name: template.weight for template in step.templates}
    return tuple(
        WeightDestination(weight, pods.service, pods.pod_template_hash)
        for pods in experiment.pods
        if (weight := wanted.get(pods.template)) is not None and pods.service
    )


def references(spec: RolloutSpec) -> Iterator[AnalysisTemplateRef]:
    """The templates that experiment steps name."""
    for step in spec.strategy.canary.steps if spec.strategy.canary else ():
        yield from (analysis.ref for analysis in step.experiment.analyses) if step.experiment else ()


def faults(seen: View) -> Iterator[SpecError]:
    """What an experiment step must be beyond its schema."""
    for index, step in enumerate(seen.steps):
        if step.experiment is not None:
            yield from _faults(step.experiment, f"spec.strategy.canary.steps[{index}].experiment")


def check(seen: View) -> None:
    """Whether every analysis of every step can be measured. Raises `SpecError`."""
    for index, step in enumerate(seen.steps):
        for i, analysis in enumerate(step.experiment.analyses if step.experiment else ()):
            _check(seen, analysis, f"spec.strategy.canary.steps[{index}].experiment.analyses[{i}]")


def _is_served(seen: View, experiment: Experiment) -> bool:
    """A router still sends requests to its pods: it stays until they have been taken from it."""
    services = {pods.service for pods in experiment.pods}
    return any(
        destination.service_name in services
        for route in seen.routes
        if route.read and route.shares
        for destination in route.shares.additional
    )


def _faults(step: RolloutExperimentStep, path: str) -> Iterator[SpecError]:
    if not step.templates:
        yield SpecError(f"{path}.templates", None, "is empty", "name at least one template")
    yield from repeated((t.name for t in step.templates), f"{path}.templates")
    yield from repeated((a.name for a in step.analyses), f"{path}.analyses")


def _check(seen: View, analysis: RolloutExperimentAnalysis, path: str) -> None:
    hashes = templates.Hashes(stable="stable", latest="latest")
    given = templates.given(seen.snapshot.rollout, analysis.args, path, hashes)
    args = [replace(arg, value=_REFERENCE.sub("hash", arg.value or "")) for arg in given]
    step_templates = [(analysis.ref, f"{path}.templateName")]
    spec = templates.composed(
        seen.snapshot.templates, step_templates, args, path, dry_run=(), measurement_retention=()
    )
    try:
        templates.measurable(spec)
    except AnalysisError as e:
        raise SpecError(f"{path}.templateName", analysis.template_name, str(e)) from e


def _analysis(
    seen: View, status: RolloutStatus, analysis: RolloutExperimentAnalysis, path: str
) -> ExperimentAnalysis:
    hashes = templates.Hashes(stable=status.stable_rs, latest=seen.hash)
    return ExperimentAnalysis(
        name=analysis.name,
        template_name=analysis.template_name,
        cluster_scope=analysis.cluster_scope,
        args=templates.given(seen.snapshot.rollout, analysis.args, path, hashes),
        required_for_completion=analysis.required_for_completion,
    )
