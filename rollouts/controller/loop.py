"""Workers: take a key, reconcile it, say when to look again. The one except-ladder of the controller.

Decides what an error means for the queue, and nothing else. One `Controller` per kind, each with its own
queue and workers, so that a slow kind never delays another.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rollouts.controller.cache import Key, Store
from rollouts.controller.metrics import Metrics
from rollouts.controller.queue import Queue, QueueClosed
from rollouts.errors import Conflict, LostLease, NotFound, Rejected, SpecError, Transient

__all__ = ["NOTHING_MORE", "Controller", "Next", "work"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Next:
    """What a reconcile leaves behind: look again at `at`; `again`: something was written, look at once."""

    at: datetime | None = None
    again: bool = False


NOTHING_MORE = Next()

Reconcile = Callable[[Key], Awaitable[Next]]


@dataclass(frozen=True, slots=True)
class Controller:
    """One kind of objects to keep right. `name` is what logs and metrics call it: rollout, analysis_run."""

    name: str
    queue: Queue
    reconcile: Reconcile
    workers: int
    store: Store[Any]
    """The objects: all are rung with low priority after every sweep, in case something was missed."""


async def work(controller: Controller, metrics: Metrics) -> None:
    """One worker, until the queue is closed. Raises only `LostLease`."""
    while True:
        try:
            key = await controller.queue.get()
        except QueueClosed:
            return
        started = time.monotonic()
        failed = await _handle(controller, key)
        if controller.store.get(key) is None:
            # After the last look, not with the deletion: that look would bring its series back.
            metrics.forget(controller.name, key)
        else:
            metrics.reconciled(controller.name, key, time.monotonic() - started, failed=failed)


async def _handle(controller: Controller, key: Key) -> bool:
    """Reconcile one key; whether it failed."""
    queue = controller.queue
    try:
        following = await controller.reconcile(key)
    except (LostLease, asyncio.CancelledError):
        raise
    except (Conflict, NotFound) as e:
        # Somebody was faster, and what they wrote is in the cache by now: look again at once, but not
        # for ever without a pause.
        log.info("looking again: %s", e, extra=_fields(controller, key, type(e).__name__))
        queue.failed(key)
        if queue.failures(key) == 1:
            queue.add(key)
        return False
    except SpecError as e:
        log.warning("waiting for a new spec: %s", e, extra=_fields(controller, key, "InvalidSpec"))
        queue.done(key)
        return True
    except Transient as e:
        log.warning("trying again later: %s", e, extra=_fields(controller, key, "Transient"))
        retry_after = timedelta(seconds=e.retry_after) if e.retry_after is not None else None
        queue.failed(key, retry_after=retry_after)
        return True
    except Rejected as e:
        log.warning("the API server refused: %s", e, extra=_fields(controller, key, "Rejected"))
        queue.failed(key)
        return True
    except Exception:
        log.exception("this is a bug in the controller", extra=_fields(controller, key, "Bug"))
        queue.failed(key)
        return True
    queue.done(key, again_at=following.at)
    if following.again:
        queue.add(key)
    return False


def _fields(controller: Controller, key: Key, reason: str) -> dict[str, object]:
    return {"fields": {controller.name: str(key), "reason": reason}}
