"""Run the load model: `python -m rollouts.sandbox.traffic --kubeconfig F --listen 127.0.0.1:9100`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import time
from pathlib import Path

from aiohttp import web

from rollouts.sandbox.traffic import model, observe
from rollouts.sandbox.traffic.model import Load
from rollouts.sandbox.traffic.observe import World
from rollouts.sandbox.traffic.record import Recorder

TICK_SECONDS = 0.05
# After a pause of the whole machine the missed requests are lost, not sent in one burst.
LONGEST_TICK_SECONDS = 1.0


async def drive(world: World, load: Load, recorder: Recorder) -> None:
    """Send requests as time passes, once it is known who can answer them."""
    backends = model.backends((), ())
    last = time.monotonic()
    while True:
        await asyncio.sleep(TICK_SECONDS)
        now = time.monotonic()
        elapsed, last = min(now - last, LONGEST_TICK_SECONDS), now
        if not world.is_complete:
            continue
        if world.changed:
            world.changed = False
            backends = model.backends(world.services.values(), world.pods.values())
        for request in load.requests(backends, elapsed=elapsed):
            recorder.add(request)


def application(world: World, recorder: Recorder) -> web.Application:
    """What the process tells others."""

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=recorder.exposition(), headers={"Content-Type": "text/plain; version=0.0.4"})

    async def served(_: web.Request) -> web.Response:
        return web.json_response(recorder.served())

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(
            text="ok" if world.is_complete else "waiting", status=200 if world.is_complete else 503
        )

    app = web.Application()
    app.add_routes([web.get("/metrics", metrics), web.get("/served", served), web.get("/healthz", healthz)])
    return app


async def run(kubeconfig: Path, host: str, port: int) -> None:
    """Serve and drive until the process is ended."""
    world, recorder = World(), Recorder()
    runner = web.AppRunner(application(world, recorder), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    async with observe.session(kubeconfig) as client, asyncio.TaskGroup() as group:
        group.create_task(observe.follow(client, world))
        group.create_task(drive(world, Load(random.Random()), recorder))  # noqa: S311  not for secrets


def main(argv: list[str]) -> None:
    """Read the flags and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--listen", required=True, help="address:port")
    flags = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    host, _, port = flags.listen.rpartition(":")
    asyncio.run(run(flags.kubeconfig, host, int(port)))


if __name__ == "__main__":
    main(sys.argv[1:])
