"""What Argo Rollouts leaves in a cluster, in its own words: a Rollout in mid-update with its sets and status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from rollouts.api import crd
from rollouts.api.meta import Names
from rollouts.api.podtemplate import pod_template_hash
from tests.api.harness import Bench, Object, rollout

GROUP = "argoproj.io"
API_VERSION = f"{GROUP}/v1alpha1"
HASH = "rollouts-pod-template-hash"
REVISION = "rollout.argoproj.io/revision"
OURS = {
    "abortReason",
    "attempt",
    "bake",
    "bestAvailable",
    "configCopies",
    "currentRevision",
    "currentStepStartedAt",
    "declared",
    "gated",
    "gitRevision",
    "lastProgressAt",
    "queuedAt",
    "stableGitRevision",
    "step",
    "syncedPodMetadata",
    "webhooks",
    "workloadReplicas",
}
"""Fields of a Rollout's status that Argo Rollouts does not have."""


def at(bench: Bench) -> Bench:
    return replace(bench, group=GROUP)


def of(body: Object) -> Object:
    """The object in the peer's group."""
    return {**body, "apiVersion": API_VERSION}


def template(image: str) -> Object:
    made: Object = rollout(image=image)["spec"]["template"]
    return made


def definitions(directory: Path) -> None:
    """CRDs as a peer has them: types only, and nothing in a status that is ours alone."""
    for path in crd.write(directory, Names(GROUP)):
        definition = yaml.safe_load(path.read_text())
        [version] = definition["spec"]["versions"]
        status = version["schema"]["openAPIV3Schema"]["properties"].get("status", {}).get("properties", {})
        for name in OURS & set(status):
            del status[name]
        path.write_text(yaml.safe_dump(definition))


async def leave(
    bench: Bench, *, sizes: Mapping[str, int], stable: str, status: Mapping[str, Any], **strategy: Any
) -> Object:
    """A Rollout of 4 pods, its sets by image (the last one is the spec's), and a status as the peer writes it."""
    newest = list(sizes)[-1]
    created = await bench.create(of(rollout(replicas=4, image=newest, **strategy)))
    for number, (image, size) in enumerate(sizes.items(), start=1):
        await bench.create(_replica_set(created, image, size, number))
    written = {
        "observedGeneration": "1",
        "currentPodHash": pod_template_hash(template(newest)),
        "currentStepHash": "6d5b4c7f9",
        "stableRS": pod_template_hash(template(stable)),
        "replicas": 4,
        "phase": "Progressing",
        **status,
    }
    return await bench.patch("Rollout", "web", {"status": written}, subresource="status")


def _replica_set(owner: Object, image: str, size: int, revision: int) -> Object:
    pods = template(image)
    labels = {"app": "web", HASH: pod_template_hash(pods)}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"web-{labels[HASH]}",
            "labels": labels,
            "annotations": {REVISION: str(revision), "rollout.argoproj.io/desired-replicas": "4"},
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": "Rollout",
                    "name": "web",
                    "uid": owner["metadata"]["uid"],
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            "replicas": size,
            "selector": {"matchLabels": labels},
            "template": {**pods, "metadata": {"labels": labels}},
        },
    }
