"""An Application drawn for a person: what Git says, what runs, and why they differ.

Pure: objects and `now` in, renderables out. Called by `application`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rollouts.cli import facts
from rollouts.cli.facts import Object, dig
from rollouts.cli.output import conditions_table, styled, table
from rollouts.cli.tree import short_revision

_COMMIT = re.compile(r"\b(sha1:[0-9a-f]{7}|sha256:[0-9a-f]{7})[0-9a-f]{33,57}\b")
_REVISIONS = (
    ("git says", "desiredRevision"),
    ("last tried", "attemptedRevision"),
    ("last good", "lastGoodRevision"),
    ("running", "runningRevision"),
)


def listing(applications: Sequence[Object], now: datetime, *, everywhere: bool) -> Table:
    columns = ("NAME", "SYNC", "HEALTH", "RUNNING", "GIT SAYS", "AGE", "MESSAGE")
    rows = [_row(application, now) for application in applications]
    if not everywhere:
        return table(columns, rows)
    namespaces = [str(dig(application, "metadata", "namespace")) for application in applications]
    return table(("NAMESPACE", *columns), [(n, *row) for n, row in zip(namespaces, rows, strict=True)])


def drawn(application: Object, now: datetime) -> RenderableType:
    """Everything about one Application."""
    parts: list[RenderableType] = [_headline(application), _overview(application)]
    if refused := tuple(_quarantine(application, now)):
        parts.extend((Text(), *refused))
    if listed := dig(application, "status", "resources"):
        parts.extend((Text(), _resources(listed)))
    if conditions := dig(application, "status", "conditions"):
        parts.extend((Text(), _conditions(conditions, now)))
    return Group(*parts)


def one_line(application: Object) -> str:
    status = dig(application, "status") or {}
    parts = (
        str(dig(status, "sync", "status") or "Unknown"),
        str(dig(status, "health", "status") or "Unknown"),
        f"running {short_revision(status['runningRevision'])}" if status.get("runningRevision") else "",
        f"git says {short_revision(status['desiredRevision'])}" if status.get("desiredRevision") else "",
        _message(application),
    )
    return "  ".join(part for part in parts if part)


def _row(application: Object, now: datetime) -> tuple[str | Text, ...]:
    status = dig(application, "status") or {}
    return (
        str(dig(application, "metadata", "name")),
        styled(str(dig(status, "sync", "status") or "Unknown")),
        styled(str(dig(status, "health", "status") or "Unknown")),
        short_revision(status.get("runningRevision") or "") or "-",
        short_revision(status.get("desiredRevision") or "") or "-",
        facts.age(facts.created_at(application), now),
        _message(application),
    )


def _headline(application: Object) -> Text:
    name = f"{dig(application, 'metadata', 'namespace')}/{dig(application, 'metadata', 'name')}"
    sync = styled(str(dig(application, "status", "sync", "status") or "Unknown"))
    health = styled(str(dig(application, "status", "health", "status") or "Unknown"))
    parts = ("Application ", "dim"), (name, "bold"), "  ", sync, "  ", health
    # Why a revision is in quarantine is told below, once.
    message = "" if _holding(application) else _message(application)
    return Text.assemble(*parts, f"  {message}".rstrip())


def _overview(application: Object) -> Table:
    grid = Table.grid(padding=(0, 2))
    source = dig(application, "spec", "source")
    for found in [source] if source else dig(application, "spec", "sources") or ():
        what = found.get("chart") or found.get("path") or (f"${found['ref']}" if found.get("ref") else ".")
        grid.add_row("  source", f"{found.get('repoURL')}  {found.get('targetRevision', 'HEAD')}  {what}")
    for word, key in _REVISIONS:
        grid.add_row(f"  {word}", str(dig(application, "status", key) or "-"))
    if attempt := dig(application, "status", "operationState"):
        message = "" if _holding(application) else short_commits(str(attempt.get("message") or ""))
        grid.add_row("  attempt", Text.assemble(styled(str(attempt.get("phase"))), f"  {message}".rstrip()))
    for word, told in _outward(application):
        grid.add_row(f"  {word}", told)
    return grid


def _outward(application: Object) -> Iterator[tuple[str, str]]:
    """What the Git host knows."""
    if told := dig(application, "status", "commitStatus"):
        state = f"{told['state']} of {short_revision(str(told.get('revision')))}" if told.get("state") else ""
        yield "commit status", "; ".join(t for t in (state, str(told.get("message") or "")) if t)
    if record := dig(application, "status", "lastGoodRecord"):
        known = short_revision(str(record["revision"])) if record.get("revision") else "none"
        yield "good in Git", "; ".join(t for t in (known, str(record.get("message") or "")) if t)
    for revert in (dig(application, "status", "reverts") or ())[:1]:
        where = revert.get("url") or revert.get("message") or f"{revert.get('branch')} {revert.get('commit')}"
        yield "revert", f"{revert['state']} of {short_revision(str(revert.get('revision')))}: {where}"


def _quarantine(application: Object, now: datetime) -> Iterator[Text]:
    entries = dig(application, "status", "quarantine") or ()
    if not entries:
        return
    name = dig(application, "metadata", "name")
    holding = _holding(application)
    yield Text("Quarantine", style="bold")
    for entry in entries:
        ago = facts.age(facts.instant(entry.get("at")), now)
        mark = "▶" if entry == holding else " "
        what = f"  {mark} {short_revision(str(entry.get('revision')))}  "
        yield Text.assemble(what, (str(entry.get("reason")), "bold red"), f"  {ago} ago")
        yield Text(f"      {short_commits(str(entry.get('message') or ''))}".rstrip())
    if holding:
        yield Text.assemble(("Next  ", "bold"), f"push a fix, or: rollouts app retry {name}")


def _resources(resources: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        (
            f"{r.get('kind')}",
            f"{r['namespace']}/{r.get('name')}" if r.get("namespace") else f"{r.get('name')}",
            styled(str(r.get("status") or "Synced")),
            styled(str(dig(r, "health", "status") or "-")),
            str(dig(r, "health", "message") or ""),
        )
        for r in resources
    ]
    return table(("KIND", "NAME", "SYNC", "HEALTH", "MESSAGE"), rows)


def _conditions(conditions: Sequence[Mapping[str, Any]], now: datetime) -> Table:
    ages = [facts.age(facts.instant(c.get("lastTransitionTime")), now) for c in conditions]
    told = [{**c, "message": short_commits(str(c.get("message") or ""))} for c in conditions]
    # Stalled and Reconciling say again what Ready says.
    said = next((c["message"] for c in told if c.get("type") == "Ready"), "")
    again = [c | {"message": ""} if c["message"] == said and c.get("type") != "Ready" else c for c in told]
    return conditions_table(again, ages)


def short_commits(text: str) -> str:
    """Commits cut to what a person compares: main@sha1:8b73d9e."""
    return _COMMIT.sub(r"\1", text)


def _holding(application: Object) -> Mapping[str, Any] | None:
    """The quarantine of what Git says, if it is in quarantine."""
    desired = dig(application, "status", "desiredRevision")
    entries = dig(application, "status", "quarantine") or ()
    return next((entry for entry in entries if entry.get("revision") == desired), None)


def _message(application: Object) -> str:
    """In one line: why Git's word is not true here; empty while it is."""
    if entry := _holding(application):
        return f"quarantined: {entry.get('reason')}"
    conditions = dig(application, "status", "conditions") or ()
    ready: Mapping[str, Any] = next((c for c in conditions if c.get("type") == "Ready"), {})
    return "" if ready.get("status") == "True" else short_commits(str(ready.get("message") or ""))
