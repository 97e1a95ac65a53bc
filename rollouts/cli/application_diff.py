"""app diff, app preview: what a commit would change, before anybody syncs it.

`diff` asks the API server, with dry runs, what would become of the objects; `preview` compares what two revisions
render to and needs no cluster, so CI can run it for a pull request and leave a comment there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rollouts.cli import completion
from rollouts.cli.session import Session, verb
from rollouts.cli.target import CliError

if TYPE_CHECKING:
    from rollouts.api.application import Application
    from rollouts.gitops.resources.manifests import ObjectKey
    from rollouts.gitops.resources.render import Rendered

app = typer.Typer()

DIFFERENT, TROUBLE = 1, 2
"""Exit codes, as those of `kubectl diff`."""

Checkout = Annotated[
    str, typer.Option("--path", metavar="DIR", help="A checkout of the repository; any directory in it.")
]
OptionalFile = Annotated[str, typer.Option("-f", "--filename", metavar="FILE", help="The Application.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Only name the objects.")]


@verb(app, "diff", trouble=TROUBLE)
async def diff(
    session: Session,
    name: Annotated[
        str,
        typer.Argument(
            metavar="[NAME]",
            help="Name of an Application of the cluster.",
            show_default=False,
            autocompletion=completion.application_names,
        ),
    ] = "",
    *,
    filename: OptionalFile = "",
    path: Checkout = ".",
    revision: Annotated[
        str, typer.Option("--revision", help="A commit, branch or tag of the checkout instead of its files.")
    ] = "",
    quiet: Quiet = False,
) -> None:
    """What a checkout, or a commit of it, would change in the cluster. Exit code 1: something."""
    from rollouts.cli import checkout, cluster_diff, object_diff
    from rollouts.controller.applications.given import GivenValues
    from rollouts.gitops.resources.render import RenderError

    found = await _application(session, name, filename)
    try:
        (given,) = await GivenValues(session.kube).of(found)
    except RenderError as e:
        raise CliError(str(e)) from None
    if revision:
        async with checkout.at_commits(path, revision) as (files,):
            rendered = await checkout.rendered(found, files, given)
    else:
        async with checkout.working_tree(path) as files:
            rendered = await checkout.rendered(found, files, given)
    different = await cluster_diff.differences(
        session.kube, session.names, found, rendered, datetime.now(UTC)
    )
    if different:
        typer.echo(object_diff.summary(different) if quiet else object_diff.told(different))
        raise typer.Exit(DIFFERENT)


@app.command("preview")
def preview(
    *,
    filename: Annotated[str, typer.Option("-f", "--filename", metavar="FILE", help="The Application.")],
    base: Annotated[str, typer.Option("--base", help="What is there now: a commit, branch or tag.")],
    head: Annotated[str, typer.Option("--head", help="What comes.")] = "HEAD",
    path: Checkout = ".",
    quiet: Quiet = False,
    comment: Annotated[
        str,
        typer.Option(
            "--comment",
            metavar="ci|HOST:OWNER/NAME#NUMBER",
            help="Tell a pull request, too: the one that CI runs for, or one of a github, gitlab or gitea. "
            "Later runs update the comment.",
        ),
    ] = "",
) -> None:
    """What a commit would change, by what it renders to; without a cluster."""
    from rollouts.api.meta import Names
    from rollouts.cli import checkout, comments, object_diff
    from rollouts.errors import RolloutsError

    try:
        found = checkout.read_application(filename, "default")
        before, after = asyncio.run(_both(found, path, base, head))
        different = object_diff.differences(_by_key(before), _by_key(after), Names())
        text = object_diff.summary(different) if quiet else object_diff.told(different)
        typer.echo(text or f"{head} changes no object of application {found.metadata.name}")
        if comment:
            where = comments.target(comment)
            told = comments.text(found.metadata.key, base, head, different)
            typer.echo(f"comment: {asyncio.run(comments.post(where, found.metadata.key, told))}", err=True)
    except RolloutsError as e:
        typer.echo(f"error: {e}", err=True)
        raise typer.Exit(TROUBLE) from None
    if different:
        raise typer.Exit(DIFFERENT)


async def _application(session: Session, name: str, filename: str) -> Application:
    from rollouts.cli import checkout
    from rollouts.kube import resources

    if bool(name) == bool(filename):
        raise CliError("name an Application of the cluster, or its file with -f")
    if filename:
        named = checkout.read_application(filename, session.namespace)
        known = await session.listed(resources.APPLICATION, named.metadata.namespace)
        body = next((a for a in known if a["metadata"]["name"] == named.metadata.name), None)
        return checkout.with_status(named, body) if body else named
    body = await session.existing(resources.APPLICATION.ref(name, session.namespace))
    return checkout.with_status(checkout.application(body, session.namespace), body)


async def _both(found: Application, path: str, base: str, head: str) -> tuple[Rendered, Rendered]:
    from rollouts.cli import checkout

    given = checkout.given_without_cluster(found)
    async with checkout.at_commits(path, base, head) as (old, new):
        return await checkout.rendered(found, old, given), await checkout.rendered(found, new, given)


def _by_key(found: Rendered) -> dict[ObjectKey, Mapping[str, Any]]:
    return {m.key: m.body for m in found.manifests}
