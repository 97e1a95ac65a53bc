"""What the demo's team keeps in Git: one canary and one blue-green service. Pure.

A `Release` is one state of the repository; `files` writes it out. `web` is the canary, `api` the
blue-green service; both read the ConfigMap `shop-config`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from rollouts.api.meta import APPLICATION_GROUP, DEFAULT_GROUP, VERSION

NAMESPACE = "shop"
APPLICATION = "shop"
PATH = "deploy"
CANARY = "web"
BLUE_GREEN = "api"
CONFIG = "shop-config"
ADDED = "shop-promotions"

_API_VERSION = f"{DEFAULT_GROUP}/{VERSION}"
_REQUESTS = 'http_requests_total{namespace="shop",rollouts_pod_template_hash="{{args.hash}}"'
_SUCCESS_RATE = f'sum(rate({_REQUESTS},code!~"5.."}}[5s])) / sum(rate({_REQUESTS}}}[5s]))'


@dataclass(frozen=True, slots=True)
class Release:
    """One commit's content. `error_rate` is what the pods of `web` really do; nothing else knows it."""

    version: str
    greeting: str
    error_rate: str = "0"
    added_object: bool = False
    gate: bool = False
    """Wait for a person at the first step of the canary."""


def files(release: Release) -> dict[str, str]:
    """Path in the repository -> content."""
    out = {
        f"{PATH}/config.yaml": _yaml(_config_map(CONFIG, {"greeting": release.greeting})),
        f"{PATH}/analysis.yaml": _yaml(_analysis_template()),
        f"{PATH}/web.yaml": _yaml(_service(CANARY, CANARY, traffic="60"), _canary(release)),
        f"{PATH}/api.yaml": _yaml(
            _service(BLUE_GREEN, BLUE_GREEN, traffic="20"),
            _service(f"{BLUE_GREEN}-preview", BLUE_GREEN, traffic="20"),
            _blue_green(release),
        ),
    }
    if release.added_object:
        out[f"{PATH}/promotions.yaml"] = _yaml(_config_map(ADDED, {"banner": "everything must go"}))
    return out


def application(repository: str, secret: str) -> dict[str, Any]:
    """The Application that follows the repository."""
    return {
        "apiVersion": f"{APPLICATION_GROUP}/{VERSION}",
        "kind": "Application",
        "metadata": {"name": APPLICATION, "namespace": NAMESPACE},
        "spec": {
            "interval": "5s",
            "source": {"repoURL": repository, "targetRevision": "main", "path": PATH},
            "secretRef": {"name": secret},
            "destination": {"namespace": NAMESPACE},
            "syncPolicy": {"automated": {"prune": True, "selfHeal": True}},
        },
    }


def _canary(release: Release) -> dict[str, Any]:
    gate: list[dict[str, Any]] = [{"pause": {}}] if release.gate else []
    steps = [
        {"setWeight": 20},
        *gate,
        {"analysis": _analysis()},
        {"setWeight": 60},
        {"pause": {"duration": "2s"}},
    ]
    return _rollout(CANARY, release, {"canary": {"maxSurge": 1, "maxUnavailable": 0, "steps": steps}}, 5)


def _blue_green(release: Release) -> dict[str, Any]:
    strategy = {
        "blueGreen": {
            "activeService": BLUE_GREEN,
            "previewService": f"{BLUE_GREEN}-preview",
            "scaleDownDelaySeconds": 5,
            "prePromotionAnalysis": _analysis(),
        }
    }
    healthy = Release(release.version, release.greeting)
    return _rollout(BLUE_GREEN, healthy, strategy, 3)


def _rollout(name: str, release: Release, strategy: dict[str, Any], replicas: int) -> dict[str, Any]:
    annotations = {
        "sandbox.rollouts.dev/ready-after": "1s",
        "sandbox.rollouts.dev/error-rate": release.error_rate,
    }
    container = {
        "name": name,
        "image": f"registry.example.com/{name}:{release.version}",
        "envFrom": [{"configMapRef": {"name": CONFIG}}],
        "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}},
    }
    return {
        "apiVersion": _API_VERSION,
        "kind": "Rollout",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "strategy": strategy,
            "template": {
                "metadata": {"labels": {"app": name}, "annotations": annotations},
                "spec": {"containers": [container]},
            },
        },
    }


def _analysis() -> dict[str, Any]:
    latest = {"name": "hash", "valueFrom": {"podTemplateHashValue": "Latest"}}
    return {"templates": [{"templateName": "success-rate"}], "args": [latest]}


def _analysis_template() -> dict[str, Any]:
    metric = {
        "name": "success-rate",
        "initialDelay": "4s",
        "interval": "1s",
        "count": 4,
        "failureLimit": 1,
        "successCondition": "result[0] >= 0.95",
        "provider": {"prometheus": {"query": _SUCCESS_RATE}},
    }
    return {
        "apiVersion": _API_VERSION,
        "kind": "AnalysisTemplate",
        "metadata": {"name": "success-rate"},
        "spec": {"args": [{"name": "hash"}], "metrics": [metric]},
    }


def _service(name: str, app: str, *, traffic: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "annotations": {"sandbox.rollouts.dev/traffic": traffic}},
        "spec": {"selector": {"app": app}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
    }


def _config_map(name: str, data: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def _yaml(*documents: dict[str, Any]) -> str:
    return yaml.safe_dump_all(documents, sort_keys=False)
