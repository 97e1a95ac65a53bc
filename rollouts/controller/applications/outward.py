"""What an Application tells its Git host, beside the reconcile workers: a host that hangs delays no sync.

A controller of its own on the same Applications, with its own queue and back-off. It owns a few fields of the
status and writes nothing else; what they should say is decided in `rollouts.gitops` from the rest of the status.
Each errand looks before it acts, so that one which was cut off by a crash is not done twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from rollouts.api.application import Application
from rollouts.api.application_status import ApplicationStatus
from rollouts.api.git_host import Rollback
from rollouts.controller.applications.records import KnownApplication
from rollouts.controller.cache import Key, Store
from rollouts.controller.events import Recorder
from rollouts.controller.loop import NOTHING_MORE, Next
from rollouts.controller.writes import Writer, model_difference
from rollouts.errors import SpecError, Transient
from rollouts.gitops import validation
from rollouts.gitops.actions import Event
from rollouts.gitops.sources.git import SourceError

__all__ = ["Done", "Errand", "Outward"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """The status with what was done in it, and what people are told."""

    status: ApplicationStatus
    events: Sequence[Event] = ()


class Errand(Protocol):
    """One thing that a Git host is told or asked."""

    async def run(self, application: Application) -> Done | None:
        """Do what is due; None where nothing is. Raises `SourceError`; `Transient` for what nobody need hear of."""

    def failed(self, application: Application, problem: str) -> Done:
        """It could not be done for now."""


@dataclass(frozen=True, slots=True)
class Outward:
    """Runs the errands of Applications by key."""

    store: Store[KnownApplication]
    errands: Sequence[Errand]
    writer: Writer
    recorder: Recorder
    now: Callable[[], datetime]

    async def reconcile(self, key: Key) -> Next:
        if self.store.get(key) is None:
            self.recorder.settle(str(key))
        problems, waits = [], [0.0]
        for errand in self.errands:
            application = self._served(key)
            if application is None:
                return NOTHING_MORE
            try:
                done = await errand.run(application)
            except SourceError as e:
                problems.append(str(e))
                waits.append(e.retry_after or 0.0)
                done = errand.failed(application, str(e))
            except Transient as e:
                problems.append(str(e))
                continue
            if done:
                await self._write(application, done)
        if problems:
            raise Transient("; ".join(problems), retry_after=max(waits))
        return NOTHING_MORE

    def _served(self, key: Key) -> Application | None:
        record = self.store.get(key)
        known = record.value if record else None
        if known is None or known.spec is None or known.spec.suspend or known.metadata.deletion_timestamp:
            return None
        if known.spec.commit_status is None and known.spec.rollback == Rollback():
            return None  # Most of them have nothing to tell.
        try:
            validation.check(known.application)
        except SpecError:
            return None  # Its status says so already.
        return known.application

    async def _write(self, application: Application, done: Done) -> None:
        """Only fields that nobody else writes: no version is asked for, so that no sync has to look again."""
        difference = model_difference(application.status, done.status)
        if not difference:
            return
        metadata = application.metadata
        for event in done.events:
            await self.recorder.post(metadata, event, self.now())
        patch = {"metadata": {"uid": metadata.uid}, "status": difference}
        await self.writer.patch(
            self.store, Key(metadata.namespace, metadata.name), patch, subresource="status"
        )
        self.recorder.settle(metadata.key)
