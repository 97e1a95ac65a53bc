"""A Rollout drawn for a person: what, where, why it stopped, and what to do next.

Pure: objects and `now` in, renderables out. Called by `show`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from rollouts.api.meta import Names
from rollouts.api.rollout_status import Phase
from rollouts.cli import branches, facts
from rollouts.cli.branches import Objects
from rollouts.cli.facts import Object, Place, Revision, Role, dig
from rollouts.cli.output import conditions_table, styled

_MARKS = {Place.DONE: ("✔", "green"), Place.CURRENT: ("▶", "bold cyan"), Place.NEXT: (" ", "dim")}
_ABORTED_MARKS = {True: ("✖", "red"), False: (" ", "dim")}
_EMPTY_REVISIONS = 2


@dataclass(frozen=True, slots=True)
class Picture:
    """A Rollout and the objects under it."""

    rollout: Object
    replica_sets: tuple[Object, ...] = ()
    pods: tuple[Object, ...] = ()
    analysis_runs: tuple[Object, ...] = ()
    experiments: tuple[Object, ...] = ()

    @property
    def objects(self) -> Objects:
        return Objects(self.replica_sets, self.pods, self.analysis_runs)


def rollout_tree(picture: Picture, names: Names, now: datetime) -> RenderableType:
    """Everything about one Rollout, for a terminal of 80 columns or more."""
    rollout = picture.rollout
    parts: list[RenderableType] = [headline(rollout), _overview(rollout)]
    if why := tuple(_why(rollout)):
        parts.extend((Text(), *why))
    if listed := facts.steps(rollout, now):
        parts.extend((Text(), _steps(listed, aborted_at=_aborted_at(rollout))))
    if webhooks := dig(rollout, "status", "webhooks"):
        parts.extend((Text(), _webhooks(webhooks)))
    if picture.replica_sets:
        parts.extend((Text(), revision_tree(picture, names, now)))
    if conditions := dig(rollout, "status", "conditions"):
        parts.extend((Text(), _conditions(conditions, now)))
    return Group(*parts)


def headline(rollout: Object) -> Text:
    phase, message = facts.phase(rollout)
    if dig(rollout, "status", "abort") and dig(rollout, "status", "abortReason"):
        message = ""  # told below, field by field
    name = f"{dig(rollout, 'metadata', 'namespace')}/{dig(rollout, 'metadata', 'name')}"
    return Text.assemble(("Rollout ", "dim"), (name, "bold"), "  ", styled(phase), f"  {message}".rstrip())


def one_line(rollout: Object) -> str:
    """The state in one line of text, for logs and pipes."""
    phase, message = facts.phase(rollout)
    status = dig(rollout, "status") or {}
    weight = facts.actual_weight(rollout)
    parts = (
        phase,
        f"step {done}" if (done := facts.step_count(rollout)) else "",
        f"weight {weight}" if weight is not None else "",
        f"ready {status.get('readyReplicas', 0)}/{dig(rollout, 'spec', 'replicas') or 0}",
        f"revision {status['currentRevision']}" if status.get("currentRevision") else "",
        message,
    )
    return "  ".join(part for part in parts if part)


def revision_tree(picture: Picture, names: Names, now: datetime) -> Tree:
    """Revision, then its analysis and its pods; revisions without pods are cut short."""
    root = Tree(Text("Revisions", style="bold"), guide_style="dim")
    empty = 0
    for revision in facts.revisions(picture.rollout, picture.replica_sets, names):
        is_idle = not revision.desired and not any(revision.roles)
        empty += is_idle
        if not is_idle or empty <= _EMPTY_REVISIONS:
            _add_revision(root, revision, picture, now)
    if empty > _EMPTY_REVISIONS:
        root.add(Text(f"and {empty - _EMPTY_REVISIONS} older, scaled down", style="dim"))
    return root


def short_revision(git_revision: str) -> str:
    """main@sha1:0123456…: enough to find the commit by."""
    return " + ".join(_short(revision) for revision in git_revision.split(" + "))


def _short(revision: str) -> str:
    branch, separator, commit = revision.rpartition(":")
    return f"{branch}:{commit[:7]}" if separator else revision[:12]


def _overview(rollout: Object) -> Table:
    status = dig(rollout, "status") or {}
    grid = Table.grid(padding=(0, 2))
    grid.add_row("  strategy", ", ".join(_strategy(rollout)))
    grid.add_row("  pods", ", ".join(_pods(rollout, status)))
    for copy in status.get("configCopies") or ():
        grid.add_row("  reads", f"{copy.get('kind')} {copy.get('name')} as {copy.get('copy')}")
    if git := status.get("gitRevision"):
        stable = status.get("stableGitRevision")
        other = f" (stable {short_revision(stable)})" if stable and stable != git else ""
        grid.add_row("  git", short_revision(git) + other)
    return grid


def _strategy(rollout: Object) -> Iterator[str]:
    yield facts.strategy(rollout)
    if done := facts.step_count(rollout):
        yield f"step {done}"
    actual, wanted = facts.actual_weight(rollout), facts.set_weight(rollout)
    if actual is not None:
        most = facts.max_weight(rollout)
        unit = " %" if most == 100 else f" of {most}"
        yield f"weight {actual}{unit}" + (f" (wanted {wanted}{unit})" if wanted not in (None, actual) else "")
        if dig(rollout, "status", "canary", "weights", "verified") is False:
            yield "not confirmed by the router"


def _pods(rollout: Object, status: Mapping[str, Any]) -> Iterator[str]:
    yield f"{dig(rollout, 'spec', 'replicas') or 0} desired"
    for word, key in (
        ("exist", "replicas"),
        ("updated", "updatedReplicas"),
        ("ready", "readyReplicas"),
        ("available", "availableReplicas"),
    ):
        yield f"{status.get(key, 0)} {word}"


def _why(rollout: Object) -> Iterator[Text]:
    """Why it stands still, and what a person can do about it."""
    name = dig(rollout, "metadata", "name")
    phase, _ = facts.phase(rollout)
    aborted = dig(rollout, "status", "abortReason")
    if aborted:
        yield from _abort_reason(aborted)
    if dig(rollout, "status", "abort"):
        yield _next("fix and deploy again", f"rollouts retry {name}")
    elif phase is Phase.PAUSED and dig(rollout, "spec", "paused"):
        yield _next(f"rollouts resume {name}", f"rollouts abort {name}")
    elif phase is Phase.PAUSED:
        yield _next(f"rollouts promote {name}", f"rollouts abort {name}")


def _abort_reason(aborted: Mapping[str, Any]) -> Iterator[Text]:
    at = "" if aborted.get("step") is None else f" at step {int(aborted['step']) + 1}"
    git = f", {short_revision(aborted['gitRevision'])}" if aborted.get("gitRevision") else ""
    of = f" of revision {aborted.get('revision')}{git}"
    yield Text.assemble(("Stopped  ", "bold red"), f"{aborted.get('reason')}{at}{of}")
    if metric := aborted.get("metric"):
        run = f"  ({aborted['analysisRun']})" if aborted.get("analysisRun") else ""
        yield Text.assemble(
            f"         metric {metric} was ",
            (str(aborted.get("value") or "unknown"), "bold"),
            f", wanted {aborted.get('threshold') or 'a verdict'}",
            (run, "dim"),
        )
    elif message := aborted.get("message"):
        yield Text(f"         {message}")


def _next(*options: str) -> Text:
    return Text.assemble(("Next     ", "bold"), ", or: ".join(options))


def _steps(steps: Iterable[facts.Step], *, aborted_at: int | None) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_row(Text("Steps", style="bold"))
    for step in steps:
        mark, style = _MARKS[step.place] if aborted_at is None else _ABORTED_MARKS[step.number == aborted_at]
        grid.add_row(Text(f"  {mark} {step.number}  {step.text}", style=style))
    return grid


def _webhooks(webhooks: Iterable[Mapping[str, Any]]) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_row(Text("Webhooks", style="bold"))
    for webhook in webhooks:
        at = "" if webhook.get("step") is None else f"  for step {int(webhook['step']) + 1}"
        said = f"  {webhook['message']}" if webhook.get("message") else ""
        what = f"  {webhook.get('name')}  {webhook.get('type')}{at}  "
        grid.add_row(Text.assemble(what, styled(str(webhook.get("phase"))), said))
    return grid


def _aborted_at(rollout: Object) -> int | None:
    """Number of the step at which the update was aborted; an abort itself goes back to the first one."""
    if not dig(rollout, "status", "abort"):
        return None
    step = dig(rollout, "status", "abortReason", "step")
    return int(step) + 1 if step is not None else 0


def _add_revision(root: Tree, revision: Revision, picture: Picture, now: datetime) -> None:
    branch = root.add(_revision_line(revision, now))
    for experiment in _of_revision(picture, picture.experiments, revision):
        branches.add_experiment(branch, experiment, picture.objects, now)
    for run in _of_revision(picture, picture.analysis_runs, revision):
        branches.add_run(branch, run, now)
    for pod in sorted(_pods_of(picture, revision), key=branches.creation):
        branch.add(branches.pod_line(pod, now))


def _of_revision(picture: Picture, things: Iterable[Object], revision: Revision) -> list[Object]:
    """What the Rollout has started for a revision, the newest first."""
    own = [t for t in things if facts.pod_template_hash(t) == revision.pod_template_hash]
    newest_first = sorted(facts.owned_by(picture.rollout, own), key=branches.creation, reverse=True)
    return newest_first[: branches.RUNS]


def _revision_line(revision: Revision, now: datetime) -> Text:
    roles = " ".join(role for role in revision.roles)
    style = {Role.STABLE: "green", Role.ACTIVE: "green"}.get(revision.roles[0], "cyan") if roles else "dim"
    git = f"  {short_revision(revision.git_revision)}" if revision.git_revision else ""
    return Text.assemble(
        (f"revision {revision.number}", "bold" if roles else "dim"),
        (f"  {roles}" if roles else "", style),
        f"  {revision.name}  {revision.ready}/{revision.desired} ready  {', '.join(revision.images)}{git}",
        (f"  {facts.age(revision.created_at, now)}", "dim"),
    )


def _pods_of(picture: Picture, revision: Revision) -> tuple[Object, ...]:
    sets = [s for s in picture.replica_sets if dig(s, "metadata", "name") == revision.name]
    return tuple(pod for s in sets for pod in facts.owned_by(s, picture.pods))


def _conditions(conditions: Sequence[Mapping[str, Any]], now: datetime) -> Table:
    ages = [facts.age(facts.instant(c.get("lastTransitionTime")), now) for c in conditions]
    return conditions_table(conditions, ages)
