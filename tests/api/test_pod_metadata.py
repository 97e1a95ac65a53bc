"""Pods carry the labels of their role on a real API server, and are never made anew for it."""

from __future__ import annotations

import pytest

from tests.api.harness import Bench, Object, eventually, rollout, steps

pytestmark = pytest.mark.api

ANNOTATION = "rollout.rollouts.dev/ephemeral-metadata"


async def _roles(bench: Bench) -> dict[str, set[str]]:
    """Values of the label by image."""
    found: dict[str, set[str]] = {}
    for pod in await bench.list("Pod"):
        image = pod["spec"]["containers"][0]["image"]
        found.setdefault(image, set()).add(pod["metadata"]["labels"].get("role", ""))
    return found


async def _are(bench: Bench, roles: dict[str, set[str]]) -> bool:
    return await _roles(bench) == roles


def canary() -> Object:
    strategy = steps({"setWeight": 50}, {"pause": {}})
    strategy["canary"]["canaryMetadata"] = {"labels": {"role": "canary"}, "annotations": {"fresh": "yes"}}
    strategy["canary"]["stableMetadata"] = {"labels": {"role": "stable"}}
    strategy["canary"]["antiAffinity"] = {"preferredDuringSchedulingIgnoredDuringExecution": {"weight": 5}}
    return strategy


async def test_pods_change_their_role_and_live_on(bench: Bench) -> None:
    async with bench.controller():
        await bench.create(rollout(replicas=2, **canary()))
        await bench.reaches("web", "Healthy")
        await bench.set_image("web", "web:2")
        await bench.reaches("web", "Paused")
        await eventually(lambda: _are(bench, {"web:1": {"stable"}, "web:2": {"canary"}}))
        pods = {
            p["metadata"]["uid"]
            for p in await bench.list("Pod")
            if p["metadata"]["labels"]["role"] == "canary"
        }

        await bench.steer("web", pauseConditions=None)
        await bench.patch("Rollout", "web", {"spec": {"minReadySeconds": 1}})
        await bench.reaches("web", "Healthy", currentRevision=2)
        await eventually(lambda: _are(bench, {"web:2": {"stable"}}))
        assert pods <= {p["metadata"]["uid"] for p in await bench.list("Pod")}

        sets = {
            s["spec"]["template"]["spec"]["containers"][0]["image"]: s for s in await bench.list("ReplicaSet")
        }
        await eventually(lambda: _is_marked(bench, "web:2", '{"labels":{"role":"stable"}}'))
        assert sets["web:2"]["spec"]["minReadySeconds"] == 1
        [term] = sets["web:2"]["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"][
            "preferredDuringSchedulingIgnoredDuringExecution"
        ]
        [expression] = term["podAffinityTerm"]["labelSelector"]["matchExpressions"]
        assert expression["values"] == [sets["web:1"]["metadata"]["labels"]["rollouts-pod-template-hash"]]

        await eventually(lambda: _is_marked(bench, "web:1", None))


async def _is_marked(bench: Bench, image: str, annotation: str | None) -> bool:
    """The annotation of the set says what its pods carry."""
    for found in await bench.list("ReplicaSet"):
        if found["spec"]["template"]["spec"]["containers"][0]["image"] == image:
            return bool(found["metadata"]["annotations"].get(ANNOTATION) == annotation)
    return False
