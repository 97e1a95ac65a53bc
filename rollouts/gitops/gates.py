"""What keeps a new revision from being synced for now: a dependency, a sync window. Nobody is to blame.

Decides whether the gate is closed and what it says; what is in the cluster already is healed either way. Pure;
called by the controller before `plan.begin`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from rollouts.api.application import ApplicationSpec, Dependency
from rollouts.api.application_status import ApplicationCondition, ApplicationReason, ApplicationStatus
from rollouts.api.meta import ObjectMeta
from rollouts.api.parse import format_timestamp
from rollouts.errors import SpecError
from rollouts.gitops import windows

__all__ = ["Gate", "Known", "closed", "dependencies"]

Name = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True)
class Known:
    """Another Application, as far as it matters here."""

    metadata: ObjectMeta
    spec: ApplicationSpec
    status: ApplicationStatus


@dataclass(frozen=True, slots=True)
class Gate:
    """Closed for syncs that happen by themselves; `manual`: a person may go through."""

    reason: ApplicationReason
    message: str
    manual: bool = True
    until: datetime | None = None


Find = Callable[[Name], Known | None]


def closed(metadata: ObjectMeta, spec: ApplicationSpec, find: Find, now: datetime) -> Gate | None:
    """The first gate that is closed. Raises `SpecError` for Applications that wait for each other."""
    _check_circle(metadata, spec, find)
    for name in dependencies(metadata, spec):
        if problem := _problem(find(name)):
            message = f"waits for Application {'/'.join(name)}: {problem}"
            return Gate(ApplicationReason.DEPENDENCY_NOT_READY, message)
    found = windows.verdict(spec.sync_policy.sync_windows, now)
    if found.automatic:
        return None
    when = f", at the earliest at {format_timestamp(found.until)}" if found.until else ""
    message = f"waits for the {found.window}{when}"
    return Gate(ApplicationReason.SYNC_WINDOW_CLOSED, message, found.manual, found.until)


def dependencies(metadata: ObjectMeta, spec: ApplicationSpec) -> Iterator[Name]:
    for dependency in spec.depends_on:
        yield _name(dependency, metadata.namespace)


def _name(dependency: Dependency, namespace: str) -> Name:
    return dependency.namespace or namespace, dependency.name


def _problem(known: Known | None) -> str:
    """Why a dependency is not there yet."""
    if known is None:
        return "it does not exist"
    status = known.status
    ready = next((c for c in status.conditions if c.type == ApplicationCondition.READY), None)
    if status.observed_generation != known.metadata.generation or ready is None:
        return "its latest spec is not synced yet"
    return "" if ready.status == "True" else f"it is not Ready ({ready.reason})"


def _check_circle(metadata: ObjectMeta, spec: ApplicationSpec, find: Find) -> None:
    start = (metadata.namespace, metadata.name)
    trail: list[tuple[Name, tuple[Name, ...]]] = [(n, (start, n)) for n in dependencies(metadata, spec)]
    seen: set[Name] = set()
    while trail:
        name, path = trail.pop()
        if name == start:
            told = " -> ".join("/".join(n) for n in path)
            raise SpecError(
                "spec.dependsOn", None, f"these Applications wait for each other: {told}", "remove one"
            )
        known = find(name)
        if known and name not in seen:
            seen.add(name)
            trail += [(n, (*path, n)) for n in dependencies(known.metadata, known.spec)]
