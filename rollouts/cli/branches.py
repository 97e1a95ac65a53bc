"""What hangs under a revision or an Experiment in a tree: pods, AnalysisRuns, Experiments.

Pure: objects and `now` in, lines out. Called by `tree` and `experiment_view`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.text import Text
from rich.tree import Tree

from rollouts.api.meta import CANARY_STEP_INDEX_LABEL, ROLLOUT_TYPE_LABEL
from rollouts.cli import facts, sparkline
from rollouts.cli.facts import Object, dig
from rollouts.cli.output import styled

RUNS = 5
"""So many of the newest are shown."""


@dataclass(frozen=True, slots=True)
class Objects:
    """What there is in the namespace; each branch takes what its owner owns."""

    replica_sets: tuple[Object, ...] = ()
    pods: tuple[Object, ...] = ()
    analysis_runs: tuple[Object, ...] = ()


def add_experiment(branch: Tree, experiment: Object, objects: Objects, now: datetime) -> None:
    """An Experiment under the revision that it is for."""
    message = dig(experiment, "status", "message")
    line = Text.assemble(
        ("experiment ", "dim"),
        f"{dig(experiment, 'metadata', 'name')}  ",
        styled(experiment_phase(experiment)),
        f"  {message}" if message else "",
        (f"  {facts.age(facts.created_at(experiment), now)}", "dim"),
    )
    add_experiment_parts(branch.add(line), experiment, objects, now)


def add_experiment_parts(branch: Tree, experiment: Object, objects: Objects, now: datetime) -> None:
    """Templates with their pods, then analyses."""
    sets = {dig(s, "metadata", "name"): s for s in facts.owned_by(experiment, objects.replica_sets)}
    known = {s.get("name"): s for s in dig(experiment, "status", "templateStatuses") or ()}
    for template in dig(experiment, "spec", "templates") or ():
        status = known.get(template.get("name")) or {}
        name = _set_name(experiment, template, status)
        node = branch.add(_template_line(template, status, name))
        pods = facts.owned_by(sets[name], objects.pods) if name in sets else ()
        for pod in sorted(pods, key=creation):
            node.add(pod_line(pod, now))
    for run in sorted(facts.owned_by(experiment, objects.analysis_runs), key=creation, reverse=True)[:RUNS]:
        add_run(branch, run, now)


def experiment_phase(experiment: Object) -> str:
    return str(dig(experiment, "status", "phase") or "Pending")


def _set_name(experiment: Object, template: Object, status: Mapping[str, Any]) -> str:
    base = f"{dig(experiment, 'metadata', 'name')}-{template.get('name')}"
    return f"{base}-{status['collisionCount']}" if status.get("collisionCount") else base


def _template_line(template: Object, status: Mapping[str, Any], set_name: str) -> Text:
    words = "  ".join(_template_words(template, status))
    return Text.assemble(
        ("template ", "dim"),
        f"{template.get('name')}  ",
        styled(str(status.get("status") or "Pending")),
        f"  {set_name}  {words}",
    )


def _template_words(template: Object, status: Mapping[str, Any]) -> Iterator[str]:
    replicas = template.get("replicas", 1)
    yield f"{status.get('availableReplicas', 0)}/{replicas} available"
    yield ", ".join(facts.images(template.get("template") or {}))
    if service := status.get("serviceName"):
        yield f"service {service}"
    if message := status.get("message"):
        yield str(message)


def pod_line(pod: Object, now: datetime) -> Text:
    statuses = dig(pod, "status", "containerStatuses") or ()
    ready = sum(bool(s.get("ready")) for s in statuses)
    restarts = sum(int(s.get("restartCount", 0)) for s in statuses)
    total = len(dig(pod, "spec", "containers") or ())
    again = f"  {restarts} restarts" if restarts else ""
    return Text.assemble(
        ("pod ", "dim"),
        f"{dig(pod, 'metadata', 'name')}  ",
        styled(_pod_state(pod)),
        f"  {ready}/{total} ready{again}",
        (f"  {facts.age(facts.created_at(pod), now)}", "dim"),
    )


def _pod_state(pod: Object) -> str:
    if dig(pod, "metadata", "deletionTimestamp"):
        return "Terminating"
    waiting = (dig(s, "state", "waiting", "reason") for s in dig(pod, "status", "containerStatuses") or ())
    return str(next((w for w in waiting if w), None) or dig(pod, "status", "phase") or "Unknown")


def add_run(branch: Tree, run: Object, now: datetime) -> None:
    labels = dig(run, "metadata", "labels") or {}
    index = str(labels.get(CANARY_STEP_INDEX_LABEL, ""))
    step = f" {int(index) + 1}" if index.isdigit() else ""
    kind = str(labels.get(ROLLOUT_TYPE_LABEL, "")).lower()
    results = dig(run, "status", "metricResults") or ()
    line = Text.assemble(
        ("analysis ", "dim"),
        f"{kind}{step}  {dig(run, 'metadata', 'name')}  ".lstrip(),
        styled(str(dig(run, "status", "phase") or "Pending")),
        "" if results else f"  {dig(run, 'status', 'message') or ''}".rstrip(),
        (f"  {facts.age(facts.created_at(run), now)}", "dim"),
    )
    node = branch.add(line)
    conditions = {m.get("name"): _wanted(m) for m in dig(run, "spec", "metrics") or ()}
    for result in results:
        node.add(_metric_line(result, conditions.get(result.get("name"), "")))


def _wanted(metric: Mapping[str, Any]) -> str:
    success, failure = metric.get("successCondition"), metric.get("failureCondition")
    parts = (f"wanted {success}" if success else "", f"fails on {failure}" if failure else "")
    return ", ".join(part for part in parts if part)


def _metric_line(result: Mapping[str, Any], wanted: str) -> Text:
    measurements = result.get("measurements") or ()
    last = measurements[-1] if measurements else {}
    value = last.get("value") or last.get("message") or "not measured yet"
    compared = "score" in (last.get("metadata") or {})
    counts = ", ".join(
        f"{result[key]} {key}" for key in ("successful", "failed", "inconclusive", "error") if result.get(key)
    )
    return Text.assemble(
        f"{result.get('name')}  ",
        styled(str(result.get("phase"))),
        ("  dry run" if result.get("dryRun") else "", "dim"),
        f"  last {value}" if measurements else f"  {value}",
        (f"  {course}" if (course := sparkline.of_measurements(measurements)) else "", "cyan"),
        (f"  {last['message']}" if compared and last.get("message") else "", "dim"),
        (f"  {wanted}" if wanted else "", "dim"),
        (f"  ({counts})" if counts else "", "dim"),
    )


def creation(thing: Object) -> str:
    return str(dig(thing, "metadata", "creationTimestamp") or "")
