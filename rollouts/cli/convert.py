"""convert: manifests of Flagger, Argo CD and Flux, or plain Deployments, as ours. Needs no cluster.

Reads files and prints; what becomes of what is decided in `rollouts.convert`.
"""

from __future__ import annotations

import typer

from rollouts.api.meta import DEFAULT_GROUP, Names
from rollouts.cli import files, output
from rollouts.cli.output import Format
from rollouts.cli.target import ApiGroup, CliError
from rollouts.convert import manifests
from rollouts.errors import SpecError

app = typer.Typer()


@app.command("convert")
def convert(filenames: files.Files, api_group: ApiGroup = DEFAULT_GROUP) -> None:
    """Print Canaries of Flagger and Deployments as Rollouts, and what Argo CD and Flux sync as Applications."""
    try:
        converted = manifests.convert(files.objects(filenames), Names(api_group).api_version)
    except SpecError as e:
        raise CliError(str(e)) from None
    if not converted.objects:
        problem = "no Canary, Deployment, Argo CD Application or Flux Kustomization is in the files"
        raise CliError(f"{problem}; name one that has")
    typer.echo("\n---\n".join(output.document(body, Format.YAML) for body in converted.objects))
    for loss in converted.losses:
        typer.echo(f"warning: {loss}", err=True)
