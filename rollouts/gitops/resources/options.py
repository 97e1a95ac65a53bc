"""How one object wants to be applied: what its annotations and labels ask for.

Decides only what they mean. Read are Argo CD's sync options (`Prune=false`, `Replace=true`, `Force=true`), Flux's
`prune`, `reconcile`, `force` and `ssa`, and both under our own group; and the annotation by which people claim an
object in an emergency. Pure; called by `plan`, `inventory` and the
controller's applier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rollouts.api.meta import APPLICATION_GROUP

__all__ = ["DEFAULT", "MARKS", "Options", "Policy", "of", "of_marks"]

_SYNC_OPTIONS = (f"{APPLICATION_GROUP}/sync-options", "argocd.argoproj.io/sync-options")
_FLUX = (APPLICATION_GROUP, "kustomize.toolkit.fluxcd.io")
_BREAK_GLASS = f"{APPLICATION_GROUP}/break-glass"
_WORDS = ("prune", "reconcile", "force", "ssa")

MARKS = frozenset({_BREAK_GLASS, *_SYNC_OPTIONS, *(f"{group}/{word}" for group in _FLUX for word in _WORDS)})
"""The annotations and labels that are read here."""


class Policy(StrEnum):
    """How an object is applied (Flux: ssa)."""

    OVERRIDE = "Override"
    MERGE = "Merge"
    """What people declare beside Git with kubectl stays."""
    IF_NOT_PRESENT = "IfNotPresent"
    """Created where it is missing, and left alone from then on."""
    IGNORE = "Ignore"
    """Neither applied nor compared nor pruned."""


@dataclass(frozen=True, slots=True)
class Options:
    policy: Policy = Policy.OVERRIDE
    keeps: bool = False
    """It stays when Git drops it."""
    replaces: bool = False
    """The whole object is written, so that fields of others go."""
    recreates: bool = False
    """Where a field cannot be changed in place, the object is deleted and made again."""


DEFAULT = Options()


def of(metadata: Mapping[str, Any]) -> Options:
    """The options in an object's metadata."""
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    return of_marks({k: v for k, v in {**labels, **annotations}.items() if k in MARKS})


def of_marks(marks: Mapping[str, str]) -> Options:
    """The options in annotations and labels; words that are not known ask for nothing."""
    if not marks:
        return DEFAULT
    asked = {o.strip() for name in _SYNC_OPTIONS for o in str(marks.get(name, "")).split(",")}
    return Options(
        policy=_policy(marks),
        keeps="Prune=false" in asked or _word(marks, "prune") == "disabled",
        replaces="Replace=true" in asked,
        recreates="Force=true" in asked or _word(marks, "force") == "enabled",
    )


def _policy(marks: Mapping[str, str]) -> Policy:
    if _word(marks, "reconcile") == "disabled" or marks.get(_BREAK_GLASS):
        return Policy.IGNORE
    known = {policy.lower(): policy for policy in Policy}
    return known.get(_word(marks, "ssa"), Policy.OVERRIDE)


def _word(marks: Mapping[str, str], name: str) -> str:
    return next((str(marks[f"{group}/{name}"]).lower() for group in _FLUX if f"{group}/{name}" in marks), "")
