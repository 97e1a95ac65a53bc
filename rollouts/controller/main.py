"""The controller process: wire, start, serve, stop. The only place that knows every part.

Decides the order of start and stop, and when the process ends. Everything unexpected ends it with status 1:
a new process recovers from the API server alone, and that path is the tested one.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client import disable_created_metrics
from prometheus_client.core import GaugeMetricFamily

from rollouts import kube as kubes
from rollouts.api.meta import APPLICATION_GROUP
from rollouts.controller import applications, door, health, peer_metrics, wiring
from rollouts.controller.cache import Store
from rollouts.controller.experiments import wiring as experiments
from rollouts.controller.lease import AlwaysHeld, Leadership, Lease
from rollouts.controller.loop import Controller, work
from rollouts.controller.metrics import Metrics
from rollouts.controller.parts import Environment, Part
from rollouts.controller.queue import Priority
from rollouts.controller.sweep import Sweeper
from rollouts.controller.writes import Checkpoint, no_checkpoint
from rollouts.errors import LostLease, RolloutsError
from rollouts.kube import Kube, resources
from rollouts.settings import Settings

__all__ = ["run", "serve"]

log = logging.getLogger(__name__)

_DRAIN_SECONDS = 20.0
_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


async def run(settings: Settings, checkpoint: Checkpoint = no_checkpoint) -> int:
    """Serve until a signal comes; the exit status."""
    # A second series with the time of creation for each counter and histogram: nobody asked for it.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    stopping = asyncio.Event()
    _on_signals(stopping.set)
    kube = await kubes.connect(settings.kubeconfig or None, settings.context or None)
    try:
        return await serve(kube, settings, stopping, checkpoint)
    finally:
        await kube.close()


async def serve(
    kube: Kube, settings: Settings, stopping: asyncio.Event, checkpoint: Checkpoint = no_checkpoint
) -> int:
    """Serve until `stopping` is set; the exit status."""
    leadership = _leadership(kube, settings)
    metrics = Metrics()
    kube.observe(metrics.request)
    if settings.names.is_the_peers:
        peer_metrics.register(metrics.registry, kube)
    guarded = kube.guarded(lambda: _require(leadership))
    environment = Environment(settings, settings.names, guarded, metrics, lambda: datetime.now(UTC))
    process = Process(kube, leadership, metrics, _parts(environment, checkpoint), settings)
    return await process.serve(stopping)


def _parts(environment: Environment, checkpoint: Checkpoint) -> tuple[Part, ...]:
    stores = wiring.new_stores(environment)
    return (
        wiring.part(environment, stores, checkpoint),
        experiments.part(environment, stores, checkpoint),
        applications.part(environment),
    )


class Process:
    """All parts of one process, from the first list to the last write."""

    def __init__(
        self, kube: Kube, leadership: Leadership, metrics: Metrics, parts: Sequence[Part], settings: Settings
    ) -> None:
        self._kube = kube
        self._leadership = leadership
        self._metrics = metrics
        self._parts = parts
        self._settings = settings
        self._stores: tuple[Store[Any], ...] = tuple(s for part in parts for s in part.stores)
        self._controllers: tuple[Controller, ...] = tuple(c for part in parts for c in part.controllers)
        self._sweeper = Sweeper(
            kube, self._stores, settings.namespace, settings.resync_seconds, required=self._is_required
        )
        self._in_sync = asyncio.Event()
        self._leading = asyncio.Event()
        self._servers = self._new_servers()
        metrics.gather(self._gauges)

    async def serve(self, stopping: asyncio.Event) -> int:
        """Until `stopping` is set (0), or anything ends that should not (1)."""
        for server in self._servers:
            await server.start()
        watched, closed = asyncio.Event(), asyncio.Event()
        # Before the door: kopf cancels, when it ends, every task that was created while it ran.
        workers = [self._task(self._worker(c), f"worker of {c.name}") for c in self._workers()]
        vital = [
            self._task(self._lead(), "lease"),
            self._task(self._sweep(), "sweep"),
            self._task(stopping.wait(), "signal"),
            *(self._task(self._led(task), "task of a part") for part in self._parts for task in part.tasks),
        ]
        vital.append(self._task(self._watch(watched, closed, stopping), "watch"))
        vital.append(self._task(self._retake_signals(watched, stopping), "signals"))
        await asyncio.wait([*vital[:-1], *workers], return_when=asyncio.FIRST_COMPLETED)
        status = 0 if stopping.is_set() else 1
        _complain(*vital, *workers)
        await self._stop(workers, vital, closed)
        return status

    async def _stop(
        self, workers: list[asyncio.Task[Any]], vital: list[asyncio.Task[Any]], closed: asyncio.Event
    ) -> None:
        """Running reconciles finish; then the watches, the lease and the rest."""
        log.info("stopping")
        for controller in self._controllers:
            controller.queue.close()
        parked = not self._leading.is_set()
        _, pending = await asyncio.wait(workers, timeout=0 if parked else _DRAIN_SECONDS)
        for part in self._parts:
            if part.close:
                await part.close()
        # Before the door: kopf waits for the tasks of open connections.
        for server in self._servers:
            await server.stop()
        closed.set()
        watch = next(task for task in vital if task.get_name() == "watch")
        await asyncio.wait([watch], timeout=_DRAIN_SECONDS)
        await self._leadership.release()
        for task in (*pending, *vital):
            task.cancel()
        await asyncio.gather(*pending, *vital, return_exceptions=True)

    def _workers(self) -> Iterator[Controller]:
        for controller in self._controllers:
            yield from [controller] * controller.workers

    async def _worker(self, controller: Controller) -> None:
        await self._leading.wait()
        await work(controller, self._metrics)

    async def _led(self, task: Callable[[], Awaitable[None]]) -> None:
        await self._leading.wait()
        await task()

    async def _lead(self) -> None:
        """Workers wait for the first sweep and for the lease; a standby keeps its stores warm."""
        await self._in_sync.wait()
        await self._leadership.acquire()
        self._leading.set()
        await self._leadership.keep()

    async def _sweep(self) -> None:
        await self._sweeper.start()
        log.info("in sync: %s", ", ".join(f"{len(s)} {s.resource.plural}" for s in self._stores))
        self._in_sync.set()
        await self._sweeper.run(self._resync)

    def _is_required(self, store: Store[Any]) -> bool:
        """Where the Rollouts of another group are served, Applications may not be installed at all."""
        return store.resource.group != APPLICATION_GROUP or self._settings.api_group == APPLICATION_GROUP

    def _resync(self) -> None:
        for controller in self._controllers:
            for record in controller.store:
                controller.queue.add(record.key, Priority.RESYNC)

    async def _watch(self, watched: asyncio.Event, closed: asyncio.Event, stopping: asyncio.Event) -> None:
        await door.watch(self._kube, self._stores, self._settings.namespace, ready=watched, stop=closed)
        # Not told to, kopf ends without an error only on a signal that came before we took them back.
        stopping.set()

    async def _retake_signals(self, watched: asyncio.Event, stopping: asyncio.Event) -> None:
        """kopf stops at once on a signal; we finish what runs first, so the signals are ours."""
        await watched.wait()
        _on_signals(stopping.set)

    def _new_servers(self) -> tuple[health.Server, ...]:
        found = []
        if self._settings.health_address:
            found.append(health.health(self._settings.health_address, alive=str, ready=self._unready))
        if self._settings.metrics_address:
            found.append(health.metrics(self._settings.metrics_address, self._metrics))
        return tuple(found)

    def _unready(self) -> str:
        return "" if self._in_sync.is_set() else "the first list of all kinds is not complete"

    def _gauges(self) -> Iterator[GaugeMetricFamily]:
        depth = GaugeMetricFamily(
            "rollouts_controller_queue_depth", "Keys that wait for a worker.", labels=("controller",)
        )
        busy = GaugeMetricFamily(
            "rollouts_controller_queue_busy", "Keys that a worker handles.", labels=("controller",)
        )
        for controller in self._controllers:
            depth.add_metric((controller.name,), len(controller.queue))
            busy.add_metric((controller.name,), controller.queue.busy)
        success = GaugeMetricFamily(
            "rollouts_controller_last_success_seconds",
            "Seconds since a reconcile last went well.",
            labels=("controller",),
        )
        for name, seconds in self._metrics.seconds_since_success().items():
            success.add_metric((name,), seconds)
        leading = GaugeMetricFamily("rollouts_controller_leading", "1 while this process leads.")
        leading.add_metric((), self._leading.is_set() and self._leadership.held)
        swept = GaugeMetricFamily(
            "rollouts_controller_last_sweep_seconds", "Seconds since all kinds were last listed."
        )
        swept.add_metric((), self._sweeper.age_seconds)
        yield from (depth, busy, success, leading, swept)

    @staticmethod
    def _task(coroutine: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        return asyncio.create_task(coroutine, name=name)


def _leadership(kube: Kube, settings: Settings) -> Leadership:
    if not settings.leader_elect:
        return AlwaysHeld()
    namespace = settings.lease_namespace or settings.namespace or _own_namespace()
    identity = settings.identity or f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"
    return Lease(kube, resources.LEASE.ref(settings.lease_name, namespace), identity)


def _own_namespace() -> str:
    return _POD_NAMESPACE.read_text().strip() if _POD_NAMESPACE.exists() else "default"


def _require(leadership: Leadership) -> None:
    if not leadership.held:
        raise LostLease("this process does not hold the lease any more")


def _on_signals(call: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, call)


def _complain(*tasks: asyncio.Task[Any]) -> None:
    """Say which part of the process has broken, if any."""
    for task in tasks:
        if task.done() and not task.cancelled() and (error := task.exception()):
            # Where it happened helps with a bug only; our own errors say what to do.
            trace = None if isinstance(error, RolloutsError) else error
            log.critical("%s broke: %s", task.get_name(), error, exc_info=trace)
