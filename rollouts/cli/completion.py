"""Completion of names from the cluster, and of words for `kubectl rollouts`.

A shell waits for an answer and shows no error, so whatever goes wrong is an empty one.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import typer

from rollouts.cli import target as targets
from rollouts.cli.target import Target
from rollouts.errors import RolloutsError

if TYPE_CHECKING:
    from rollouts.api.meta import Names
    from rollouts.kube import Resource

_SECONDS = 5.0
# kubectl reads the last line as cobra's directive; 4: complete no file names.
_NO_FILES = ":4"


def rollout_names(ctx: typer.Context, incomplete: str) -> list[str]:
    from rollouts.kube import resources

    return _names(ctx, incomplete, lambda names: resources.rollout(names.group))


def application_names(ctx: typer.Context, incomplete: str) -> list[str]:
    from rollouts.kube import resources

    return _names(ctx, incomplete, lambda _: resources.APPLICATION)


def words_of_a_kind(ctx: typer.Context, incomplete: str) -> list[str]:
    """Rollouts, or the kind of what is named next."""
    word = [w for w in ("experiment",) if incomplete and w.startswith(incomplete)]
    return [*rollout_names(ctx, incomplete), *word]


def experiment_names(ctx: typer.Context, incomplete: str) -> list[str]:
    from rollouts.kube import resources

    return _names(ctx, incomplete, lambda names: resources.experiment(names.group))


def for_kubectl() -> None:
    """The program `kubectl_complete-rollouts`: kubectl calls it with the words so far."""
    from rollouts.cli.main import app

    os.environ.update(asked(sys.argv[1:]))
    try:
        app(prog_name="rollouts")
    finally:
        typer.echo(_NO_FILES)


def asked(words: list[str]) -> Mapping[str, str]:
    """kubectl's question as bash would ask it; the last word is the one to complete."""
    return {
        "_ROLLOUTS_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(("rollouts", *words)),
        "COMP_CWORD": str(len(words)),
    }


def _names(ctx: typer.Context, incomplete: str, resource: Callable[[Names], Resource]) -> list[str]:
    given = {
        flag: str(ctx.params.get(flag) or "") for flag in ("namespace", "kubeconfig", "context", "api_group")
    }
    target = Target(**given)
    try:
        found = asyncio.run(_listed(target, resource(target.names)))
    except (RolloutsError, OSError, TimeoutError):
        return []
    return sorted(name for name in found if name.startswith(incomplete))


async def _listed(target: Target, resource: Resource) -> list[str]:
    from rollouts import kube

    async with asyncio.timeout(_SECONDS):
        client = await kube.connect(target.kubeconfig or None, target.context or None)
        try:
            page = await client.list(resource, targets.namespace(target))
        finally:
            await client.close()
    return [item["metadata"]["name"] for item in page.items]
