"""Hooks: objects that run once with each attempt, before, with or after the others (Argo CD's, and Helm's).

Decides what is a hook, when it is due, and how far a phase has come. Hooks are not part of what is kept
applied: they are neither healed nor pruned, and a rollback to the last good set runs none. A hook in the
cluster belongs to an attempt by the mark on it, so a killed process runs none twice. Pure.

PostSync waits for what matters: every Rollout of the revision promoted and every object healthy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rollouts.api.application_status import HealthStatus, HookPhase, HookResult, HookType
from rollouts.api.meta import APPLICATION_GROUP, Names
from rollouts.api.parse import format_timestamp
from rollouts.gitops.resources.live import HOOK_ANNOTATION, Live
from rollouts.gitops.resources.manifests import Manifest, ObjectKey
from rollouts.gitops.resources.order import wave
from rollouts.gitops.revision import Attempt

__all__ = ["Hook", "Progress", "mark", "progress", "split"]

_HOOKS = (f"{APPLICATION_GROUP}/hook", "argocd.argoproj.io/hook")
_POLICIES = (f"{APPLICATION_GROUP}/hook-delete-policy", "argocd.argoproj.io/hook-delete-policy")
_HELM_HOOK = "helm.sh/hook"
_HELM_POLICY = "helm.sh/hook-delete-policy"

_BEFORE_CREATION = "BeforeHookCreation"
_OF_HELM = {
    "pre-install": HookType.PRE_SYNC,
    "pre-upgrade": HookType.PRE_SYNC,
    "post-install": HookType.POST_SYNC,
    "post-upgrade": HookType.POST_SYNC,
}
_POLICY_OF_HELM = {
    "before-hook-creation": _BEFORE_CREATION,
    "hook-succeeded": "HookSucceeded",
    "hook-failed": "HookFailed",
}
_DELETED_AFTER = {HookPhase.SUCCEEDED: "HookSucceeded", HookPhase.FAILED: "HookFailed"}


@dataclass(frozen=True, slots=True)
class Hook:
    """`types` is empty for a hook that is never run (Skip, tests, before deletion)."""

    manifest: Manifest
    types: frozenset[HookType]
    policies: frozenset[str]

    @property
    def wave(self) -> int:
        return wave(self.manifest)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the hooks of one type are in an attempt."""

    results: tuple[HookResult, ...] = ()
    """Of all types, as they are now."""
    run: tuple[Hook, ...] = ()
    """To be created now."""
    remove: tuple[Live, ...] = ()
    """To be deleted: done with, or in the way of a new run."""
    awaited: str = ""
    failed: str = ""
    wave: int = 0
    """The wave that is not done."""

    @property
    def done(self) -> bool:
        return not (self.run or self.remove or self.awaited or self.failed)


def split(declared: Iterable[Manifest]) -> tuple[tuple[Manifest, ...], tuple[Hook, ...]]:
    """The objects that are kept applied, and the hooks."""
    objects: list[Manifest] = []
    hooks: list[Hook] = []
    for m in declared:
        found = _hook(m)
        if found:
            hooks.append(found)
        else:
            objects.append(m)
    return tuple(objects), tuple(hooks)


def mark(attempt: Attempt) -> str:
    """What a hook of this attempt bears."""
    text = f"{attempt.digest} {format_timestamp(attempt.started_at)}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def body(hook: Hook, attempt: Attempt, owner: tuple[str, str], names: Names) -> dict[str, Any]:
    """What is sent for a hook: marked for the attempt and labelled for its Application."""
    metadata = hook.manifest.body["metadata"]
    labels = {
        **(metadata.get("labels") or {}),
        names.application_namespace_label: owner[0],
        names.application_name_label: owner[1],
    }
    annotations = {**(metadata.get("annotations") or {}), HOOK_ANNOTATION: mark(attempt)}
    return {**hook.manifest.body, "metadata": {**metadata, "labels": labels, "annotations": annotations}}


