"""A Deployment as the spec of a Rollout: the same pods, and the same way to replace them.

Called by `manifests` for plain Deployments, and by `flagger` for the target of a Canary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rollouts.convert.losses import Loss, unread

_SAME = (
    "replicas",
    "selector",
    "template",
    "minReadySeconds",
    "revisionHistoryLimit",
    "progressDeadlineSeconds",
    "paused",
)
_KNOWN = frozenset({*(f"spec.{name}" for name in _SAME), "spec.strategy.type", "spec.strategy.rollingUpdate"})
_BOOKKEEPING = ("kubectl.kubernetes.io/", "deployment.kubernetes.io/", "kustomize.toolkit.fluxcd.io/")


def spec(deployment: Mapping[str, Any]) -> dict[str, Any]:
    """Everything but the strategy."""
    given = deployment.get("spec") or {}
    return {name: given[name] for name in _SAME if given.get(name) is not None}


def rolling(deployment: Mapping[str, Any]) -> dict[str, Any]:
    """How many pods may be missing or too many during an update; the defaults are the same."""
    limits = _strategy(deployment).get("rollingUpdate") or {}
    return {name: limits[name] for name in ("maxSurge", "maxUnavailable") if limits.get(name) is not None}


def strategy(deployment: Mapping[str, Any]) -> dict[str, Any]:
    """Its own strategy, which means the same here."""
    if _strategy(deployment).get("type") == "Recreate":
        return {"recreate": {}}
    return {"rollingUpdate": rolling(deployment)}


def metadata(body: Mapping[str, Any]) -> dict[str, Any]:
    """Who it is and what people wrote on it; not what the server and other tools keep there."""
    given = body.get("metadata") or {}
    kept = {name: given[name] for name in ("name", "namespace", "labels") if given.get(name)}
    annotations = {
        key: value
        for key, value in (given.get("annotations") or {}).items()
        if not key.startswith(_BOOKKEEPING)
    }
    return {**kept, "annotations": annotations} if annotations else kept


def losses(deployment: Mapping[str, Any]) -> Iterator[Loss]:
    name = f"Deployment {deployment['metadata']['name']}"
    yield from unread(name, deployment, _KNOWN, {})


def side_by_side(deployment: Mapping[str, Any]) -> Iterator[Loss]:
    """For whoever gives it another strategy."""
    if _strategy(deployment).get("type") == "Recreate":
        problem = "has no counterpart: old and new pods run side by side during an update"
        yield Loss(f"Deployment {deployment['metadata']['name']}", "spec.strategy.type", problem)


def _strategy(deployment: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (deployment.get("spec") or {}).get("strategy") or {}
    return found
