"""Which cluster, namespace and API group a verb talks to, from flags, environment and kubeconfig.

Decides what a missing flag means, as kubectl does; opens no connection. Called by `session`.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from rollouts.api.meta import DEFAULT_GROUP, Names
from rollouts.errors import RolloutsError

Namespace = Annotated[
    str, typer.Option("-n", "--namespace", metavar="NAME", help="Namespace. Default: that of the context.")
]
Kubeconfig = Annotated[
    str, typer.Option(metavar="FILE", help="Default: KUBECONFIG, or ~/.kube/config.", show_default=False)
]
Context = Annotated[str, typer.Option(metavar="NAME", help="Context of the kubeconfig.", show_default=False)]
ApiGroup = Annotated[
    str,
    typer.Option(
        metavar="GROUP",
        envvar="ROLLOUTS_API_GROUP",
        help="API group of the Rollouts: argoproj.io in drop-in mode.",
        show_default=DEFAULT_GROUP,
    ),
]

_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class CliError(RolloutsError):
    """A verb cannot do what was asked: the object, what is wrong, and what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """The flags that every verb takes; an empty one was not given."""

    namespace: str = ""
    kubeconfig: str = ""
    context: str = ""
    api_group: str = ""

    def over(self, outer: Target) -> Target:
        """These flags, and where one is not given that of `outer` (`rollouts -n shop list`)."""
        return Target(
            self.namespace or outer.namespace,
            self.kubeconfig or outer.kubeconfig,
            self.context or outer.context,
            self.api_group or outer.api_group,
        )

    @property
    def names(self) -> Names:
        return Names(self.api_group or DEFAULT_GROUP)

    @property
    def in_cluster(self) -> bool:
        """No kubeconfig is named and we run in a pod: its service account is used."""
        return not (self.kubeconfig or self.context) and bool(os.environ.get("KUBERNETES_SERVICE_HOST"))


def namespace(target: Target) -> str:
    """The namespace that verbs without `-n` act in. Raises `CliError` on an unusable kubeconfig."""
    if target.in_cluster:
        found = _POD_NAMESPACE.read_text().strip() if _POD_NAMESPACE.exists() else ""
    else:
        found = namespace_of_context(_configurations(target.kubeconfig), target.context)
    return target.namespace or found or "default"


def namespace_of_context(configurations: Sequence[Mapping[str, Any]], context: str) -> str:
    """As kubectl merges kubeconfigs: the first one that says something wins."""
    wanted = context or next((c["current-context"] for c in configurations if c.get("current-context")), "")
    contexts = {
        c["name"]: c.get("context") or {}
        for configuration in reversed(configurations)
        for c in configuration.get("contexts") or ()
    }
    if wanted in contexts:
        return str(contexts[wanted].get("namespace", ""))
    if not context:
        raise CliError(
            "the kubeconfig has no current context; name one with --context "
            f"({', '.join(sorted(contexts)) or 'it defines none'})"
        )
    raise CliError(f"the kubeconfig has no context {context}; {_near(context, contexts)}")


def _configurations(kubeconfig: str) -> list[Mapping[str, Any]]:
    named = kubeconfig or os.environ.get("KUBECONFIG", "")
    paths = [Path(p) for p in named.split(os.pathsep) if p] or [Path.home() / ".kube" / "config"]
    found = [_read(path) for path in paths if path.exists()]
    if not found:
        missing = ", ".join(str(path) for path in paths)
        raise CliError(f"kubeconfig {missing} does not exist; name one with --kubeconfig, or set KUBECONFIG")
    return found


def _read(path: Path) -> Mapping[str, Any]:
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as e:
        raise CliError(f"kubeconfig {path} cannot be read: {type(e).__name__}; check the file") from e
    if not isinstance(loaded, Mapping):
        raise CliError(f"kubeconfig {path} is not a kubeconfig; check the file")
    return loaded


def _near(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, known, n=3)
    return f"did you mean {' or '.join(close)}?" if close else f"it has {', '.join(sorted(known)) or 'none'}"
