"""lint: are these manifests right? Needs no cluster, so that it runs before anything is pushed.

Reads files and prints; what is right is decided in `linting`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import typer

from rollouts.api.meta import DEFAULT_GROUP
from rollouts.cli import linting, output
from rollouts.cli.files import Files, content, paths
from rollouts.cli.linting import Finding, Manifest, Report
from rollouts.cli.output import Format, Output
from rollouts.cli.target import ApiGroup
from rollouts.gitops.resources import documents

app = typer.Typer()


@app.command("lint")
def lint(
    files: Files,
    form: Output = Format.TABLE,
    api_group: ApiGroup = DEFAULT_GROUP,
) -> None:
    """Check manifests without a cluster; exits with 1 if any is wrong."""
    unreadable: list[Finding] = []
    manifests = list(_manifests(files, unreadable))
    report = linting.check(manifests, frozenset({api_group}), datetime.now(UTC))
    report = dataclasses.replace(report, findings=(*unreadable, *report.findings))
    if form is Format.TABLE:
        _tell(report)
    else:
        typer.echo(output.document(dataclasses.asdict(report), form))
    if report.findings:
        raise typer.Exit(1)


def _tell(report: Report) -> None:
    for finding in report.findings:
        typer.echo(str(finding))
    for explanation in report.explained:
        typer.echo(explanation, err=True)
    if report.unknown:
        typer.echo(f"not among these files, so not checked: {', '.join(report.unknown)}", err=True)
    wrong = len(report.findings)
    checked = f"{report.checked} object{'' if report.checked == 1 else 's'}"
    typer.echo(f"{checked} checked, {wrong or 'none'} wrong", err=True)


def _manifests(files: Iterable[str], unreadable: list[Finding]) -> Iterator[Manifest]:
    for name in files:
        for path in paths(name):
            try:
                for document in documents.load(content(path)):
                    yield Manifest(str(path), document.index, document.line, document.value)
            except documents.DocumentError as e:
                unreadable.append(Finding(str(path), 1, e.line, "", "", e.problem))
