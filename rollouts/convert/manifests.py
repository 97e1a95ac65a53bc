"""convert(objects) -> our objects, and what was lost. Pure.

Decides which objects are converted together: a Canary takes its Deployment with it, a Flux Kustomization its
GitRepository, every other Deployment becomes a Rollout of its own; all other kinds stay as they are and are
not repeated. Called by the CLI.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rollouts.convert import argocd, deployment, flagger, flux
from rollouts.convert.losses import Loss
from rollouts.errors import SpecError

_ARGO_CD = "argoproj.io/"
_FLAGGER = "flagger.app/"
_FLUX_KUSTOMIZE = "kustomize.toolkit.fluxcd.io/"
_FLUX_SOURCE = "source.toolkit.fluxcd.io/"


@dataclass(frozen=True, slots=True)
class Converted:
    objects: tuple[Mapping[str, Any], ...]
    losses: tuple[Loss, ...]


def convert(objects: Sequence[Mapping[str, Any]], api_version: str) -> Converted:
    """`api_version` is that of the Rollouts. Raises `SpecError` for what cannot become one of ours."""
    parts = (_workloads(objects, api_version), _applications(objects))
    return Converted(
        tuple(o for p in parts for o in p.objects), tuple(loss for p in parts for loss in p.losses)
    )


def _applications(objects: Sequence[Mapping[str, Any]]) -> Converted:
    repositories = {_key(o): o for o in objects if _is(o, _FLUX_SOURCE, "GitRepository")}
    made = [argocd.convert(o) for o in objects if _is(o, _ARGO_CD, "Application")]
    made += [flux.convert(o, repositories) for o in objects if _is(o, _FLUX_KUSTOMIZE, "Kustomization")]
    bodies = tuple(body for found, _ in made for body in found)
    # two Kustomizations of one GitRepository lose the same of it
    return Converted(bodies, tuple(dict.fromkeys(loss for _, lost in made for loss in lost)))


def _workloads(objects: Sequence[Mapping[str, Any]], api_version: str) -> Converted:
    deployments = {_key(o): o for o in objects if _is(o, "apps/", "Deployment")}
    templates = {_key(o): o for o in objects if _is(o, _FLAGGER, "MetricTemplate")}
    made: list[Mapping[str, Any]] = []
    losses: list[Loss] = []
    for body in (o for o in objects if _is(o, _FLAGGER, "Canary")):
        namespace, name = str(body["metadata"].get("namespace", "")), flagger.target_name(body)
        deployments.pop((namespace, f"{name}-primary"), None)  # Flagger's own copy
        target = deployments.pop((namespace, name), None)
        if target is None:
            path = f"Canary {body['metadata']['name']}: spec.targetRef.name"
            raise SpecError(path, name, "this Deployment is not among the files", "add its file with -f")
        found, lost = flagger.convert(flagger.Canary(body, target), templates, api_version)
        made += found
        losses += lost
    for body in deployments.values():
        made.append(_rollout(body, api_version))
        losses += deployment.losses(body)
    return Converted(tuple(made), tuple(losses))


def _rollout(body: Mapping[str, Any], api_version: str) -> Mapping[str, Any]:
    return {
        "apiVersion": api_version,
        "kind": "Rollout",
        "metadata": deployment.metadata(body),
        "spec": {**deployment.spec(body), "strategy": deployment.strategy(body)},
    }


def _is(body: Mapping[str, Any], group: str, kind: str) -> bool:
    named = isinstance(body.get("metadata"), Mapping) and body["metadata"].get("name")
    return bool(named) and body.get("kind") == kind and str(body.get("apiVersion", "")).startswith(group)


def _key(body: Mapping[str, Any]) -> tuple[str, str]:
    return str(body["metadata"].get("namespace", "")), str(body["metadata"]["name"])
