"""The errand of the last-good record: a ref that is pushed after a promotion, and read before a first sync."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from rollouts.api import parse
from rollouts.api.application import Application, ApplicationSource
from rollouts.api.application_status import ApplicationReason, LastGoodRecord
from rollouts.controller.applications.hosting import Hosting
from rollouts.controller.applications.outward import Done
from rollouts.controller.applications.positions import remote_key
from rollouts.controller.applications.repositories import Repositories
from rollouts.controller.cache import Key
from rollouts.gitops import naming
from rollouts.gitops.actions import Event, EventType
from rollouts.gitops.hosting import recording
from rollouts.gitops.hosting.recording import Work
from rollouts.gitops.sources import source
from rollouts.gitops.sources.credentials import Credentials

__all__ = ["LastGoodRecords"]


@dataclass(frozen=True, slots=True)
class LastGoodRecords:
    hosting: Hosting
    repositories: Repositories
    ring: Callable[[Key], None]
    now: Callable[[], datetime]

    async def run(self, application: Application) -> Done | None:
        work, followed = recording.due(application), application.spec.source
        if work is None or followed is None:
            return None
        match work:
            case Work.READ:
                return await self._read(application, followed)
            case Work.BRING:
                await self._bring(application, followed)
            case Work.WRITE:
                return await self._written(application, followed)
        return None

    def failed(self, application: Application, problem: str) -> Done:
        before = application.status.last_good_record or LastGoodRecord()
        event = Event(
            ApplicationReason.LAST_GOOD_RECORD_FAILED,
            f"the record of the last good revision, {recording.ref(application)}: {problem}; it is tried again",
            EventType.WARNING,
        )
        status = replace(application.status, last_good_record=replace(before, message=problem))
        return Done(status, (event,))

    async def _read(self, application: Application, followed: ApplicationSource) -> Done:
        place, outside = recording.ref(application), self.hosting.outside
        credentials = await self._credentials(application, followed)
        async with outside.host(followed.repo_url):
            refs = await source.remote_refs(outside.git, followed.repo_url, [place], credentials)
        commit = refs.commits.get(place, "")
        if commit:
            message = f"{place} names {commit}: it is deployed first"
        else:
            message = f"{place} is not there yet: what Git says is deployed without a last good revision"
        event = Event(ApplicationReason.LAST_GOOD_RECORD_READ, message)
        return self._done(application, naming.text("", commit) if commit else "", event)

    async def _bring(self, application: Application, followed: ApplicationSource) -> None:
        """The commit into the mirror, where the reconcile waits for it."""
        remote, commit = remote_key(application, followed), recording.bootstrap(application)
        mirror = self.repositories.mirror(remote)
        await mirror.prepare()
        if not await mirror.has(commit):
            await mirror.fetch({"": commit}, await self._credentials(application, followed))
            self.ring(Key(application.metadata.namespace, application.metadata.name))

    async def _written(self, application: Application, followed: ApplicationSource) -> Done:
        credentials = await self._credentials(application, followed)
        mirror, commit = (
            self.repositories.mirror(remote_key(application, followed)),
            recording.good_commit(application),
        )
        await mirror.fetch({"": commit}, credentials)
        # By force: after a rollback by hand the last good revision is an older one.
        await mirror.push(commit, recording.ref(application), credentials, force=True)
        return self._done(application, application.status.last_good_revision)

    async def _credentials(self, application: Application, followed: ApplicationSource) -> Credentials | None:
        reference = application.spec.rollback.secret_ref
        return await self.hosting.credentials(application, followed, reference.name if reference else "")

    def _done(self, application: Application, revision: str, *events: Event) -> Done:
        record = LastGoodRecord(revision, parse.stamp(self.now()))
        return Done(replace(application.status, last_good_record=record), events)
