"""Lists that repair what a watch may hide: whole, chunked, at start and every few minutes.

kopf tells nothing of an object that is deleted while its watch is broken (the next list simply lacks it);
a sweep drops it. Decides when to list; what is newer is decided by the `Store`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from rollouts.controller import definitions
from rollouts.controller.cache import Key, Store
from rollouts.errors import Conflict, NotFound, Transient
from rollouts.kube import Kube

__all__ = ["Sweeper", "sweep"]

log = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0


async def sweep(kube: Kube, store: Store[Any], namespace: str = "") -> int:
    """List a kind into its store and drop what is gone; the number of objects seen."""
    seen: set[Key] = set()
    version: int | None = None
    store.begin_sweep()
    try:
        async for page in kube.pages(store.resource, namespace, label_selector=store.label_selector):
            for body in page.items:
                store.put(body)
                seen.add(Key(body["metadata"].get("namespace", ""), body["metadata"]["name"]))
            listed = int(page.resource_version)
        version = listed
    finally:
        store.end_sweep(seen, version, namespace if store.resource.namespaced else "")
    return len(seen)


class Sweeper:
    """Sweeps all stores: once at start, then for ever, one kind after the other."""

    def __init__(
        self,
        kube: Kube,
        stores: Sequence[Store[Any]],
        namespace: str,
        every_seconds: float,
        *,
        required: Callable[[Store[Any]], bool],
    ) -> None:
        self._kube = kube
        self._stores = stores
        self._namespace = namespace
        self._every_seconds = every_seconds
        self._required = required
        self._last_finished = 0.0

    @property
    def age_seconds(self) -> float:
        """Seconds since the last sweep of all kinds was complete."""
        return time.monotonic() - self._last_finished

    async def start(self) -> None:
        """Every kind once. Waits for an API server that is not there yet, and for CRDs that are required, and ours."""
        for store in self._stores:
            await _until(partial(self._swept, store))
        await _until(partial(definitions.are_known, self._kube, [store.resource for store in self._stores]))
        self._last_finished = time.monotonic()

    async def run(self, swept: Callable[[], None]) -> None:
        """For ever; `swept` is called after every complete round."""
        while True:
            # With jitter, so that replicas do not list at the same moment.
            await asyncio.sleep(self._every_seconds * random.uniform(0.8, 1.2))  # noqa: S311
            if all([await self._swept(store) for store in self._stores]):
                self._last_finished = time.monotonic()
                swept()

    async def _swept(self, store: Store[Any]) -> bool:
        try:
            count = await sweep(self._kube, store, self._namespace)
        except NotFound:
            if self._required(store):
                log.warning("no %s on this API server: are the CRDs installed?", store.resource.plural)
                return False
            return True
        except (Conflict, Transient) as e:
            log.warning("list of %s broke off: %s", store.resource.plural, e)
            return False
        log.debug("listed %d %s", count, store.resource.plural)
        return True


async def _until(question: Callable[[], Awaitable[bool]]) -> None:
    while True:
        if await question():
            return
        await asyncio.sleep(_RETRY_SECONDS)
