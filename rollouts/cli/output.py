"""How answers are printed: tables for people, JSON and YAML for programs.

Decides widths and formats; what is in an answer is decided by its verb.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rollouts.api.rollout_status import Phase

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


Output = Annotated[Format, typer.Option("-o", "--output", help="How to print the answer.")]
AllNamespaces = Annotated[bool, typer.Option("-A", "--all-namespaces", help="Every namespace.")]
Watch = Annotated[bool, typer.Option("-w", "--watch", help="Follow it until Ctrl-C.")]

_PIPE_WIDTH = 2000

_STYLES = {
    **dict.fromkeys((Phase.HEALTHY, "Successful", "Synced", "Succeeded", "True", "Running"), "green"),
    **dict.fromkeys((Phase.PROGRESSING, "Pending", "OutOfSync"), "cyan"),
    **dict.fromkeys((Phase.PAUSED, "Waiting", "Inconclusive", "Suspended", "Missing", "Unknown"), "yellow"),
    **dict.fromkeys((Phase.DEGRADED, "Failed", "Error", "False"), "bold red"),
}


def console() -> Console:
    """Where people look. Pipes have no width: nothing is cut there, as with kubectl."""
    from rich.console import Console

    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)


def show(answer: RenderableType) -> None:
    out = console()
    if out.is_terminal:
        out.print(answer)
        return
    with out.capture() as captured:
        out.print(answer)
    # Columns are padded for a screen; what reads a pipe compares lines.
    typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def styled(word: str) -> Text:
    """A phase or a verdict in its colour."""
    from rich.text import Text

    return Text(word, style=_STYLES.get(word, ""))


def table(columns: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> Table:
    """Aligned columns without lines; only the last one may wrap."""
    from rich.table import Table

    built = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for column in columns:
        built.add_column(column, no_wrap=column != columns[-1], overflow="fold")
    for row in rows:
        built.add_row(*row)
    return built


def document(thing: Mapping[str, Any], form: Format) -> str:
    """An object as JSON or YAML, without the bookkeeping of field managers."""
    metadata = {k: v for k, v in (thing.get("metadata") or {}).items() if k != "managedFields"}
    shown = {**thing, "metadata": metadata} if "metadata" in thing else dict(thing)
    if form is Format.JSON:
        return json.dumps(shown, indent=2)
    import yaml

    return str(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True)).rstrip("\n")


def listing(things: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "List", "items": list(things)}


def conditions_table(conditions: Sequence[Mapping[str, Any]], ages: Sequence[str]) -> Table:
    rows = [
        (
            str(c.get("type")),
            str(c.get("status")),
            age,
            f"{c.get('reason') or ''}  {c.get('message') or ''}".strip(),
        )
        for c, age in zip(conditions, ages, strict=True)
    ]
    return table(("CONDITION", "", "SINCE", "REASON"), rows)
