"""The program `rollouts`, which kubectl runs as `kubectl rollouts`.

Decides which module serves which word, and what an error looks like. A verb's module is imported only when
it is called: a person who types `rollouts abort` does not wait for what the linter needs.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import typer
import typer.core
import typer.main

from rollouts.cli.target import ApiGroup, CliError, Context, Kubeconfig, Namespace, Target
from rollouts.errors import RolloutsError

# Word -> module whose Typer `app` holds it.
_VERBS = {
    "list": "show",
    "get": "show",
    "status": "wait",
    "promote": "steer",
    "abort": "steer",
    "retry": "steer",
    "terminate": "steer",
    "pause": "steer",
    "resume": "steer",
    "undo": "revise",
    "restart": "steer",
    "history": "revise",
    "lint": "lint",
    "simulate": "simulate",
    "convert": "convert",
    "controller": "controller",
    "crds": "about",
    "version": "about",
}
# Word -> app that holds the words under it, `module` or `module:name`, and what the help says of it.
_GROUPS = {
    "app": ("application", "Applications: list, get, diff, preview, sync, retry, rollback."),
    "analysis": ("analyse", "Analyses, before they guard anything: run now, backtest on the past."),
    "set": ("revise:set_app", "Change one thing of a Rollout: set image."),
    "sandbox": ("sandbox", "A real cluster with simulated pods, Prometheus and Git, on this machine."),
}


class Group(typer.core.TyperGroup):
    """A group of words whose module is imported when one of them is called."""

    def __init__(self, name: str) -> None:
        self._where, described = _GROUPS[name]
        super().__init__(name=name, help=described, no_args_is_help=True)

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return _loaded(self._where).list_commands(ctx)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        return _loaded(self._where).get_command(ctx, cmd_name)


class Words(typer.core.TyperGroup):
    """The words of the program, in the order in which they are told."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        del ctx
        return [*_VERBS, *_GROUPS]

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        del ctx
        if cmd_name in _GROUPS:
            return Group(cmd_name)
        return _loaded(_VERBS[cmd_name]).commands[cmd_name] if cmd_name in _VERBS else None


app = typer.Typer(
    cls=Words,
    help="Progressive delivery and GitOps: see, steer and check Rollouts and Applications.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root(
    ctx: typer.Context,
    namespace: Namespace = "",
    kubeconfig: Kubeconfig = "",
    context: Context = "",
    api_group: ApiGroup = "",
) -> None:
    ctx.obj = Target(namespace, kubeconfig, context, api_group)


def main() -> None:
    try:
        app()
    except RolloutsError as e:
        typer.echo(f"error: {e}", err=True)
        sys.exit(1)


def _loaded(where: str) -> typer.core.TyperGroup:
    module, _, name = where.partition(":")
    try:
        loaded = importlib.import_module(f"rollouts.cli.{module}")
    except ModuleNotFoundError as e:
        if not e.name or e.name.partition(".")[0] in ("rollouts", "analysis"):
            raise
        remedy = "pip install 'rollouts[sandbox]'" if module == "sandbox" else "install rollouts again"
        raise CliError(f"rollouts {module} needs the package {e.name}, which is not there; {remedy}") from e
    return typer.main.get_group(getattr(loaded, name or "app"))