def progress(
    hooks: Iterable[Hook],
    type_: HookType,
    attempt: Attempt,
    live: Mapping[ObjectKey, Live],
    *,
    only_wave: int | None = None,
) -> Progress:
    """Hooks of one type, wave by wave: nothing of a wave starts before the one before it has succeeded."""
    mine = sorted((h for h in hooks if type_ in h.types), key=lambda h: (h.wave, h.manifest.key))
    if only_wave is not None:
        mine = [h for h in mine if h.wave <= only_wave]
    results = {_identity(r): r for r in attempt.hooks}
    for number in sorted({h.wave for h in mine}):
        found = _wave([h for h in mine if h.wave == number], type_, attempt, live, results)
        if not found.done:
            return replace(found, wave=number)
    return Progress(tuple(results.values()))


def _wave(
    hooks: list[Hook],
    type_: HookType,
    attempt: Attempt,
    live: Mapping[ObjectKey, Live],
    results: dict[tuple[str, ...], HookResult],
) -> Progress:
    """One wave. `results` is brought up to date."""
    run, remove, awaited, failed = list[Hook](), list[Live](), "", ""
    for hook in hooks:
        name = (type_.value, *hook.manifest.key)
        seen = live.get(hook.manifest.key)
        is_mine = seen is not None and seen.annotations.get(HOOK_ANNOTATION) == mark(attempt)
        known = recorded = results.get(name)
        if seen and is_mine and not seen.deleting:
            known = results[name] = _result(hook, type_, seen)
        if known and known.hook_phase is not HookPhase.RUNNING:
            is_over = _DELETED_AFTER[known.hook_phase] in hook.policies and known == recorded
            if seen and is_mine and not seen.deleting and is_over:
                remove.append(seen)
            if known.hook_phase is HookPhase.FAILED:
                failed = failed or f"{type_} hook {hook.manifest.key} failed: {known.message}"
        elif seen is None:
            run.append(hook)
        elif is_mine or seen.deleting:
            awaited = awaited or f"{type_} hook {hook.manifest.key}"
        else:
            remove.append(seen)
    return Progress(tuple(results.values()), tuple(run), tuple(remove), awaited, failed)


def _result(hook: Hook, type_: HookType, seen: Live) -> HookResult:
    phase = HookPhase.RUNNING
    if seen.health.failure or seen.health.status is HealthStatus.DEGRADED:
        phase = HookPhase.FAILED
    elif seen.health.status is HealthStatus.HEALTHY:
        phase = HookPhase.SUCCEEDED
    key = hook.manifest.key
    return HookResult(
        kind=key.kind,
        name=key.name,
        group=key.group,
        namespace=key.namespace,
        hook_type=type_,
        hook_phase=phase,
        message=seen.health.message if phase is HookPhase.FAILED else "",
    )


def _identity(result: HookResult) -> tuple[str, ...]:
    return (result.hook_type.value, result.group, result.kind, result.namespace, result.name)


def _hook(m: Manifest) -> Hook | None:
    annotations = m.annotations
    named = next((annotations[name] for name in _HOOKS if name in annotations), None)
    if named is not None:
        words = _words(named)
        types = frozenset(t for t in HookType if t.value in words)
        return Hook(m, types, _policies(annotations, _POLICIES))
    if _HELM_HOOK in annotations:
        types = frozenset(_OF_HELM[w] for w in _words(annotations[_HELM_HOOK]) if w in _OF_HELM)
        return Hook(m, types, _policies(annotations, (_HELM_POLICY,)))
    return None


def _policies(annotations: Mapping[str, str], names: Iterable[str]) -> frozenset[str]:
    named = next((annotations[name] for name in names if name in annotations), _BEFORE_CREATION)
    return frozenset(_POLICY_OF_HELM.get(w, w) for w in _words(named))


def _words(text: str) -> frozenset[str]:
    return frozenset(w.strip() for w in text.split(",") if w.strip())
