"""Argo CD's Application as ours: the same fields under another apiVersion.

Decides what of it is served here: what our model knows stays as it is, the rest is told by its path.
Called by `manifests`.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from rollouts.api.application import LOCAL_CLUSTER, SYNC_OPTIONS, ApplicationSpec
from rollouts.api.meta import APPLICATION_GROUP, VERSION
from rollouts.api.parse import model_fields
from rollouts.convert import deployment
from rollouts.convert.losses import Loss

_REMEDIES = {
    "spec.info": "write it into annotations",
    "spec.source.plugin": "commit what the plugin renders, or render it with Kustomize or Helm",
    "spec.syncPolicy.retry": "what failed is tried again with back-off; what is refused or fails its analysis waits for a commit",
    "spec.syncPolicy.managedNamespaceMetadata": "declare the Namespace with its labels in Git",
}


def convert(body: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[Loss]]:
    """The Application, unless it is for another cluster, and what did not come with it."""
    title = f"Application {body['metadata']['name']}"
    losses: list[Loss] = []
    spec = dict(body.get("spec") or {})
    destination = spec.get("destination") or {}
    if not _is_local(destination):
        # Applied here it would change the wrong cluster.
        problem = "is another cluster: the Application is left out; run a controller there and convert it for that one"
        return [], [Loss(title, "spec.destination", problem)]
    spec["destination"] = {k: v for k, v in destination.items() if k not in ("server", "name")}
    spec["syncPolicy"] = _sync_policy(spec.get("syncPolicy") or {}, title, losses)
    if (project := spec.pop("project", "default")) != "default":
        problem = f'projects mean nothing here; what "{project}" allows is up to RBAC'
        losses.append(Loss(title, "spec.project", problem))
    kept = _known(
        ApplicationSpec, {k: v for k, v in spec.items() if v not in ({}, [])}, "spec", title, losses
    )
    if _goes_with_its_objects(body):
        kept["deletionPolicy"] = "Delete"
    return [application(deployment.metadata(body), kept)], losses


def application(metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    api_version = f"{APPLICATION_GROUP}/{VERSION}"
    return {"apiVersion": api_version, "kind": "Application", "metadata": metadata, "spec": spec}


def _is_local(destination: Mapping[str, Any]) -> bool:
    server, name = destination.get("server") or LOCAL_CLUSTER, destination.get("name") or ""
    return server == LOCAL_CLUSTER and name in ("", "in-cluster")


def _sync_policy(given: Mapping[str, Any], title: str, losses: list[Loss]) -> dict[str, Any]:
    options = given.get("syncOptions") or []
    for index, option in enumerate(options):
        if option not in SYNC_OPTIONS:
            path = f"spec.syncPolicy.syncOptions[{index}]"
            losses.append(Loss(title, path, f"{option} is not supported and is left out"))
    known = [option for option in options if option in SYNC_OPTIONS]
    rest = {k: v for k, v in given.items() if k != "syncOptions"}
    return {**rest, "syncOptions": known} if known else rest


def _known(model: Any, given: Mapping[str, Any], path: str, title: str, losses: list[Loss]) -> dict[str, Any]:
    """`given` without the fields that `model` does not have."""
    fields = {f.json: f.hint for f in model_fields(model)}
    kept: dict[str, Any] = {}
    for key, value in given.items():
        here = f"{path}.{key}"
        if key not in fields:
            losses.append(Loss(title, here, _unknown(here)))
        elif value is not None:
            kept[key] = _inside(fields[key], value, here, title, losses)
    return kept


def _inside(hint: Any, value: Any, path: str, title: str, losses: list[Loss]) -> Any:
    model = next(_models(hint), None)
    if model is None:
        return value
    if isinstance(value, Mapping):
        return _known(model, value, path, title, losses)
    if isinstance(value, list):
        items = enumerate(value)
        return [_inside(model, item, f"{path}[{index}]", title, losses) for index, item in items]
    return value


def _models(hint: Any) -> Iterator[Any]:
    """The model in a type: itself, that of an optional one, that of a tuple."""
    if dataclasses.is_dataclass(hint):
        yield hint
    elif typing.get_origin(hint) in (types.UnionType, typing.Union, tuple):
        for argument in typing.get_args(hint):
            yield from _models(argument)


def _unknown(path: str) -> str:
    remedy = next((text for start, text in _REMEDIES.items() if path.startswith(start)), "")
    told = "has no counterpart and is left out"
    return f"{told}; {remedy}" if remedy else told


def _goes_with_its_objects(body: Mapping[str, Any]) -> bool:
    finalizers = body["metadata"].get("finalizers") or ()
    return any(
        str(finalizer).startswith("resources-finalizer.argocd.argoproj.io") for finalizer in finalizers
    )
