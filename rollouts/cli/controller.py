"""`rollouts controller`: flags and `ROLLOUTS_*` variables -> Settings; then the process runs.

Decides what a flag is called and what is wrong with its value; `rollouts.settings` says which there are. Everything
heavy is imported when the command runs.
"""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from rollouts.settings import Flag, Form, Settings

app = typer.Typer()


@app.command()
def controller(**flags: Any) -> None:
    """Run the controller until it is stopped."""
    settings = Settings(**flags)
    if settings.webhook_address and not settings.webhook_secret_file:
        raise typer.BadParameter(
            "it needs --webhook-secret-file: only signed webhooks are received",
            param_hint="--webhook-address",
        )
    from rollouts.controller import logs, main

    logs.configure(settings.log_format, settings.log_level)
    sys.exit(asyncio.run(main.run(settings)))


def _address(text: str) -> str:
    """Empty, or HOST:PORT."""
    _, colon, port = text.rpartition(":")
    if text and not (colon and port.isdigit() and int(port) < 65536):
        raise typer.BadParameter(f"{text} is not an address; write :8080, or 127.0.0.1:8080")
    return text


def _url(text: str) -> str:
    if text and not text.startswith(("http://", "https://")):
        raise typer.BadParameter(f"{text} is not a URL; write http://{text.lstrip('/')}")
    return text


_CHECKS: Mapping[Form | None, Callable[[str], str]] = {Form.ADDRESS: _address, Form.URL: _url}


def _parameters() -> Iterator[inspect.Parameter]:
    default, hints = Settings(), get_type_hints(Settings, include_extras=True)
    for setting in dataclasses.fields(Settings):
        if get_origin(hints[setting.name]) is Annotated:
            kind, flag = get_args(hints[setting.name])
            option = _option(setting.name, getattr(default, setting.name), flag)
            yield inspect.Parameter(
                setting.name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=kind
            )


def _option(name: str, default: object, flag: Flag) -> object:
    """With its environment variable: --log-level and ROLLOUTS_LOG_LEVEL."""
    word = name.replace("_", "-")
    switch = f"/--no-{word}" if isinstance(default, bool) else ""
    return typer.Option(
        default,
        f"--{word}{switch}",
        envvar=f"ROLLOUTS_{name.upper()}",
        help=flag.text,
        min=flag.least,
        callback=_CHECKS.get(flag.form),
        case_sensitive=False,
    )


# Typer reads the flags of a command from the signature of its function.
controller.__signature__ = inspect.Signature(list(_parameters()))  # type: ignore[attr-defined]
