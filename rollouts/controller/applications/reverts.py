"""The errand of reverts: a commit that restores the last good content, on the branch or as a pull request.

Nothing is pushed that does not render to the last good set, and nothing over somebody's newer change: the branch
must still hold the bad content, and moves forward only. Looks before it acts: what was pushed or proposed before a
crash is found by its branch and its trailer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from rollouts.api import parse
from rollouts.api.application import Application
from rollouts.api.application_status import ApplicationReason, RevertRecord, RevertState
from rollouts.api.git_host import Revert
from rollouts.controller.applications.hosting import Hosting
from rollouts.controller.applications.outward import Done
from rollouts.controller.applications.positions import remote_key
from rollouts.controller.applications.repositories import Repositories
from rollouts.controller.applications.sets import Sets
from rollouts.controller.cache import Key
from rollouts.errors import Transient
from rollouts.gitops import naming, reverting, source
from rollouts.gitops.actions import Event, EventType
from rollouts.gitops.credentials import Credentials
from rollouts.gitops.git import SourceError, shown
from rollouts.gitops.reverting import Due
from rollouts.gitops.source import Mirror, RemoteRefs

__all__ = ["Reverts"]

_HEADS = "refs/heads/"
_OURS = "refs/rollouts/reverts/"
_REASONS = {
    RevertState.COMMITTED: ApplicationReason.REVERT_COMMITTED,
    RevertState.PROPOSED: ApplicationReason.REVERT_PROPOSED,
    RevertState.NOT_NEEDED: ApplicationReason.REVERT_NOT_NEEDED,
    RevertState.FAILED: ApplicationReason.REVERT_FAILED,
}


@dataclass(frozen=True, slots=True)
class Reverts:
    hosting: Hosting
    repositories: Repositories
    sets: Sets
    now: Callable[[], datetime]

    async def run(self, application: Application) -> Done | None:
        asked = reverting.due(application)
        if asked is None:
            return None
        return self._done(application, await self._reverted(application, asked))

    def failed(self, application: Application, problem: str) -> Done:
        asked = reverting.due(application)
        assert asked is not None
        known = next((r for r in application.status.reverts if r.digest == asked.entry.digest), None)
        if known and known.message == problem:
            return Done(application.status)  # Told already.
        return self._done(application, self._record(asked, RevertState.FAILED, message=problem))

    async def _reverted(self, application: Application, asked: Due) -> RevertRecord:
        spec = application.spec.rollback
        secret = spec.secret_ref.name if spec.secret_ref else ""
        credentials = await self.hosting.credentials(application, asked.source, secret)
        mirror = self.repositories.mirror(remote_key(application, asked.source))
        refs = await self._refs(mirror, asked, credentials)
        head = refs.commits.get(_HEADS + asked.base)
        if head is None:
            raise _refused(f"{shown(mirror.url)} has no branch {asked.base}; set spec.rollback.branch")
        places = self._places(application)
        await mirror.fetch({_HEADS + asked.base: head}, credentials)
        for commit in (asked.bad_commit, asked.good_commit):
            await mirror.fetch({"": commit}, credentials)
        if found := await self._not_needed(mirror, asked, head, places):
            return found
        commit = await self._commit(application, asked, mirror, head, places)
        if spec.revert is Revert.BRANCH:
            await mirror.push(commit, _HEADS + asked.base, credentials)
            return self._record(asked, RevertState.COMMITTED, commit=commit, branch=asked.base)
        pushed = refs.commits.get(_HEADS + asked.branch)
        if pushed is None:
            await mirror.push(commit, _HEADS + asked.branch, credentials)
        url = await self._proposed(application, asked, secret)
        commit = pushed or commit
        return self._record(asked, RevertState.PROPOSED, commit=commit, branch=asked.branch, url=url)

    async def _refs(self, mirror: Mirror, asked: Due, credentials: Credentials | None) -> RemoteRefs:
        outside, names = self.hosting.outside, (_HEADS + asked.base, _HEADS + asked.branch)
        async with outside.host(mirror.url):
            return await source.remote_refs(outside.git, mirror.url, names, credentials)

    def _places(self, application: Application) -> tuple[str, ...]:
        metadata = application.metadata
        paths = self.repositories.paths(Key(metadata.namespace, metadata.name))
        if not paths:
            raise Transient(f"the repository of Application {metadata.key} was not looked at yet")
        return reverting.places(paths)

    async def _not_needed(
        self, mirror: Mirror, asked: Due, head: str, places: tuple[str, ...]
    ) -> RevertRecord | None:
        """Why there is nothing to revert: somebody was faster, we were, or Git is not to blame."""
        commits = (head, asked.bad_commit, asked.good_commit)
        ids = await mirror.ids([(commit, place) for commit in commits for place in places])
        n = len(places)
        now, bad, good = ids[:n], ids[n : 2 * n], ids[2 * n :]
        if now == good and reverting.is_ours(await mirror.content(head), asked):
            return self._record(asked, RevertState.COMMITTED, commit=head, branch=asked.base)
        if bad == good:
            message = f"{asked.bad} holds the same files as {asked.good}: what changed came from the cluster"
            return self._record(asked, RevertState.NOT_NEEDED, message=message)
        if now != bad:
            message = f"{asked.base} has moved on to {head[:12]}, which holds something else"
            return self._record(asked, RevertState.NOT_NEEDED, message=message)
        return None

    async def _commit(
        self, application: Application, asked: Due, mirror: Mirror, head: str, places: tuple[str, ...]
    ) -> str:
        good = await mirror.listed(asked.good_commit, [p for p in places if p != "."])
        if "." in places:
            (tree,) = await mirror.ids([(asked.good_commit, "")])
            good["."] = ("040000", tree)
        ref = _OURS + asked.branch
        text = reverting.stream(ref, asked, head, good, places, application.spec.rollback.author)
        commit = await mirror.imported(ref, text)
        if not await self.sets.renders_to(application, naming.text("", commit), asked.good_digest):
            raise _refused(
                f"with {', '.join(places)} as in {asked.good} the repository does not render to the last good set; "
                "revert by hand"
            )
        return commit

    async def _proposed(self, application: Application, asked: Due, secret: str) -> str:
        """The pull request; the one that is there already, open or not, is it."""
        spec = application.spec.rollback
        assert spec.provider is not None
        client = await self.hosting.client(application, asked.source, spec.provider, spec.url, secret)
        host, repository = client.host, client.place.repository
        known = await client.ask(host.pull_requests(repository, asked.branch, asked.base))
        if url := host.found(known, asked.branch, asked.base):
            return url
        title, text = reverting.title(asked), reverting.text(asked)
        return host.address(await client.ask(host.propose(repository, asked.branch, asked.base, title, text)))

    def _record(
        self,
        asked: Due,
        state: RevertState,
        *,
        commit: str = "",
        branch: str = "",
        url: str = "",
        message: str = "",
    ) -> RevertRecord:
        at = parse.stamp(self.now())
        return RevertRecord(asked.entry.digest, asked.bad, state, at, commit, branch, url, message)

    def _done(self, application: Application, record: RevertRecord) -> Done:
        status = application.status
        trouble = record.state is RevertState.FAILED
        event = Event(
            _REASONS[record.state], _told(record), EventType.WARNING if trouble else EventType.NORMAL
        )
        return Done(replace(status, reverts=reverting.added(status.reverts, record)), (event,))


def _told(record: RevertRecord) -> str:
    match record.state:
        case RevertState.COMMITTED:
            return f"{record.revision} is reverted on {record.branch} by {record.commit}"
        case RevertState.PROPOSED:
            return f"a revert of {record.revision} is proposed: {record.url or record.branch}"
        case RevertState.NOT_NEEDED:
            return f"{record.revision} is not reverted in Git: {record.message}"
        case RevertState.FAILED:
            return f"{record.revision} could not be reverted in Git: {record.message}; it is tried again"


def _refused(message: str) -> SourceError:
    return SourceError(ApplicationReason.GIT_OPERATION_FAILED, message, definite=True)
