"""100 canary Rollouts of 2 replicas and 5 weight steps are updated at once: one JSON line of figures.

    python -m benchmarks.rollouts_update [--rollouts 100]

Writes are counted by the API server (POST and PATCH on Rollouts and ReplicaSets, which nobody else sends
here; refused ones included), events as the Event objects that exist in the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time

from benchmarks import bench
from rollouts.kube import Kube, resources
from rollouts.sandbox import Sandbox

WEIGHTS = (20, 40, 60, 80, 100)
_OURS = {("POST", "replicasets"), ("PATCH", "replicasets"), ("PATCH", "rollouts")}


async def measure(count: int) -> dict[str, float]:
    with bench.cluster() as cluster:
        async with bench.client(cluster) as kube, bench.controller(cluster) as controller:
            for i in range(count):
                await kube.create(
                    resources.rollout("rollouts.dev"),
                    bench.rollout(f"web-{i}", "web:1", replicas=2, weights=WEIGHTS),
                    field_manager="bench",
                )
            await _until_all(kube, count, revision=1, seconds=300)
            before, requests_before = controller.cost(), controller.requests()
            writes_before, events_before = _writes(cluster), await bench.events(kube)
            started = time.monotonic()
            await _update(kube, count)
            await _until_all(kube, count, revision=2, seconds=600)
            seconds = time.monotonic() - started
            after = controller.cost()
            requests = bench.difference(requests_before, controller.requests())
            writes = bench.difference(writes_before, _writes(cluster))
            return {
                "rollouts": count,
                "seconds": round(seconds, 2),
                "writes_per_rollout": round((sum(writes.values()) - count) / count, 2),
                "events_per_rollout": round((await bench.events(kube) - events_before) / count, 2),
                "cpu_seconds": round(after.cpu_seconds - before.cpu_seconds, 2),
                "peak_mib": round(after.peak_mib, 1),
                **{f"{verb} {kind}": n for (verb, kind), n in sorted(requests.items())},
            }


async def _update(kube: Kube, count: int) -> None:
    """All of them at once."""
    template = {"spec": {"containers": [{"name": "main", "image": "web:2"}]}}
    async with asyncio.TaskGroup() as group:
        for i in range(count):
            ref = resources.rollout("rollouts.dev").ref(f"web-{i}", bench.NAMESPACE)
            patch = {"spec": {"template": template}}
            group.create_task(kube.merge_patch(ref, patch, field_manager="bench"))


async def _until_all(kube: Kube, count: int, *, revision: int, seconds: float) -> None:
    """By a watch: to list all of them ten times a second takes a good part of what the API server can do."""
    kind, left = resources.rollout("rollouts.dev"), {f"web-{i}" for i in range(count)}
    page = await kube.list(kind, bench.NAMESPACE)
    left -= {r["metadata"]["name"] for r in page.items if _is_at(r, revision)}
    version = page.resource_version
    async with asyncio.timeout(seconds):
        while left:
            async for _, body in kube.watch(kind, bench.NAMESPACE, resource_version=version):
                version = body["metadata"]["resourceVersion"]
                if _is_at(body, revision):
                    left.discard(body["metadata"]["name"])
                if not left:
                    return


def _is_at(rollout: bench.Object, revision: int) -> bool:
    status = rollout.get("status") or {}
    return status.get("phase") == "Healthy" and status.get("currentRevision") == revision


def _writes(cluster: Sandbox) -> dict[tuple[str, str], int]:
    """The API server's own count, by (verb, resource)."""
    text = bench.kubectl(cluster, "get", "--raw", "/metrics")
    counts: dict[tuple[str, str], int] = {}
    for labels, value in re.findall(r"apiserver_request_total\{([^}]*)\} (\S+)", text):
        pairs = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        key = (pairs["verb"], pairs["resource"])
        if key in _OURS:
            counts[key] = counts.get(key, 0) + int(float(value))
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rollouts", type=int, default=100)
    print(json.dumps(asyncio.run(measure(parser.parse_args().rollouts))))


if __name__ == "__main__":
    main()
