"""version, crds: what this program is, and what a cluster needs for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rollouts import __version__
from rollouts.api import crd
from rollouts.api.meta import DEFAULT_GROUP, Names
from rollouts.cli.target import ApiGroup, CliError

app = typer.Typer()


@app.command("version")
def version() -> None:
    """The version of this program."""
    typer.echo(__version__)


@app.command("crds")
def crds(
    api_group: ApiGroup = DEFAULT_GROUP,
    directory: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write one file a kind instead of printing.", show_default=False),
    ] = None,
) -> None:
    """The CustomResourceDefinitions of an API group: rollouts crds | kubectl apply -f -"""
    names = Names(api_group)
    if directory is not None:
        try:
            for path in crd.write(directory, names):
                typer.echo(path)
        except OSError as e:
            raise CliError(f"--directory {directory} cannot be written: {e.strerror}") from None
        return
    typer.echo("---\n".join(crd.text(definition) for definition in crd.crds(names)), nl=False)
