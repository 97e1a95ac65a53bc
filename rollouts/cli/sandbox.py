"""`rollouts sandbox up | down | status | env | repository | demo`: the sandbox for people at a shell.

Only reads flags and prints; what happens is decided in `rollouts.sandbox`.
"""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Literal, ParamSpec

import typer

from rollouts import sandbox
from rollouts.sandbox import paths, progress

Arguments = ParamSpec("Arguments")

app = typer.Typer(
    name="sandbox",
    help="A real Kubernetes API server with simulated pods, Prometheus and Git, on this machine.",
    no_args_is_help=True,
)


class Preset(StrEnum):
    """How much of a sandbox to start."""

    API = "api"
    CLUSTER = "cluster"
    ALL = "all"


Directory = Annotated[
    Path | None,
    typer.Option("--directory", "-d", help="Where the sandbox keeps its state.", show_default=False),
]
Name = Annotated[
    str, typer.Option("--name", "-n", help="A sandbox in your own state directory, unless -d is given.")
]
BinDir = Annotated[
    Path | None,
    typer.Option(help="Prebuilt programs; what is missing there is built.", show_default=False),
]


def told(command: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """A failure is told as what failed, why, and what to do, and ends with status 1."""

    @wraps(command)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except sandbox.SandboxError as error:
            typer.echo(f"{error.step} failed: {error.why}\n{error.remedy}", err=True)
            raise typer.Exit(1) from error

    return run


@app.command()
@told
def up(
    directory: Directory = None,
    name: Name = "default",
    preset: Annotated[Preset, typer.Option(help="How much of it to start.")] = Preset.ALL,
    bin_dir: BinDir = None,
    *,
    nodes: Annotated[int, typer.Option(min=1, max=100, help="Simulated nodes of 1000 pods each.")] = 4,
    git_https: Annotated[bool, typer.Option("--git-https", help="Serve Git by https.")] = False,
) -> None:
    """Start a sandbox, or what is missing of one that runs."""
    started = sandbox.up(
        _directory(directory, name),
        wanted=sandbox.PRESETS[preset],
        bin_dir=bin_dir,
        nodes=nodes,
        git_https=git_https,
        report=progress.to_stderr(),
    )
    if shutil.which("kubectl") is None:
        started.binaries.ensure(("kubectl",))
    typer.echo(f"The sandbox in {started.directory} is up.", err=True)
    typer.echo(f'Use it: eval "$({_command("env", directory, name)})"', err=True)
    typer.echo(f"End it: {_command('down', directory, name)}", err=True)


@app.command()
@told
def down(
    directory: Directory = None,
    name: Name = "default",
    *,
    delete: Annotated[bool, typer.Option("--delete", help="Delete its data as well.")] = False,
) -> None:
    """End everything that the sandbox started; its data stays for the next `up`."""
    ended = sandbox.load(_directory(directory, name))
    ended.down(remove=delete)
    kept = "deleted" if delete else f"kept in {ended.directory}"
    typer.echo(f"The sandbox is down; its data is {kept}.", err=True)


@app.command()
@told
def status(
    directory: Directory = None,
    name: Name = "default",
    output: Annotated[Literal["text", "json"], typer.Option("--output", "-o")] = "text",
) -> None:
    """Say which components run; exits with 3 if none does."""
    shown = sandbox.load(_directory(directory, name))
    running = shown.components
    if output == "json":
        components = {str(component): component in running for component in sandbox.Component}
        typer.echo(json.dumps({"directory": str(shown.directory), "components": components}))
    else:
        for component in sandbox.Component:
            typer.echo(f"{component:<24} {'running' if component in running else 'stopped'}")
    if not running:
        raise typer.Exit(3)


@app.command()
@told
def env(directory: Directory = None, name: Name = "default") -> None:
    """Print what a shell needs to use the sandbox: eval "$(rollouts sandbox env)"."""
    for variable, value in variables(sandbox.load(_directory(directory, name))).items():
        typer.echo(f"export {variable}={value}")


@app.command()
@told
def repository(
    repository_name: Annotated[
        str, typer.Argument(metavar="NAME", help="Such as shop, or team/shop.", show_default=False)
    ],
    directory: Directory = None,
    name: Name = "default",
) -> None:
    """Make an empty repository on the sandbox's Git server, if there is none of that name; print its URL."""
    made = sandbox.load(_directory(directory, name)).create_repository(repository_name)
    typer.echo(made.url)


@app.command()
@told
def demo(
    *,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running and say what to try.")
    ] = False,
) -> None:
    """Play the main job on a sandbox of its own: good and bad releases, put back and promoted."""
    from rollouts.demo import play

    raise typer.Exit(play(keep=keep))


def variables(used: sandbox.Sandbox) -> Mapping[str, str]:
    """The environment of a shell that uses the sandbox, quoted for it."""
    plain = {
        "KUBECONFIG": str(used.kubeconfig),
        "PROMETHEUS_URL": used.prometheus_url,
        "GIT_URL": used.git_url,
        "GIT_USERNAME": used.git_username,
        "GIT_PASSWORD": used.git_password,
    }
    quoted = {variable: shlex.quote(value) for variable, value in plain.items()}
    kubectl = used.binaries.built("kubectl")
    if shutil.which("kubectl") is None and kubectl is not None:
        quoted["PATH"] = f'{shlex.quote(str(kubectl.parent))}:"$PATH"'
    return quoted


def _directory(directory: Path | None, name: str) -> Path:
    return directory if directory is not None else paths.state_directory(name)


def _command(verb: str, directory: Path | None, name: str) -> str:
    """The command for the same sandbox, as a person would type it."""
    if directory is not None:
        return f"rollouts sandbox {verb} -d {shlex.quote(str(directory))}"
    return f"rollouts sandbox {verb}" + (f" -n {shlex.quote(name)}" if name != "default" else "")
