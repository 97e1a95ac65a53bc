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

from rollouts.cli.target import ApiGroup, Context, Kubeconfig, Namespace, Target
from rollouts.errors import RolloutsError

# Word -> module whose Typer `app` holds it; for a group of words the app itself, `module` or `module:name`.
_VERBS = {
    "list": "show",
    "get": "show",
    "status": "wait",
    "promote": "steer",
    "abort": "steer",
    "retry": "steer",
    "pause": "steer",
    "resume": "steer",
    "undo": "revise",
    "restart": "steer",
    "history": "revise",
}
_GROUPS = {
    "set": "revise:set_app",
    "sandbox": "sandbox",
}


class Words(typer.core.TyperGroup):
    """The words of the program, in the order in which they are told."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        del ctx
        return [*_VERBS, *_GROUPS]

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        del ctx
        if cmd_name in _GROUPS:
            return _loaded(_GROUPS[cmd_name])
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
    return typer.main.get_group(getattr(importlib.import_module(f"rollouts.cli.{module}"), name or "app"))
