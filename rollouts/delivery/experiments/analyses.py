"""The analyses of an Experiment: which run belongs to which, how it stands, which one starts or stops.

Decides nothing about verdicts; `analysis.judge` does. The status names a run before it is made, so that a crash
in between never leads to a second one. Called by `plan`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from analysis.errors import AnalysisError
from rollouts.api.analysis import AnalysisPhase, AnalysisRunSpec, AnalysisTemplateRef, Argument
from rollouts.api.experiment import ExperimentAnalysis, ExperimentAnalysisRunStatus, ExperimentStatus
from rollouts.api.parse import format_timestamp
from rollouts.delivery import templates
from rollouts.delivery.actions import CreateAnalysisRun, TerminateAnalysisRun
from rollouts.delivery.experiments.pods import ends_at
from rollouts.delivery.experiments.snapshot import Snapshot, is_over
from rollouts.delivery.snapshot import AnalysisRun
from rollouts.errors import SpecError

_REFERENCE = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


def assessed(seen: Snapshot, *, starts: bool) -> tuple[ExperimentAnalysisRunStatus, ...]:
    """How each analysis stands. Before one `starts` it is not told, unless it never can."""
    found = (
        _assessed(seen, index, analysis, starts=starts) for index, analysis in enumerate(seen.spec.analyses)
    )
    return tuple(status for status in found if status is not None)


def check(seen: Snapshot) -> None:
    """Whether every analysis can be measured. Raises `SpecError` or `AnalysisError`."""
    for index, analysis in enumerate(seen.spec.analyses):
        templates.measurable(_spec(seen, index, analysis))


def refreshed(seen: Snapshot) -> tuple[ExperimentAnalysisRunStatus, ...]:
    """How the runs of an Experiment that is over have ended."""
    observed = {run.name: run for run in seen.analysis_runs}
    return tuple(
        status if status.phase.completed else _of(status.name, observed.get(status.analysis_run), status)
        for status in seen.old.analysis_runs
    )


def actions(seen: Snapshot, status: ExperimentStatus) -> Iterator[CreateAnalysisRun | TerminateAnalysisRun]:
    """Runs that start, and those that nobody waits for."""
    over, named = is_over(status), {run.analysis_run for run in status.analysis_runs}
    present = {run.name for run in seen.analysis_runs}
    for run in seen.analysis_runs:
        if (over or run.name not in named) and not (run.phase.completed or run.terminating):
            yield TerminateAnalysisRun(run.name, run.uid)
    for index, analysis in enumerate(seen.spec.analyses):
        stands = seen.old.analysis(analysis.name)
        if over or stands is None or stands.phase.completed or stands.analysis_run in present:
            continue
        yield _created(seen, index, analysis, stands.analysis_run)


def _assessed(
    seen: Snapshot, index: int, analysis: ExperimentAnalysis, *, starts: bool
) -> ExperimentAnalysisRunStatus | None:
    was = seen.old.analysis(analysis.name)
    if was is not None and was.phase.completed:
        return was
    run = next((run for run in seen.analysis_runs if was and run.name == was.analysis_run), None)
    if run is not None:
        return _of(analysis.name, run, was)
    try:
        templates.measurable(_spec(seen, index, analysis))
    except (SpecError, AnalysisError) as e:
        return ExperimentAnalysisRunStatus(analysis.name, phase=AnalysisPhase.ERROR, message=str(e))
    if was is not None or not starts:
        return was
    return ExperimentAnalysisRunStatus(analysis.name, _free_name(seen, analysis))


def _of(
    name: str, run: AnalysisRun | None, was: ExperimentAnalysisRunStatus | None
) -> ExperimentAnalysisRunStatus:
    if run is None:
        return was or ExperimentAnalysisRunStatus(name)
    return ExperimentAnalysisRunStatus(name, run.name, run.phase, run.message)


def _free_name(seen: Snapshot, analysis: ExperimentAnalysis) -> str:
    """A run of an earlier try may have the first."""
    base, count = f"{seen.name}-{analysis.name}", 0
    present = {run.name for run in seen.analysis_runs}
    name = base
    while name in present:
        count += 1
        name = f"{base}.{count}"
    return name


def _created(seen: Snapshot, index: int, analysis: ExperimentAnalysis, name: str) -> CreateAnalysisRun:
    metadata = seen.spec.analysis_run_metadata
    instance_id = seen.experiment.metadata.labels.get(seen.names.instance_id_label)
    labels = {
        **(metadata.labels if metadata else {}),
        **({seen.names.instance_id_label: instance_id} if instance_id else {}),
    }
    annotations = dict(metadata.annotations) if metadata else {}
    return CreateAnalysisRun(name, _spec(seen, index, analysis), labels, annotations)


def _spec(seen: Snapshot, index: int, analysis: ExperimentAnalysis) -> AnalysisRunSpec:
    path = f"spec.analyses[{index}]"
    ref = AnalysisTemplateRef(analysis.template_name, analysis.cluster_scope)
    return templates.composed(
        seen.templates,
        [(ref, f"{path}.templateName")],
        [_filled(seen, arg, f"{path}.args[{i}].value") for i, arg in enumerate(analysis.args)],
        path,
        dry_run=seen.spec.dry_run,
        measurement_retention=seen.spec.measurement_retention,
    )


def _filled(seen: Snapshot, arg: Argument, path: str) -> Argument:
    if arg.value is None:
        return arg
    known = _references(seen)

    def value(match: re.Match[str]) -> str:
        if match[1] not in known:
            remedy = f"known: {', '.join(sorted(known))}"
            raise SpecError(path, arg.value, f'"{match[1]}" is not known', remedy)
        return known[match[1]]

    return Argument(arg.name, value=_REFERENCE.sub(value, arg.value))


def _references(seen: Snapshot) -> Mapping[str, str]:
    """What the value of an argument may refer to (argo-rollouts: utils/template/template.go)."""
    known: dict[str, str] = {}
    for template in seen.spec.templates:
        rs = seen.set_of(template)
        pod_hash = rs.pod_template_hash if rs else seen.hashes[template.name]
        known[f"templates.{template.name}.podTemplateHash"] = pod_hash
        known[f"templates.{template.name}.replicaset.name"] = seen.set_name(template)
    # Before the pods are available no run starts, but whether one can be made is looked at already.
    available_at = seen.old.available_at or seen.moment
    known["experiment.availableAt"] = format_timestamp(available_at)
    if seen.spec.duration is not None:
        end = ends_at(seen, seen.old) or available_at + seen.spec.duration
        known["experiment.finishedAt"] = format_timestamp(end)
    return known
