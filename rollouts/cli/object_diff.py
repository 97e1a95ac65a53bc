"""Two sets of objects, told as a difference that a person reads: unified, values of Secrets masked.

Decides what of an object is told (nothing that the API server keeps for itself) and in which order. Pure.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import yaml

from rollouts.api.meta import Names
from rollouts.gitops.resources.manifests import LAST_APPLIED_ANNOTATION, ObjectKey

__all__ = ["Difference", "Kind", "differences", "summary", "told"]

Body = Mapping[str, Any]

_SERVER_FIELDS = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")
_MASK, _BEFORE, _AFTER = "***", "*** (before)", "*** (after)"


class Kind(StrEnum):
    """The sign that stands for it in a summary."""

    ADDED = "+"
    CHANGED = "~"
    REMOVED = "-"


@dataclass(frozen=True, slots=True)
class Difference:
    kind: Kind
    key: ObjectKey
    text: str


def differences(
    before: Mapping[ObjectKey, Body], after: Mapping[ObjectKey, Body], names: Names
) -> tuple[Difference, ...]:
    """What has to happen to make `after` of `before`; nothing for objects that are equal."""
    return tuple(_each(before, after, names))


def told(found: Iterable[Difference]) -> str:
    return "\n".join(d.text for d in found)


def summary(found: Iterable[Difference]) -> str:
    return "\n".join(f"{d.kind} {d.key}" for d in found)


def _each(
    before: Mapping[ObjectKey, Body], after: Mapping[ObjectKey, Body], names: Names
) -> Iterator[Difference]:
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        shown_old, shown_new = _shown(old, new, names)
        if shown_old == shown_new:
            continue
        kind = Kind.ADDED if old is None else Kind.REMOVED if new is None else Kind.CHANGED
        lines = difflib.unified_diff(
            _lines(shown_old), _lines(shown_new), f"before/{key}", f"after/{key}", lineterm=""
        )
        yield Difference(kind, key, "\n".join(lines))


def _shown(old: Body | None, new: Body | None, names: Names) -> tuple[Body | None, Body | None]:
    told_old, told_new = _trimmed(old, names), _trimmed(new, names)
    if (old or new or {}).get("kind") != "Secret":
        return told_old, told_new
    return _masked(told_old, told_new, _BEFORE), _masked(told_new, told_old, _AFTER)


def _trimmed(body: Body | None, names: Names) -> Body | None:
    """Without what is not declared: status, what the server keeps, and our own marks."""
    if body is None:
        return None
    ours = {LAST_APPLIED_ANNOTATION, names.git_revision_annotation, names.fast_rollback_annotation}
    labels = {names.application_name_label, names.application_namespace_label}
    metadata = {k: v for k, v in body["metadata"].items() if k not in _SERVER_FIELDS}
    for field, hidden in (("annotations", ours), ("labels", labels)):
        kept = {k: v for k, v in (metadata.pop(field, None) or {}).items() if k not in hidden}
        if kept:
            metadata[field] = kept
    return {**{k: v for k, v in body.items() if k not in ("metadata", "status")}, "metadata": metadata}


def _masked(body: Body | None, other: Body | None, mark: str) -> Body | None:
    """That a value differs is told, never what it is."""
    if body is None:
        return None
    masked = dict(body)
    for field in ("data", "stringData"):
        values, others = body.get(field) or {}, (other or {}).get(field) or {}
        if values:
            masked[field] = {k: mark if k in others and others[k] != v else _MASK for k, v in values.items()}
    return masked


def _lines(body: Body | None) -> list[str]:
    if body is None:
        return []
    return yaml.safe_dump(_plain(body), sort_keys=True, default_flow_style=False).splitlines()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value
