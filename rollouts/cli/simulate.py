"""simulate: what a Rollout would do, in virtual time. Needs no cluster.

Reads files and prints; what happens is decided in `rollouts.simulate`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rollouts.api.analysis import AnalysisTemplateRef, AnalysisTemplateSpec, Metric, MetricProvider
from rollouts.api.meta import Names, ObjectMeta
from rollouts.api.parse import duration, format_duration, parse
from rollouts.api.providers import PrometheusMetric
from rollouts.api.rollout import Rollout, RolloutSpec
from rollouts.cli import files, linting, output
from rollouts.cli.facts import dig
from rollouts.cli.linting import Manifest
from rollouts.cli.target import CliError
from rollouts.delivery import workload
from rollouts.errors import SpecError
from rollouts.simulate import picture, scenario
from rollouts.simulate.timeline import BEGIN, Moment, Timeline
from rollouts.simulate.timeline import simulate as simulated

if TYPE_CHECKING:
    from rich.text import Text

app = typer.Typer()

_TEMPLATES = frozenset({"AnalysisTemplate", "ClusterAnalysisTemplate"})


class Form(StrEnum):
    TABLE = "table"
    JSON = "json"
    SVG = "svg"


@app.command("simulate")
def simulate(
    filenames: files.Files,
    told: Annotated[
        str, typer.Option("--scenario", metavar="FILE", help="What pods, metrics and people do.")
    ] = "",
    form: Annotated[Form, typer.Option("-o", "--output", help="How to print the timeline.")] = Form.TABLE,
    name: Annotated[str, typer.Option("--name", help="Which Rollout, if the files have several.")] = "",
    until: Annotated[str, typer.Option("--for", metavar="DURATION", help="Virtual time at most.")] = "24h",
) -> None:
    """Play an update in virtual time: steps, weights, pods and events, without a cluster."""
    objects = files.objects(filenames)
    chosen = _chosen(objects, name)
    group = str(chosen.get("apiVersion")).rpartition("/")[0]
    _check(objects, group)
    try:
        limit = duration(until, "--for")
        rollout = Rollout(
            parse(ObjectMeta, chosen["metadata"], "metadata", strict=False),
            _spec(objects, chosen),
        )
        templates = _templates(objects, rollout.spec)
        story = scenario.read(_scenario(told))
        timeline = simulated(rollout, story, templates=templates, names=Names(group), limit=limit)
    except SpecError as e:
        raise CliError(str(e)) from None
    _print(timeline, form)


def _print(timeline: Timeline, form: Form) -> None:
    match form:
        case Form.SVG:
            typer.echo(picture.svg(timeline), nl=False)
        case Form.JSON:
            typer.echo(json.dumps(document(timeline), indent=2))
        case Form.TABLE:
            columns = ("TIME", "PHASE", "STEP", "WEIGHTS", "PODS", "WHAT HAPPENS")
            output.show(output.table(columns, list(_rows(timeline))))
            typer.echo(_conclusion(timeline), err=True)


def document(timeline: Timeline) -> Mapping[str, Any]:
    """The timeline as JSON; instants are seconds since the update."""
    return {
        "name": timeline.name,
        "endsAtSeconds": timeline.ends_at.total_seconds(),
        "ended": timeline.ended,
        "moments": [_moment(moment) for moment in timeline.moments],
    }


def _moment(moment: Moment) -> Mapping[str, Any]:
    return {
        "atSeconds": moment.at.total_seconds(),
        "phase": moment.phase.value,
        "message": moment.message,
        "step": moment.step,
        "revisions": [
            {
                "revision": pods.revision,
                "version": pods.version,
                "replicas": pods.wanted,
                "available": pods.available,
                "weight": pods.weight,
            }
            for pods in moment.pods
        ],
        "analysisRuns": dict(moment.analyses),
        "events": [
            {"reason": e.reason.value, "type": e.type.value, "message": e.message} for e in moment.events
        ],
    }


def _rows(timeline: Timeline) -> Iterator[tuple[str | Text, ...]]:
    for moment in timeline.moments:
        told = [event.message for event in moment.events] or [moment.message]
        weights = "  ".join(f"r{p.revision} {p.weight} %" for p in moment.pods)
        pods = "  ".join(f"r{p.revision} {p.available}/{p.wanted}" for p in moment.pods)
        phase = output.styled(moment.phase.value)
        yield format_duration(moment.at), phase, moment.step, weights, pods, told[0]
        for further in told[1:]:
            yield "", "", "", "", "", further


def _conclusion(timeline: Timeline) -> str:
    last, after = timeline.last, format_duration(timeline.ends_at)
    if not timeline.ended:
        return f"after {after} it is {last.phase} and still going on; --for simulates longer"
    because = f": {last.message}" if last.message else ""
    return f"after {after} it is {last.phase}{because}"


def _chosen(objects: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    found = [o for o in objects if o.get("kind") == "Rollout" and isinstance(dig(o, "metadata", "name"), str)]
    named = [o for o in found if name in ("", o["metadata"]["name"])]
    if len(named) == 1:
        return named[0]
    names = ", ".join(str(o["metadata"]["name"]) for o in found) or "none"
    remedy = "choose one with --name" if named else "name one of these, or a file that has it"
    wanted = f"Rollout {name}" if name else "one Rollout"
    raise CliError(f"the files must have {wanted}; Rollouts in them: {names}; {remedy}")


def _check(objects: Sequence[Mapping[str, Any]], group: str) -> None:
    """What the linter finds wrong cannot be played."""
    manifests = [Manifest("", number, 1, body) for number, body in enumerate(objects, start=1)]
    found = linting.check(manifests, frozenset({group}), BEGIN).findings
    if found:
        first = found[0]
        raise CliError(f"{first.told}; rollouts lint tells everything")


def _templates(
    objects: Sequence[Mapping[str, Any]], spec: RolloutSpec
) -> Mapping[AnalysisTemplateRef, AnalysisTemplateSpec]:
    """Those in the files; one that is not there is played as a single measurement."""
    found = {
        AnalysisTemplateRef(str(dig(o, "metadata", "name")), o["kind"] == "ClusterAnalysisTemplate"): parse(
            AnalysisTemplateSpec, o.get("spec"), "spec"
        )
        for o in objects
        if o.get("kind") in _TEMPLATES
    }
    named = [*linting.references(spec), *(ref for known in found.values() for ref in known.templates)]
    for ref in dict.fromkeys(named):
        if ref not in found:
            typer.echo(f"not among the files: {ref.template_name}; played as one measurement", err=True)
            provider = MetricProvider(prometheus=PrometheusMetric(query="vector(1)"))
            found[ref] = AnalysisTemplateSpec(metrics=(Metric(ref.template_name, provider),))
    return found


def _spec(objects: Sequence[Mapping[str, Any]], rollout: Mapping[str, Any]) -> RolloutSpec:
    """With the template of the object in workloadRef, which the files have to hold."""
    spec = parse(RolloutSpec, rollout.get("spec"), "spec")
    ref = spec.workload_ref
    if ref is None:
        return spec
    named = (o for o in objects if (o.get("kind"), dig(o, "metadata", "name")) == (ref.kind, ref.name))
    found = next((workload.of(o) for o in named), None)
    return replace(workload.resolved(spec, found), workload_ref=None)


def _scenario(name: str) -> object:
    if not name:
        return {}
    documents = files.values(next(files.paths(name), Path(name)))
    if len(documents) != 1:
        raise CliError(f"{name}: a scenario is one document, these are {len(documents)}")
    return documents[0]
