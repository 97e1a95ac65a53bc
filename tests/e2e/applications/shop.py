"""What a team keeps in Git: one service with its config, analysed by Prometheus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from tests.api.harness import Object

CONFIG = "settings"
ADDED = "extra"


@dataclass(frozen=True, slots=True)
class Release:
    """One state of the repository. `error_rate` is what the pods really do; only Prometheus tells."""

    version: str
    greeting: str = "hello"
    error_rate: str = "0"
    added_object: bool = False
    gate: bool = False
    """Wait for a person before the analysis."""


def canary(namespace: str, prometheus: str, release: Release) -> dict[str, str]:
    gate: list[Object] = [{"pause": {}}] if release.gate else []
    steps = [{"setWeight": 25}, *gate, {"analysis": _analysis()}, {"setWeight": 50}]
    strategy = {"canary": {"maxSurge": 1, "maxUnavailable": 0, "steps": steps}}
    return _files(namespace, prometheus, release, strategy)


def blue_green(namespace: str, prometheus: str, release: Release) -> dict[str, str]:
    strategy = {
        "blueGreen": {
            "activeService": "web",
            "previewService": "web-preview",
            "scaleDownDelaySeconds": 2,
            "abortScaleDownDelaySeconds": 2,
            "prePromotionAnalysis": _analysis(),
        }
    }
    return _files(namespace, prometheus, release, strategy)


def rollout(name: str, release: Release, strategy: Object, replicas: int = 4) -> Object:
    return {
        "apiVersion": "rollouts.dev/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "strategy": strategy,
            "template": {
                "metadata": {
                    "labels": {"app": name},
                    "annotations": {"sandbox.rollouts.dev/error-rate": release.error_rate},
                },
                "spec": {
                    "containers": [
                        {"name": "main", "image": f"registry.example.com/{name}:{release.version}"}
                    ]
                },
            },
        },
    }


def text(*objects: Object) -> str:
    return yaml.safe_dump_all(objects, sort_keys=False)


def _files(namespace: str, prometheus: str, release: Release, strategy: Object) -> dict[str, str]:
    config: Object = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIG},
        "data": {"greeting": release.greeting},
    }
    files = {
        "config.yaml": text(config),
        "web.yaml": text(_service("web"), _service("web-preview"), rollout("web", release, strategy)),
        "analysis.yaml": text(_template(namespace, prometheus)),
    }
    if release.added_object:
        files["extra.yaml"] = text({**config, "metadata": {"name": ADDED}})
    return files


def _analysis() -> dict[str, Any]:
    latest = {"name": "hash", "valueFrom": {"podTemplateHashValue": "Latest"}}
    return {"templates": [{"templateName": "success-rate"}], "args": [latest]}


def _template(namespace: str, prometheus: str) -> Object:
    seen = f'http_requests_total{{namespace="{namespace}",service=~"web.*",rollouts_pod_template_hash="{{{{args.hash}}}}"'
    query = f'sum(rate({seen},code!~"5.."}}[5s])) / sum(rate({seen}}}[5s]))'
    metric = {
        "name": "success-rate",
        "initialDelay": "4s",
        "interval": "1s",
        "count": 2,
        "successCondition": "result[0] >= 0.95",
        "provider": {"prometheus": {"address": prometheus, "query": query}},
    }
    return {
        "apiVersion": "rollouts.dev/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "success-rate"},
        "spec": {"args": [{"name": "hash"}], "metrics": [metric]},
    }


def _service(name: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "annotations": {"sandbox.rollouts.dev/traffic": "40"}},
        "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
    }
