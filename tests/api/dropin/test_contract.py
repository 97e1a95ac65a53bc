"""Lines of the drop-in contract that hold on a real API server only (docs/drop-in.md names the rest)."""

from __future__ import annotations

import socket
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.api.dropin import peer
from tests.api.harness import Bench, Object, eventually, rollout, service, steps

pytestmark = [pytest.mark.api, pytest.mark.usefixtures("argo_crds")]

PAUSE: Object = {"pause": {}}

SHOWN = {
    "HPAReplicas",
    "availableReplicas",
    "canary",
    "conditions",
    "currentPodHash",
    "currentStepHash",
    "currentStepIndex",
    "observedGeneration",
    "phase",
    "readyReplicas",
    "replicas",
    "selector",
    "stableRS",
    "updatedReplicas",
}

METRICS = {
    "analysis_run_info",
    "analysis_run_phase",
    "analysis_run_metric_type",
    "analysis_run_metric_phase",
    "analysis_template_info",
    "analysis_template_metric_info",
    "argo_rollouts_controller_info",
    "controller_clientset_k8s_request",
    "experiment_info",
    "experiment_phase",
    "rollout_events",
    "rollout_info",
    "rollout_info_replicas_available",
    "rollout_info_replicas_desired",
    "rollout_info_replicas_unavailable",
    "rollout_info_replicas_updated",
    "rollout_phase",
    "rollout_reconcile",
    "rollout_reconcile_error",
}


def weight(percent: int) -> Object:
    return {"setWeight": percent}


async def test_the_plugins_verbs_are_merge_patches_that_are_obeyed(bench: Bench) -> None:
    argo = peer.at(bench)
    async with argo.controller():
        await argo.create(peer.of(rollout(replicas=4, **steps(weight(25), PAUSE, weight(50), PAUSE))))
        await argo.reaches("web", "Healthy")
        await argo.set_image("web", "web:2")
        await argo.reaches("web", "Paused", currentStepIndex=1)

        # promote while paused
        await argo.patch("Rollout", "web", {"spec": {"paused": False}})
        await argo.steer("web", pauseConditions=None)
        await argo.reaches("web", "Paused", currentStepIndex=3)

        # abort, retry
        await argo.steer("web", abort=True)
        found = await argo.reaches("web", "Degraded", abort=True)
        assert found["status"]["duration"]["completionStatus"] == "Aborted"
        assert found["status"]["abortedAt"]
        await argo.steer("web", abort=False)
        await argo.reaches("web", "Paused", currentStepIndex=1)

        # promote --full
        await argo.steer("web", promoteFull=True)
        found = await argo.reaches("web", "Healthy")
        assert found["status"]["duration"]["completionStatus"] == "FastPromoted"
        assert "promoteFull" not in found["status"]

        # undo: the template of the set with the asked revision
        sets = {s["metadata"]["annotations"][peer.REVISION]: s for s in await argo.list("ReplicaSet")}
        image = sets["1"]["spec"]["template"]["spec"]["containers"][0]["image"]
        await argo.set_image("web", image)
        await argo.reaches("web", "Paused", currentStepIndex=1)
        # promote of a canary that is not seen as paused: the index itself
        await argo.steer("web", pauseConditions=None, currentStepIndex=4)
        found = await argo.reaches("web", "Healthy")
        assert found["metadata"]["annotations"][peer.REVISION] == "3"
        # restart
        before = {p["metadata"]["uid"] for p in await argo.list("Pod")}
        await argo.patch("Rollout", "web", {"spec": {"restartAt": "2026-01-01T00:00:00Z"}})
        await argo.reaches("web", "Healthy", restartedAt="2026-01-01T00:00:00Z")
        assert {p["metadata"]["uid"] for p in await argo.list("Pod")} == before


async def test_a_status_has_the_fields_and_types_that_clients_read(bench: Bench) -> None:
    argo = peer.at(bench)
    canary = steps(weight(50), PAUSE)
    canary["canary"] |= {"canaryService": "canary", "stableService": "stable"}
    async with argo.controller():
        for name in ("canary", "stable"):
            await argo.create(service(name))
        await argo.create(peer.of(rollout(replicas=2, **canary)))
        healthy = await argo.reaches("web", "Healthy")
        assert {c["type"] for c in healthy["status"]["conditions"]} == {
            "Available",
            "Completed",
            "Healthy",
            "Progressing",
        }
        await argo.set_image("web", "web:2")
        found = await argo.reaches("web", "Paused")
        await eventually(lambda: _is_split(argo))

    status = (await argo.get("Rollout", "web"))["status"]
    assert set(status) >= SHOWN | {"controllerPause", "pauseConditions", "duration"}
    assert isinstance(status["observedGeneration"], str)
    assert int(status["observedGeneration"]) == found["metadata"]["generation"]
    assert {k: type(status[k]) for k in ("replicas", "currentStepIndex", "HPAReplicas")} == {
        "replicas": int,
        "currentStepIndex": int,
        "HPAReplicas": int,
    }
    assert "Paused" in {c["type"] for c in status["conditions"]}
    assert status["canary"]["weights"] == {
        "canary": {"weight": 50, "podTemplateHash": status["currentPodHash"], "serviceName": "canary"},
        "stable": {"weight": 50, "podTemplateHash": status["stableRS"], "serviceName": "stable"},
    }
    assert not (await argo.get("Rollout", "web"))["metadata"].get("finalizers")


async def _is_split(bench: Bench) -> bool:
    weights = (await bench.get("Rollout", "web"))["status"]["canary"].get("weights")
    return bool(weights and weights["canary"]["weight"] == 50)


async def test_a_malformed_value_is_taken_out_of_the_stored_object(bench: Bench) -> None:
    argo = peer.at(bench)
    body = peer.of(rollout(replicas=1))
    [container] = body["spec"]["template"]["spec"]["containers"]
    container["resources"] = {"requests": {"memory": "invalid", "cpu": "5m"}}

    async with argo.controller():
        await argo.create(body)
        found = await argo.reaches("web", "Healthy")

    [container] = found["spec"]["template"]["spec"]["containers"]
    assert container["resources"] == {"requests": {"cpu": "5m"}}
    assert (await argo.events("web"))[0] == "InvalidSpec"


async def test_metrics_have_the_peers_names(bench: Bench) -> None:
    argo = peer.at(bench)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with argo.controller(metrics_address=f"127.0.0.1:{port}"):
        await argo.create(peer.of(rollout(replicas=1)))
        await argo.reaches("web", "Healthy")

        import asyncio

        text = await asyncio.to_thread(_read, f"http://127.0.0.1:{port}/metrics")

    assert {family.name for family in text_string_to_metric_families(text)} >= METRICS


def _read(url: str) -> str:
    with urllib.request.urlopen(url) as answer:
        found: bytes = answer.read()
    return found.decode()
