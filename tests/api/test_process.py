"""The controller as a process: signals, servers, the lease, who may write."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import yaml

from rollouts.kube import resources
from rollouts.sandbox import ports
from tests.api.harness import Bench, Object, eventually, rollout, steps

pytestmark = pytest.mark.api


class Process:
    """`rollouts controller` in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, log: Path) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.log = log

    async def ended(self) -> int:
        async with asyncio.timeout(40):
            return await self.process.wait()

    async def text(self, path: str) -> tuple[int, str]:
        async with httpx.AsyncClient(trust_env=False) as client:
            with contextlib.suppress(httpx.TransportError):
                response = await client.get(self.url + path)
                return response.status_code, response.text
        return 0, ""


@contextlib.asynccontextmanager
async def started(bench: Bench, log: Path, *flags: str) -> AsyncIterator[Process]:
    (port,) = ports.find(1)
    command = [
        *(sys.executable, "-m", "rollouts", "controller", "--kubeconfig", str(bench.kubeconfig)),
        *("--namespace", bench.namespace, "--health-address", f"127.0.0.1:{port}", "--metrics-address", ""),
        *flags,
    ]
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(*command, stdout=out, stderr=out, env=dict(os.environ))
    try:
        yield Process(process, port, log)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ready(process: Process) -> bool:
    return (await process.text("/readyz"))[0] == 200


async def _retries(process: Process) -> bool:
    return "will retry" in await asyncio.to_thread(process.log.read_text)


async def test_sigterm_ends_it_in_good_order(bench: Bench, tmp_path: Path) -> None:
    async with started(bench, tmp_path / "log", "--no-leader-elect", "--log-format", "json") as one:
        await eventually(lambda: ready(one))
        await bench.create(rollout(replicas=1))
        await bench.reaches("web", "Healthy")
        assert await one.text("/healthz") == (200, "ok")

        one.process.send_signal(signal.SIGTERM)

        assert await one.ended() == 0
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert {"message", "level", "time"} <= lines[0].keys()
    assert any(line.get("rollout") == f"{bench.namespace}/web" for line in lines)


async def test_sigterm_ends_it_in_good_order_while_it_waits_for_the_api_server(
    bench: Bench, tmp_path: Path
) -> None:
    nobody = yaml.safe_load(bench.kubeconfig.read_text())
    for entry in nobody["clusters"]:
        entry["cluster"]["server"] = "https://127.0.0.1:9"
    kubeconfig = tmp_path / "kubeconfig.yaml"
    kubeconfig.write_text(yaml.safe_dump(nobody))
    lonely = replace(bench, kubeconfig=kubeconfig)
    async with started(lonely, tmp_path / "log", "--no-leader-elect") as one:
        await eventually(lambda: _retries(one))

        one.process.send_signal(signal.SIGTERM)

        assert await one.ended() == 0


async def test_a_second_replica_takes_over_at_once_from_one_that_stops(bench: Bench, tmp_path: Path) -> None:
    async with started(bench, tmp_path / "one") as one:
        await eventually(lambda: _holder(bench))
        async with started(bench, tmp_path / "two") as two:
            await eventually(lambda: ready(two))
            before = await _holder(bench)

            one.process.send_signal(signal.SIGTERM)
            assert await one.ended() == 0
            await bench.create(rollout(replicas=1))
            await bench.reaches("web", "Healthy", availableReplicas=1)

            assert await _holder(bench) not in ("", before)


async def test_a_second_replica_takes_over_from_one_that_is_killed(bench: Bench, tmp_path: Path) -> None:
    async with started(bench, tmp_path / "one") as one:
        await bench.create(rollout(replicas=2, **steps({"setWeight": 50}, {"pause": {}})))
        await bench.reaches("web", "Healthy")
        async with started(bench, tmp_path / "two") as two:
            await eventually(lambda: ready(two))
            one.process.kill()
            await bench.set_image("web", "web:2")

            await bench.becomes("Rollout", "web", lambda found: _is_at_step(found, 1))


async def test_who_loses_the_lease_stops_writing_and_leaves(bench: Bench, tmp_path: Path) -> None:
    async with started(bench, tmp_path / "one") as one:
        await eventually(lambda: _holder(bench))
        lease = resources.LEASE.ref("rollouts-controller", bench.namespace)

        async def steal() -> None:
            thief = {"holderIdentity": "thief", "leaseDurationSeconds": 3600}
            await bench.kube.merge_patch(lease, {"spec": thief}, field_manager="tests")

        await steal()
        assert await one.ended() == 1
    assert "could not renew" in (tmp_path / "one").read_text()


async def test_metrics_are_those_of_the_peer_and_ours(bench: Bench, tmp_path: Path) -> None:
    (port,) = ports.find(1)
    flags = ("--no-leader-elect", "--metrics-address", f"127.0.0.1:{port}")
    async with started(bench, tmp_path / "log", *flags) as one:
        await bench.create(rollout(replicas=2))
        await bench.reaches("web", "Healthy")
        async with httpx.AsyncClient(trust_env=False) as client:
            text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
        assert one.process.returncode is None

    labels = f'name="web",namespace="{bench.namespace}"'
    assert f'rollout_info{{{labels},phase="Healthy",strategy="canary",traffic_router=""}} 1.0' in _sorted(
        text
    )
    assert f"rollout_info_replicas_available{{{labels}}} 2.0" in _sorted(text)
    for name in ("rollout_reconcile_count", "rollout_events_total", "rollouts_controller_queue_depth"):
        assert name in text
    assert 'rollouts_controller_api_requests_total{kind="replicasets",verb="POST"} 1.0' in _sorted(text)


async def test_a_wrong_kubeconfig_is_told_in_one_line(bench: Bench, tmp_path: Path) -> None:
    async with started(bench, tmp_path / "log", "--kubeconfig", str(tmp_path / "absent")) as one:
        assert await one.ended() == 1
    text = (tmp_path / "log").read_text()
    assert "absent" in text
    assert "Traceback" not in text


def _sorted(text: str) -> str:
    """Labels in alphabetical order, whatever order they are written in."""
    lines = []
    for line in text.splitlines():
        head, brace, rest = line.partition("{")
        labels, _, value = rest.partition("}")
        lines.append(head + brace + ",".join(sorted(labels.split(","))) + "}" * bool(brace) + value)
    return "\n".join(lines)


async def _holder(bench: Bench) -> str:
    leases = await bench.kube.list(resources.LEASE, bench.namespace)
    return "".join(lease["spec"].get("holderIdentity") or "" for lease in leases.items)


def _is_at_step(found: Object, index: int) -> bool:
    return bool(found["status"]["currentRevision"] == 2 and found["status"]["currentStepIndex"] == index)
