"""The errand of reverts: a commit that restores the last good content, on the branch or as a pull request.

Nothing is pushed that does not render to the last good set, and nothing over somebody's newer change: the branch
must still hold the bad content, and moves forward only. The status says that a revert is being made before it is,
so that whoever comes after a crash looks for it, also where Git has gone on since: by its branch and its trailer.
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
from rollouts.gitops import naming
from rollouts.gitops.actions import Event, EventType
from rollouts.gitops.hosting import reverting
from rollouts.gitops.hosting.hosts import Client
from rollouts.gitops.hosting.reverting import Due, Known
from rollouts.gitops.sources import source
from rollouts.gitops.sources.credentials import Credentials
from rollouts.gitops.sources.git import SourceError, shown
from rollouts.gitops.sources.source import Mirror, RemoteRefs

__all__ = ["Reverts"]

_HEADS = "refs/heads/"
_OURS = "refs/rollouts/reverts/"


@dataclass(frozen=True, slots=True)
class Reverts:
    hosting: Hosting
    repositories: Repositories
    sets: Sets
    now: Callable[[], datetime]

    async def run(self, application: Application) -> Done | None:
        asked = reverting.due(application)
        if asked and not asked.is_noted:
            return self._done(
                application, self._record(asked, RevertState.PENDING)
            )  # It rings: there is more.
        if asked:
            return self._done(application, await self._reverted(application, asked))
        if left := reverting.begun(application):
            return self._done(application, await self._sought(application, left))
        return None

    def failed(self, application: Application, problem: str) -> Done:
        asked = reverting.due(application) or reverting.begun(application)
        assert asked is not None
        known = next((r for r in application.status.reverts if r.digest == asked.digest), None)
        if known and known.message == problem:
            return Done(application.status)  # Told already.
        return self._done(application, self._record(asked, RevertState.FAILED, message=problem))

    async def _reverted(self, application: Application, asked: Due) -> RevertRecord:
        spec = application.spec.rollback
        credentials = await self._credentials(application, asked)
        mirror = self.repositories.mirror(remote_key(application, asked.source))
        places = self._places(application)
        refs, head = await self._fetched(mirror, asked, credentials)
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
        url = await self._proposal(application, asked) or await self._propose(application, asked)
        commit = pushed or commit
        return self._record(asked, RevertState.PROPOSED, commit=commit, branch=asked.branch, url=url)

    async def _sought(self, application: Application, left: Known) -> RevertRecord:
        """What became of a revert whose end was not noted. Git has gone on: none is made any more."""
        credentials = await self._credentials(application, left)
        mirror = self.repositories.mirror(remote_key(application, left.source))
        refs, head = await self._fetched(mirror, left, credentials)
        if commit := await mirror.saying(reverting.trailer(left), head, left.bad_commit):
            return self._record(left, RevertState.COMMITTED, commit=commit, branch=left.base)
        proposes = application.spec.rollback.revert is Revert.PULL_REQUEST
        pushed = refs.commits.get(_HEADS + left.branch, "")
        if proposes and pushed and (url := await self._proposal(application, left)):
            return self._record(left, RevertState.PROPOSED, commit=pushed, branch=left.branch, url=url)
        return self._record(left, RevertState.NOT_NEEDED, message=_moved_on(left, head))

    async def _credentials(self, application: Application, asked: Known) -> Credentials | None:
        return await self.hosting.credentials(application, asked.source, _secret(application))

    async def _fetched(
        self, mirror: Mirror, asked: Known, credentials: Credentials | None
    ) -> tuple[RemoteRefs, str]:
        """What the remote says of the branches, and the head of the one that is put right, which is here then."""
        outside, base = self.hosting.outside, _HEADS + asked.base
        async with outside.host(mirror.url):
            refs = await source.remote_refs(
                outside.git, mirror.url, (base, _HEADS + asked.branch), credentials
            )
        head = refs.commits.get(base)
        if head is None:
            raise _refused(f"{shown(mirror.url)} has no branch {asked.base}; set spec.rollback.branch")
        await mirror.fetch({base: head}, credentials)
        return refs, head

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
        if commit := await mirror.saying(reverting.trailer(asked), head, asked.bad_commit):
            return self._record(asked, RevertState.COMMITTED, commit=commit, branch=asked.base)
        if bad == good:
            message = f"{asked.bad} holds the same files as {asked.good}: what changed came from the cluster"
            return self._record(asked, RevertState.NOT_NEEDED, message=message)
        if now != bad:
            return self._record(asked, RevertState.NOT_NEEDED, message=_moved_on(asked, head))
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

    async def _proposal(self, application: Application, asked: Known) -> str:
        """The pull request that is there already, open or not; empty where there is none."""
        client = await self._client(application, asked)
        known = await client.ask(client.host.pull_requests(client.place.repository, asked.branch, asked.base))
        return client.host.found(known, asked.branch, asked.base)

    async def _propose(self, application: Application, asked: Due) -> str:
        client = await self._client(application, asked)
        title, text = reverting.title(asked), reverting.text(asked)
        request = client.host.propose(client.place.repository, asked.branch, asked.base, title, text)
        return client.host.address(await client.ask(request))

    async def _client(self, application: Application, asked: Known) -> Client:
        spec = application.spec.rollback
        assert spec.provider is not None
        secret = _secret(application)
        return await self.hosting.client(application, asked.source, spec.provider, spec.url, secret)

    def _record(
        self,
        asked: Known,
        state: RevertState,
        *,
        commit: str = "",
        branch: str = "",
        url: str = "",
        message: str = "",
    ) -> RevertRecord:
        at = parse.stamp(self.now())
        return RevertRecord(asked.digest, asked.bad, state, at, commit, branch, url, message)

    def _done(self, application: Application, record: RevertRecord) -> Done:
        status = application.status
        return Done(replace(status, reverts=reverting.added(status.reverts, record)), _events(record))


def _events(record: RevertRecord) -> tuple[Event, ...]:
    match record.state:
        case RevertState.PENDING:
            return ()
        case RevertState.COMMITTED:
            told = f"{record.revision} is reverted on {record.branch} by {record.commit}"
            return (Event(ApplicationReason.REVERT_COMMITTED, told),)
        case RevertState.PROPOSED:
            told = f"a revert of {record.revision} is proposed: {record.url or record.branch}"
            return (Event(ApplicationReason.REVERT_PROPOSED, told),)
        case RevertState.NOT_NEEDED:
            told = f"{record.revision} is not reverted in Git: {record.message}"
            return (Event(ApplicationReason.REVERT_NOT_NEEDED, told),)
        case RevertState.FAILED:
            told = f"{record.revision} could not be reverted in Git: {record.message}; it is tried again"
            return (Event(ApplicationReason.REVERT_FAILED, told, EventType.WARNING),)


def _secret(application: Application) -> str:
    found = application.spec.rollback.secret_ref
    return found.name if found else ""


def _moved_on(asked: Known, head: str) -> str:
    return f"{asked.base} has moved on to {head[:12]}, which holds something else"


def _refused(message: str) -> SourceError:
    return SourceError(ApplicationReason.GIT_OPERATION_FAILED, message, definite=True)
