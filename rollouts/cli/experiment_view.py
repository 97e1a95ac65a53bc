"""An Experiment drawn for a person: what runs side by side, how its analyses stand, how it ends.

Pure: objects and `now` in, renderables out. Called by `experiments`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from rollouts.api import parse
from rollouts.api.analysis import AnalysisPhase
from rollouts.cli import branches, facts
from rollouts.cli.branches import Objects, experiment_phase
from rollouts.cli.facts import Object, dig
from rollouts.cli.output import conditions_table, styled, table
from rollouts.errors import SpecError

_OVER = frozenset(phase.value for phase in AnalysisPhase if phase.completed)


def is_over(experiment: Object) -> bool:
    return experiment_phase(experiment) in _OVER


def listing(experiments: Sequence[Object], now: datetime, *, everywhere: bool) -> Table:
    columns = ("NAME", "PHASE", "TEMPLATES", "ANALYSES", "AGE", "MESSAGE")
    rows = [_row(experiment, now) for experiment in experiments]
    if not everywhere:
        return table(columns, rows)
    namespaces = [str(dig(experiment, "metadata", "namespace")) for experiment in experiments]
    return table(("NAMESPACE", *columns), [(n, *row) for n, row in zip(namespaces, rows, strict=True)])


def drawn(experiment: Object, objects: Objects, now: datetime) -> RenderableType:
    """Everything about one Experiment, for a terminal of 80 columns or more."""
    root = Tree(Text("Templates and analyses", style="bold"), guide_style="dim")
    branches.add_experiment_parts(root, experiment, objects, now)
    parts: list[RenderableType] = [_headline(experiment), _overview(experiment, now), Text(), root]
    if conditions := dig(experiment, "status", "conditions"):
        ages = [facts.age(facts.instant(c.get("lastTransitionTime")), now) for c in conditions]
        parts.extend((Text(), conditions_table(conditions, ages)))
    return Group(*parts)


def one_line(experiment: Object) -> str:
    """The state in one line of text, for logs and pipes."""
    parts = (
        experiment_phase(experiment),
        ", ".join(_templates(experiment)),
        ", ".join(_analyses(experiment)),
        _message(experiment),
    )
    return "  ".join(part for part in parts if part)


def _row(experiment: Object, now: datetime) -> tuple[str | Text, ...]:
    return (
        str(dig(experiment, "metadata", "name")),
        styled(experiment_phase(experiment)),
        ", ".join(_templates(experiment)),
        ", ".join(_analyses(experiment)) or "-",
        facts.age(facts.created_at(experiment), now),
        _message(experiment),
    )


def _headline(experiment: Object) -> Text:
    name = f"{dig(experiment, 'metadata', 'namespace')}/{dig(experiment, 'metadata', 'name')}"
    phase = styled(experiment_phase(experiment))
    return Text.assemble(
        ("Experiment ", "dim"), (name, "bold"), "  ", phase, f"  {_message(experiment)}".rstrip()
    )


def _overview(experiment: Object, now: datetime) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_row("  ends", ", or ".join(_ends(experiment, now)))
    return grid


def _ends(experiment: Object, now: datetime) -> Iterator[str]:
    if is_over(experiment):
        yield "it has ended"
        return
    required = [
        a.get("name") for a in dig(experiment, "spec", "analyses") or () if a.get("requiredForCompletion")
    ]
    if required:
        yield f"when {' and '.join(str(name) for name in required)} succeeded"
    elif length := _duration(experiment):
        yield f"{parse.format_duration(length)} after all pods are available{_left(experiment, length, now)}"
    yield f"with: rollouts terminate experiment {dig(experiment, 'metadata', 'name')}"


def _duration(experiment: Object) -> timedelta | None:
    raw = dig(experiment, "spec", "duration")
    try:
        return parse.duration(raw, "") if raw else None
    except SpecError:
        return None


def _left(experiment: Object, length: timedelta, now: datetime) -> str:
    since = facts.instant(dig(experiment, "status", "availableAt"))
    if since is None:
        return ""
    left = max(0, round((since + length - now).total_seconds()))
    return f" ({parse.format_duration(timedelta(seconds=left))} left)"


def _templates(experiment: Object) -> Iterator[str]:
    known = {s.get("name"): s for s in dig(experiment, "status", "templateStatuses") or ()}
    for template in dig(experiment, "spec", "templates") or ():
        available = (known.get(template.get("name")) or {}).get("availableReplicas", 0)
        yield f"{template.get('name')} {available}/{template.get('replicas', 1)}"


def _analyses(experiment: Object) -> Iterator[str]:
    for run in dig(experiment, "status", "analysisRuns") or ():
        yield f"{run.get('name')} {run.get('phase')}"


def _message(experiment: Object) -> str:
    return str(dig(experiment, "status", "message") or "")
