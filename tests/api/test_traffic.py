"""Traffic routing on a real API server: plain Services, and a router that another package brings."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from rollouts.kube import resources
from tests.api.harness import Bench, Object, eventually, rollout, service, steps

pytestmark = pytest.mark.api

HASH = "rollouts-pod-template-hash"
PAUSE: Object = {"pause": {}}


def routed(routing: Object, *listed: Object) -> Object:
    canary = steps(*listed)["canary"]
    services = {"canaryService": "canary", "stableService": "stable", "trafficRouting": routing}
    return {"canary": {**canary, **services}}


async def selected(bench: Bench, name: str) -> str | None:
    found: str | None = (await bench.get("Service", name))["spec"]["selector"].get(HASH)
    return found


async def test_plain_services_mix_the_pods_and_go_back_on_an_abort(bench: Bench) -> None:
    for name in ("root", "canary", "stable"):
        await bench.create(service(name))
    strategy = routed({"services": {"rootService": "root"}}, {"setWeight": 50}, PAUSE)
    async with bench.controller():
        await bench.create(rollout(replicas=2, **strategy))
        first = await bench.reaches("web", "Healthy")
        stable = first["status"]["stableRS"]
        await eventually(lambda: _is(bench, "root", stable))

        await bench.set_image("web", "web:2")
        paused = await bench.reaches("web", "Paused")
        assert await selected(bench, "root") is None
        assert paused["status"]["canary"]["weights"]["canary"]["weight"] == 33  # one pod of three

        await bench.steer("web", abort=True)
        await bench.reaches("web", "Degraded")
        await eventually(lambda: _is(bench, "root", stable))


async def test_a_router_of_another_package_is_found_and_obeyed(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _installed(tmp_path, monkeypatch)
    for name in ("canary", "stable"):
        await bench.create(service(name))
    ref = resources.CONFIG_MAP.ref("routes", bench.namespace)
    await bench.kube.create(
        resources.CONFIG_MAP,
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "routes", "namespace": bench.namespace},
        },
        field_manager="tests",
    )
    strategy = routed({"plugins": {"recording": {"configMap": "routes"}}}, {"setWeight": 50}, PAUSE)
    async with bench.controller():
        await bench.create(rollout(replicas=2, **strategy))
        await bench.reaches("web", "Healthy")
        await bench.set_image("web", "web:2")
        await bench.reaches("web", "Paused")

        await bench.kube.merge_patch(ref, {"data": {"fail": "no way"}}, field_manager="tests")
        await bench.steer("web", abort=True)
        await bench.reaches("web", "Degraded")
        await eventually(lambda: _told(bench, "TrafficRoutingError"))

    kept = await bench.kube.get(ref)
    assert json.loads(kept["data"]["history"]) == [0, 50]
    assert "TrafficWeightUpdated" in " ".join(await bench.events("web"))


def _installed(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = directory / "recording-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: recording\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[rollouts.routing]\nrecording = rollouts.routing.recording:Recording\n"
    )
    monkeypatch.setattr(sys, "path", [*sys.path, str(directory)])


async def _is(bench: Bench, name: str, pod_hash: str) -> bool:
    return await selected(bench, name) == pod_hash


async def _told(bench: Bench, reason: str) -> bool:
    return reason in " ".join(await bench.events("web"))
