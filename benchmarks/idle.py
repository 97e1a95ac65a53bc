"""1000 idle Rollouts with 3 ReplicaSets each: what does a controller cost that has nothing to do? One JSON line.

    python -m benchmarks.idle [--rollouts 1000]

`settled_seconds`: from the start of the process until every Rollout was looked at once; `writes`: all writes
of the controller from its start over several resyncs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from typing import Any

from benchmarks import bench
from rollouts.kube import Kube, resources

_RESYNC_SECONDS = 15
_RESYNCS = 3
_AT_ONCE = 20


async def measure(count: int) -> dict[str, float]:
    with bench.cluster() as cluster:
        async with bench.client(cluster) as kube:
            async with bench.controller(cluster):
                await _populate(kube, count)
            started = time.monotonic()
            flags = ("--resync-seconds", str(_RESYNC_SECONDS))
            async with bench.controller(cluster, *flags) as controller:
                in_sync = time.monotonic() - started
                await bench.until(lambda: _settled(controller), seconds=300)
                settled, at_first = time.monotonic() - started, controller.cost()
                await asyncio.sleep(_RESYNC_SECONDS * 1.3 * _RESYNCS)
                cost, requests = controller.cost(), controller.requests()
    return {
        "rollouts": count,
        "replica_sets": 3 * count,
        "in_sync_seconds": round(in_sync, 2),
        "settled_seconds": round(settled, 2),
        "start_cpu_seconds": round(at_first.cpu_seconds, 2),
        "cpu_seconds_per_resync": round((cost.cpu_seconds - at_first.cpu_seconds) / _RESYNCS, 2),
        "resident_mib": round(cost.resident_mib, 1),
        "peak_mib": round(cost.peak_mib, 1),
        "writes": sum(n for (verb, _), n in requests.items() if verb != "GET"),
    }


async def _populate(kube: Kube, count: int) -> None:
    """Healthy Rollouts of one pod, each with two ReplicaSets of former revisions."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(i: int) -> None:
        async with turns:
            body = bench.rollout(f"web-{i}", "web:3", replicas=1, weights=(50,))
            made = await kube.create(resources.rollout("rollouts.dev"), body, field_manager="bench")
            for revision in (1, 2):
                await kube.create(resources.REPLICA_SET, _former(made, revision), field_manager="bench")

    async with asyncio.TaskGroup() as group:
        for i in range(count):
            group.create_task(one(i))
    await bench.until(lambda: _all_healthy(kube, count), seconds=1800)


def _former(rollout: bench.Object, revision: int) -> dict[str, Any]:
    name = rollout["metadata"]["name"]
    labels = {"app": name, "rollouts-pod-template-hash": f"former{revision}"}
    owner = {"apiVersion": "rollouts.dev/v1alpha1", "kind": "Rollout", "controller": True}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{name}-former{revision}",
            "namespace": bench.NAMESPACE,
            "labels": labels,
            "annotations": {
                "rollout.rollouts.dev/revision": str(revision),
                "rollout.rollouts.dev/desired-replicas": "1",
            },
            "ownerReferences": [{**owner, "name": name, "uid": rollout["metadata"]["uid"]}],
        },
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": f"web:{revision}"}]},
            },
        },
    }


async def _all_healthy(kube: Kube, count: int) -> bool:
    found = await bench.rollouts(kube)
    return sum(r.get("status", {}).get("phase") == "Healthy" for r in found) == count


async def _settled(controller: bench.Controller) -> bool:
    return controller.queued("rollout") == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rollouts", type=int, default=1000)
    print(json.dumps(asyncio.run(measure(parser.parse_args().rollouts))))


if __name__ == "__main__":
    main()
