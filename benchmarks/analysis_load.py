"""500 AnalysisRuns with 2 metrics at a 10 s interval: do measurements come in time, and what does it cost?

    python -m benchmarks.analysis_load [--runs 500] [--metrics 2] [--interval 10] [--seconds 90]

A real API server, a real Prometheus and the controller share the machine; `machine_cpu_seconds_per_second` is what all
of them use together. `lateness` is the time from the instant at which a measurement was due until it began, as the
controller itself measures it. One JSON line; the first interval, in which all runs start at once, is told apart.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from benchmarks import bench
from rollouts import sandbox
from rollouts.kube import Kube, resources
from rollouts.sandbox import Component

_AT_ONCE = 20
_BUDGET_SECONDS = 1.0
Buckets = Mapping[float, int]


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    wanted = sandbox.API | {Component.PROMETHEUS}
    with (
        tempfile.TemporaryDirectory(prefix="rollouts-bench-") as directory,
        sandbox.up(Path(directory), wanted=wanted) as cluster,
    ):
        bench.kubectl(cluster, "apply", f"--filename={bench.CRDS}")
        bench.kubectl(cluster, "wait", "--for=condition=Established", "crd", "--all")
        async with bench.client(cluster) as kube:
            flags = ("--prometheus-address", cluster.prometheus_url)
            async with bench.controller(cluster, *flags) as controller:
                idle = controller.cost()
                await _create(kube, options)
                await asyncio.sleep(2 * options.interval)
                return await _observed(kube, controller, options, idle)


async def _observed(
    kube: Kube, controller: bench.Controller, options: argparse.Namespace, idle: bench.Cost
) -> dict[str, Any]:
    start, before, machine = _lateness(controller), controller.cost(), _machine()
    requests, begun = controller.requests(), time.monotonic()
    await asyncio.sleep(options.seconds)
    passed, after = time.monotonic() - begun, controller.cost()
    late = {le: count - start.get(le, 0) for le, count in _lateness(controller).items()}
    writes = sum(
        n for (verb, _), n in bench.difference(requests, controller.requests()).items() if verb != "GET"
    )
    runs = (await kube.list(resources.analysis_run("rollouts.dev"), bench.NAMESPACE)).items
    measured = late[float("inf")]
    return {
        "benchmark": "analysis_load",
        "runs": options.runs,
        "metrics": options.metrics,
        "interval_seconds": options.interval,
        "running": sum(r.get("status", {}).get("phase") == "Running" for r in runs),
        "errors": sum(m.get("error", 0) for r in runs for m in r.get("status", {}).get("metricResults", ())),
        "measurements_per_second": round(measured / passed, 1),
        "lateness_p50": _quantile(late, 0.5),
        "lateness_p99": _quantile(late, 0.99),
        "within_1_s": round(late[_BUDGET_SECONDS] / measured, 4),
        "start_lateness_p99": _quantile(start, 0.99),
        "measurement_p50": _quantile(_durations(controller), 0.5),
        "measurement_p99": _quantile(_durations(controller), 0.99),
        "reconcile_mean": _mean_reconcile(controller),
        "queued": controller.queued("analysis_run"),
        "cpu_per_second": round((after.cpu_seconds - before.cpu_seconds) / passed, 3),
        "machine_cpu_seconds_per_second": round((_machine() - machine) / passed, 2),
        "status_writes_per_second": round(writes / passed, 1),
        "idle_mib": round(idle.resident_mib, 1),
        "resident_mib": round(after.resident_mib, 1),
        "peak_mib": round(after.peak_mib, 1),
    }


async def _create(kube: Kube, options: argparse.Namespace) -> None:
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(index: int) -> None:
        async with turns:
            kind = resources.analysis_run("rollouts.dev")
            await kube.create(kind, _run(index, options), field_manager="bench")

    await asyncio.gather(*(one(i) for i in range(options.runs)))


def _run(index: int, options: argparse.Namespace) -> dict[str, Any]:
    metrics = [
        {
            "name": f"metric-{number}",
            "interval": f"{options.interval}s",
            "successCondition": "result[0] >= 0.95",
            "provider": {"prometheus": {"query": f"vector({index} * 0 + 0.99)"}},
        }
        for number in range(options.metrics)
    ]
    metadata = {"name": f"run-{index}", "namespace": bench.NAMESPACE}
    return {
        "apiVersion": "rollouts.dev/v1alpha1",
        "kind": "AnalysisRun",
        "metadata": metadata,
        "spec": {"metrics": metrics},
    }


def _lateness(controller: bench.Controller) -> Buckets:
    return _buckets(controller, r'analysis_measurement_lateness_seconds_bucket\{le="([^"]+)"\} (\S+)')


def _durations(controller: bench.Controller) -> Buckets:
    return _buckets(
        controller, r'analysis_measurement_seconds_bucket\{le="([^"]+)",phase="Successful"\} (\S+)'
    )


def _buckets(controller: bench.Controller, pattern: str) -> Buckets:
    text = httpx.get(f"{controller.metrics}/metrics", trust_env=False).text
    return {float(le): int(float(count)) for le, count in re.findall(pattern, text)}


def _mean_reconcile(controller: bench.Controller) -> float:
    """Seconds; a reconcile that writes waits for the API server."""
    text = httpx.get(f"{controller.metrics}/metrics", trust_env=False).text
    totals = {
        part: sum(map(float, re.findall(rf"analysis_run_reconcile_{part}\{{[^}}]*\}} (\S+)", text)))
        for part in ("sum", "count")
    }
    return round(totals["sum"] / max(1.0, totals["count"]), 4)


def _quantile(buckets: Buckets, share: float) -> float | None:
    """Interpolated within its bucket, as histogram_quantile does."""
    rank, lower, below = share * buckets[float("inf")], 0.0, 0
    for le, count in sorted(buckets.items()):
        if count >= rank and count > below:
            return (
                None
                if le == float("inf")
                else round(lower + (le - lower) * (rank - below) / (count - below), 3)
            )
        lower, below = le, count
    return None


def _machine() -> float:
    """CPU seconds that the whole machine has used."""
    busy = [int(n) for n in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return (sum(busy) - busy[3] - busy[4]) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--metrics", type=int, default=2)
    parser.add_argument("--interval", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=90)
    print(json.dumps(asyncio.run(measure(parser.parse_args()))))


if __name__ == "__main__":
    main()
