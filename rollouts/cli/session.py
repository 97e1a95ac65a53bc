"""A verb that talks to a cluster: its flags, its connection, its objects, its errors.

A verb is a coroutine whose first parameter is a `Session`; `verb` makes a command of it. Decides what is
said when an object is not there, and nothing of what a verb does.
"""

from __future__ import annotations

import asyncio
import difflib
import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec

import typer

from rollouts.api.meta import Names
from rollouts.cli import completion
from rollouts.cli import target as targets
from rollouts.cli.target import ApiGroup, CliError, Context, Kubeconfig, Namespace, Target
from rollouts.errors import NotFound, RolloutsError, Transient

if TYPE_CHECKING:
    from rollouts.kube import Kube, Ref, Resource

P = ParamSpec("P")
Object = dict[str, Any]

FIELD_MANAGER = "rollouts-cli"


@dataclass(frozen=True, slots=True)
class Session:
    """One verb's connection, and what its flags say."""

    kube: Kube
    names: Names
    namespace: str

    @property
    def rollouts(self) -> Resource:
        from rollouts.kube import resources

        return resources.rollout(self.names.group)

    async def rollout(self, name: str) -> Object:
        return await self.existing(self.rollouts.ref(name, self.namespace))

    async def existing(self, ref: Ref) -> Object:
        """The object. Where it is absent the error names near ones, or says what is not installed."""
        try:
            return await self.kube.get(ref)
        except NotFound:
            raise CliError(await self._absent(ref)) from None

    async def listed(
        self, resource: Resource, namespace: str, label_selector: str = ""
    ) -> tuple[Object, ...]:
        try:
            return (await self.kube.list(resource, namespace, label_selector=label_selector)).items
        except NotFound:
            raise CliError(_not_served(resource)) from None

    async def _absent(self, ref: Ref) -> str:
        others = await self.listed(ref.resource, ref.namespace)
        where = f" in namespace {ref.namespace}" if ref.namespace else ""
        what = ref.resource.kind.lower()
        return f"{what} {ref.name} not found{where}; {_others(ref.name, (o['metadata']['name'] for o in others))}"


def verb(
    app: typer.Typer, name: str, *, trouble: int = 1
) -> Callable[
    [Callable[Concatenate[Session, P], Awaitable[None]]], Callable[Concatenate[Session, P], Awaitable[None]]
]:
    """Register a coroutine as a command that takes the flags of every verb beside its own.

    `trouble` is the exit code for an error, where 1 means something else.
    """

    def register(
        work: Callable[Concatenate[Session, P], Awaitable[None]],
    ) -> Callable[Concatenate[Session, P], Awaitable[None]]:
        @functools.wraps(work)
        def command(ctx: typer.Context, **arguments: Any) -> None:
            flags = Target(**{flag: arguments.pop(flag) for flag in _FLAGS})
            outer = ctx.obj if isinstance(ctx.obj, Target) else Target()
            try:
                asyncio.run(_with_session(flags.over(outer), work, arguments))
            except RolloutsError as e:
                typer.echo(f"error: {e}{_remedy(e)}", err=True)
                raise typer.Exit(trouble) from None

        own = inspect.signature(work, eval_str=True)
        command.__signature__ = own.replace(parameters=_parameters(own))  # type: ignore[attr-defined]
        command.__annotations__ = {}
        app.command(name)(command)
        return work

    return register


RolloutName = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="Name of the Rollout.",
        show_default=False,
        autocompletion=completion.rollout_names,
    ),
]

_FLAGS = {"namespace": Namespace, "kubeconfig": Kubeconfig, "context": Context, "api_group": ApiGroup}


def _parameters(own: inspect.Signature) -> list[inspect.Parameter]:
    """The verb's parameters with the Session replaced by the typer context, and the shared flags."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    context = inspect.Parameter("ctx", keyword, annotation=typer.Context)
    verbs = [p.replace(kind=keyword) for p in list(own.parameters.values())[1:]]
    flags = [inspect.Parameter(n, keyword, default="", annotation=hint) for n, hint in _FLAGS.items()]
    return [context, *verbs, *flags]


async def _with_session(target: Target, work: Callable[..., Awaitable[None]], arguments: Object) -> None:
    namespace = targets.namespace(target)
    from rollouts import kube

    client = await kube.connect(target.kubeconfig or None, target.context or None)
    try:
        await work(Session(client, target.names, namespace), **arguments)
    finally:
        await client.close()


def _remedy(error: RolloutsError) -> str:
    """What a person can do where the error, which the controller meets as well, does not say it."""
    return "; is it the right cluster? see --kubeconfig and --context" if isinstance(error, Transient) else ""


def _not_served(resource: Resource) -> str:
    return (
        f"the API server has no {resource.plural}.{resource.group}; install the CRDs "
        "(rollouts crds | kubectl apply -f -), or name the group that is there with --api-group"
    )


def _others(name: str, present: Iterable[str]) -> str:
    names = sorted(present)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    if not names:
        return "there are none; look elsewhere with -n NAMESPACE, or list -A"
    shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    return f"there are: {shown}"
