"""undo, set image, history: a person changes what should run, or asks what ran before.

Decides which earlier revision is meant; what an update does is the controller's matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rollouts.api.meta import POD_TEMPLATE_HASH_LABEL
from rollouts.cli import facts, output, patches
from rollouts.cli.facts import Revision, dig
from rollouts.cli.output import Format, Output
from rollouts.cli.session import FIELD_MANAGER, Object, RolloutName, Session, verb
from rollouts.cli.target import CliError

if TYPE_CHECKING:
    from rich.table import Table

    from rollouts.kube.resources import Ref

app = typer.Typer()
set_app = typer.Typer(help="Change one thing of a Rollout.", no_args_is_help=True)


@set_app.callback()
def _set() -> None:
    pass


@verb(app, "undo")
async def undo(
    session: Session,
    name: RolloutName,
    to_revision: Annotated[
        int, typer.Option(metavar="N", help="Revision to go back to. Default: the one before.", min=0)
    ] = 0,
) -> None:
    """Go back to an earlier revision."""
    rollout = await session.rollout(name)
    target = earlier_revision(name, await _revisions(session, rollout), to_revision)
    wanted = template_of(target)
    holder = await _holder(session, rollout)
    if wanted == dig(holder.body, *holder.path.strip("/").split("/")):
        typer.echo(f"rollout '{name}' has the template of revision {target.number} already")
        return
    await _json_patch(session, holder, patches.replace_template(wanted, holder.path))
    typer.echo(f"rollout '{name}' undone to revision {target.number}")
    _warn_if_managed(session, rollout)


@verb(set_app, "image")
async def set_image(
    session: Session,
    name: RolloutName,
    images: Annotated[
        list[str],
        typer.Argument(metavar="CONTAINER=IMAGE...", help="* names every container.", show_default=False),
    ],
) -> None:
    """Set the images of containers."""
    rollout = await session.rollout(name)
    holder = await _holder(session, rollout)
    patch = patches.set_image(holder.body, parse_images(images), holder.path)
    if not patch:
        typer.echo(f"rollout '{name}' has these images already")
        return
    await _json_patch(session, holder, patch)
    typer.echo(f"rollout '{name}' image updated")
    _warn_if_managed(session, rollout)


@verb(app, "history")
async def history(session: Session, name: RolloutName, form: Output = Format.TABLE) -> None:
    """The revisions that `undo` can go back to, newest first."""
    rollout = await session.rollout(name)
    revisions = await _revisions(session, rollout)
    if form is not Format.TABLE:
        typer.echo(output.document({"revisions": [_revision_document(r) for r in revisions]}, form))
        return
    output.show(history_table(revisions, datetime.now(UTC)))


def earlier_revision(name: str, revisions: Sequence[Revision], number: int) -> Revision:
    """Revision `number`, or the one before the newest. Raises `CliError` naming those that are there."""
    if number == 0 and len(revisions) > 1:
        return revisions[1]
    found = next((r for r in revisions if r.number == number), None)
    if found is None:
        there = ", ".join(str(r.number) for r in revisions) or "none"
        what = f"revision {number}" if number else "earlier revision"
        raise CliError(f"rollout {name} has no {what}; it has {there} (spec.revisionHistoryLimit keeps them)")
    return found


def template_of(revision: Revision) -> Object:
    """The pod template as a person wrote it: without the label that tells ReplicaSets apart."""
    metadata = dict(dig(revision.template, "metadata") or {})
    labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k != POD_TEMPLATE_HASH_LABEL}
    return {**revision.template, "metadata": {**metadata, "labels": labels}}


def parse_images(arguments: Sequence[str]) -> Mapping[str, str]:
    pairs = [argument.partition("=") for argument in arguments]
    for argument, (container, _, image) in zip(arguments, pairs, strict=True):
        if not container or not image:
            raise typer.BadParameter(f"{argument} is not CONTAINER=IMAGE; write web=registry.example/web:1.2")
    return {container: image for container, _, image in pairs}


def history_table(revisions: Sequence[Revision], now: datetime) -> Table:
    rows = [
        (
            str(r.number),
            " ".join(r.roles) or "-",
            f"{r.ready}/{r.desired}",
            r.pod_template_hash,
            facts.age(r.created_at, now),
            r.git_revision or "-",
            ", ".join(r.images),
        )
        for r in revisions
    ]
    return output.table(("REVISION", "ROLE", "READY", "HASH", "AGE", "GIT", "IMAGES"), rows)


async def _revisions(session: Session, rollout: Object) -> tuple[Revision, ...]:
    from rollouts.kube import resources

    replica_sets = await session.listed(resources.REPLICA_SET, session.namespace)
    return facts.revisions(rollout, replica_sets, session.names)


@dataclass(frozen=True, slots=True)
class Holder:
    """What holds the pod template: the Rollout itself, or the object in its workloadRef."""

    ref: Ref
    path: str
    body: Object


async def _holder(session: Session, rollout: Object) -> Holder:
    from rollouts.kube import resources

    kind, name = (dig(rollout, "spec", "workloadRef", key) for key in ("kind", "name"))
    if kind is None:
        ref = session.rollouts.ref(str(dig(rollout, "metadata", "name")), session.namespace)
        return Holder(ref, "/spec/template", rollout)
    known = {r.kind: r for r in (resources.DEPLOYMENT, resources.REPLICA_SET, resources.POD_TEMPLATE)}
    if kind not in known:
        raise CliError(f"spec.workloadRef.kind is {kind}; it must be one of {', '.join(known)}")
    ref = known[kind].ref(str(name), session.namespace)
    path = "/template" if kind == "PodTemplate" else "/spec/template"
    return Holder(ref, path, await session.existing(ref))


async def _json_patch(session: Session, holder: Holder, patch: Sequence[Mapping[str, Any]]) -> None:
    await session.kube.json_patch(holder.ref, patch, field_manager=FIELD_MANAGER)


def _warn_if_managed(session: Session, rollout: Object) -> None:
    """A change by hand is drift to the Git half: say so before it is undone."""
    application = (dig(rollout, "metadata", "labels") or {}).get(session.names.application_name_label)
    if application:
        typer.echo(
            f"note: application {application} manages this rollout and may put Git's template back; "
            "to keep the change, commit it, or set spec.suspend of the application",
            err=True,
        )


def _revision_document(revision: Revision) -> dict[str, Any]:
    return {
        "revision": revision.number,
        "replicaSet": revision.name,
        "podTemplateHash": revision.pod_template_hash,
        "roles": [str(role) for role in revision.roles],
        "images": list(revision.images),
        "gitRevision": revision.git_revision,
    }
