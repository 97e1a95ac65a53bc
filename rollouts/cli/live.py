"""Objects as they are now and as they change: one list and one watch for each kind.

Decides how a broken watch is repaired (by listing again), not what is followed or drawn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rollouts.errors import Conflict, Transient

if TYPE_CHECKING:
    from rollouts.kube import Kube, Resource

Object = dict[str, Any]

_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Source:
    """Which objects of a namespace are followed."""

    resource: Resource
    label_selector: str = ""


class Live:
    """Follows sources from `async with` to its end; `objects` is complete from the first `changed` on."""

    def __init__(self, kube: Kube, namespace: str, sources: Mapping[str, Source]) -> None:
        self._kube = kube
        self._namespace = namespace
        self._sources = sources
        self._found: dict[str, dict[str, Object]] = {}
        self._changed = asyncio.Event()
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self.trouble = ""
        """Why what is shown may be old; empty while every watch works."""

    def objects(self, kind: str) -> tuple[Object, ...]:
        return tuple(self._found.get(kind, {}).values())

    async def changed(self, within: float | None = None) -> bool:
        """Wait for a change, for at most `within` seconds; whether there was one. Raises what a watch raised."""
        waiting = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait({waiting, *self._tasks}, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        for task in self._tasks:
            if task.done():
                task.result()
        seen = self._changed.is_set()
        self._changed.clear()
        return seen

    async def __aenter__(self) -> Self:
        self._tasks = tuple(asyncio.create_task(self._follow(k, s)) for k, s in self._sources.items())
        while len(self._found) < len(self._sources):
            await self.changed()
        self._changed.set()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self, kind: str, source: Source) -> None:
        while True:
            try:
                await self._list_and_watch(kind, source)
            except Conflict:
                continue  # the version is too old to go on from: list again
            except Transient as e:
                self.trouble = str(e)
                self._changed.set()
                await asyncio.sleep(_RETRY_SECONDS)

    async def _list_and_watch(self, kind: str, source: Source) -> None:
        page = await self._kube.list(source.resource, self._namespace, label_selector=source.label_selector)
        self._found[kind] = {item["metadata"]["uid"]: item for item in page.items}
        self.trouble = ""
        self._changed.set()
        events = self._kube.watch(
            source.resource,
            self._namespace,
            resource_version=page.resource_version,
            label_selector=source.label_selector,
        )
        async for type_, item in events:
            if type_ != "BOOKMARK":
                self._take(kind, type_, item)

    def _take(self, kind: str, type_: str, item: Object) -> None:
        uid = item["metadata"]["uid"]
        if type_ == "DELETED":
            self._found[kind].pop(uid, None)
        else:
            self._found[kind][uid] = item
        self._changed.set()
