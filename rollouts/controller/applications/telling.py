"""The errand of commit statuses: what is due is told once, and what the host has already is not told again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from rollouts.api import parse
from rollouts.api.application import Application
from rollouts.api.application_status import ApplicationReason, PostedCommitStatus
from rollouts.controller.applications.hosting import Hosting
from rollouts.controller.applications.outward import Done
from rollouts.gitops.actions import Event, EventType
from rollouts.gitops.hosting import commit_status

__all__ = ["CommitStatuses"]


@dataclass(frozen=True, slots=True)
class CommitStatuses:
    hosting: Hosting
    now: Callable[[], datetime]

    async def run(self, application: Application) -> Done | None:
        due, spec = commit_status.due(application), application.spec.commit_status
        if due is None or spec is None:
            return None
        secret = spec.secret_ref.name if spec.secret_ref else ""
        client = await self.hosting.client(application, due.source, spec.provider, spec.url, secret)
        context, repository = commit_status.context(application), client.place.repository
        # A crash, or an answer that was lost, may have come after the host had heard of it.
        known = await client.ask(client.host.statuses(repository, due.commit, context))
        if client.host.last_state(known, context) is not due.state:
            told = commit_status.brief(due.description, client.host.description_limit)
            await client.ask(client.host.post_status(repository, due.commit, due.state, context, told))
        posted = PostedCommitStatus(due.revision, due.state, parse.stamp(self.now()))
        return Done(replace(application.status, commit_status=posted))

    def failed(self, application: Application, problem: str) -> Done:
        before = application.status.commit_status or PostedCommitStatus()
        status = replace(application.status, commit_status=replace(before, message=problem))
        event = Event(
            ApplicationReason.COMMIT_STATUS_FAILED,
            f"the commit status could not be posted: {problem}; it is tried again",
            EventType.WARNING,
        )
        return Done(status, (event,))
