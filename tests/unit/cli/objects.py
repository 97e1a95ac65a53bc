"""Objects as the API server gives them, in the words of the tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)

Object = dict[str, Any]


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def rollout(*, strategy: Object | None = None, paused: bool | None = None, **status: Any) -> Object:
    """A canary of five pods; `status` is merged over one that was observed."""
    spec: Object = {
        "replicas": 5,
        "selector": {"matchLabels": {"app": "checkout"}},
        "template": {
            "metadata": {"labels": {"app": "checkout"}},
            "spec": {"containers": [{"name": "web", "image": "web:2"}]},
        },
        "strategy": strategy or canary(),
    }
    if paused is not None:
        spec["paused"] = paused
    return {
        "apiVersion": "rollouts.dev/v1alpha1",
        "kind": "Rollout",
        "metadata": {
            "name": "checkout",
            "namespace": "shop",
            "uid": "ro",
            "generation": 3,
            "creationTimestamp": ago(7200),
        },
        "spec": spec,
        "status": {"observedGeneration": "3"} | status,
    }


def canary(*steps: Object) -> Object:
    return {"canary": {"steps": list(steps or ({"setWeight": 20}, {"pause": {}}, {"setWeight": 50}))}}


BLUE_GREEN: Object = {"blueGreen": {"activeService": "web", "previewService": "web-preview"}}


def replica_set(
    revision: int, hash_: str, *, replicas: int = 0, image: str = "web:1", **extra: Any
) -> Object:
    return {
        "metadata": {
            "name": f"checkout-{hash_}",
            "uid": f"rs-{hash_}",
            "labels": {"rollouts-pod-template-hash": hash_},
            "annotations": {"rollout.rollouts.dev/revision": str(revision)} | extra,
            "ownerReferences": [{"uid": "ro", "controller": True}],
            "creationTimestamp": ago(60 * revision),
        },
        "spec": {
            "replicas": replicas,
            "template": {
                "metadata": {"labels": {"app": "checkout", "rollouts-pod-template-hash": hash_}},
                "spec": {"containers": [{"name": "web", "image": image}]},
            },
        },
        "status": {"readyReplicas": replicas},
    }


def pod(name: str, hash_: str, *, waiting: str = "") -> Object:
    state = {"waiting": {"reason": waiting}} if waiting else {"running": {}}
    return {
        "metadata": {
            "name": name,
            "ownerReferences": [{"uid": f"rs-{hash_}", "controller": True}],
            "creationTimestamp": ago(30),
        },
        "spec": {"containers": [{"name": "web"}]},
        "status": {
            "phase": "Running",
            "containerStatuses": [
                {"ready": not waiting, "restartCount": 3 if waiting else 0, "state": state}
            ],
        },
    }


def experiment(name: str = "gc", **status: Any) -> Object:
    """Two templates and an analysis, for the second revision of the Rollout."""

    def template(of: str, replicas: int) -> Object:
        return {
            "name": of,
            "replicas": replicas,
            "template": {"spec": {"containers": [{"name": "web", "image": f"web:{of}"}]}},
        }

    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": f"exp-{name}",
            "labels": {"rollouts-pod-template-hash": "bb"},
            "ownerReferences": [{"uid": "ro", "controller": True}],
            "creationTimestamp": ago(40),
        },
        "spec": {
            "duration": "10m",
            "templates": [template("baseline", 2), template("canary", 1)],
            "analyses": [{"name": "latency", "templateName": "latency"}],
        },
        "status": {
            "phase": "Running",
            "availableAt": ago(60),
            "templateStatuses": [
                {
                    "name": "baseline",
                    "status": "Running",
                    "availableReplicas": 2,
                    "serviceName": "gc-baseline",
                },
                {"name": "canary", "status": "Progressing", "collisionCount": 1},
            ],
            "analysisRuns": [{"name": "latency", "analysisRun": f"{name}-latency", "phase": "Running"}],
        }
        | status,
    }


def owned(thing: Object, name: str, owner: str) -> Object:
    """The same thing, of another owner."""
    metadata = {
        **thing["metadata"],
        "name": name,
        "uid": name,
        "ownerReferences": [{"uid": owner, "controller": True}],
    }
    return {**thing, "metadata": metadata}


def analysis_run(name: str, hash_: str, phase: str, *values: str) -> Object:
    return {
        "metadata": {
            "name": name,
            "labels": {
                "rollouts-pod-template-hash": hash_,
                "rollout-type": "Step",
                "step-index": "1",
            },
            "ownerReferences": [{"uid": "ro", "controller": True}],
            "creationTimestamp": ago(20),
        },
        "spec": {"metrics": [{"name": "error-rate", "successCondition": "result[0] < 0.05"}]},
        "status": {
            "phase": phase,
            "metricResults": [
                {
                    "name": "error-rate",
                    "phase": phase,
                    "failed": len(values),
                    "measurements": [{"phase": phase, "value": value} for value in values],
                }
            ],
        },
    }
