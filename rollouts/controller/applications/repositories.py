"""Which commit each Application's source stands at: polls, shared by all who read one repository alike.

Decides when a repository is asked and whom a change concerns: only Applications whose directory's tree has
changed are rung. For those that a commit does not touch nothing happens at all, and they keep naming the
commit that last did. One loop for each repository and credential; a slow one delays no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from rollouts.api.application_status import ApplicationReason
from rollouts.controller.cache import Key
from rollouts.errors import RolloutsError
from rollouts.gitops import revision, source, webhooks
from rollouts.gitops.credentials import Credentials
from rollouts.gitops.git import Git, SourceError, origin, shown
from rollouts.gitops.source import COMMIT, Mirror, RemoteRefs

__all__ = ["Position", "Repositories", "Standing", "Wanted"]

log = logging.getLogger(__name__)

_CALLS_PER_HOST = 8
_FETCHES = 4
_FIRST_RETRY_SECONDS = 5.0
_LONGEST_RETRY_SECONDS = 300.0
_JITTER = 0.1

Ring = Callable[[Key], None]
ReadCredentials = Callable[[str, str], Awaitable[Credentials]]
"""(namespace, Secret name) -> credentials. Raises `SourceError`."""


@dataclass(frozen=True, slots=True)
class RemoteKey:
    """A repository as one credential sees it. Public repositories have no Secret and so are shared by all."""

    url: str
    namespace: str = ""
    secret: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an Application follows. `known_revision` is the one that its status names."""

    remote: RemoteKey
    target_revision: str
    path: str
    interval_seconds: float
    known_revision: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Position:
    """Where an Application's source stands. `tree` is empty where the commit has no such directory."""

    revision: str
    commit: str
    tree: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known: the last position, and why the last look failed, if it did."""

    position: Position | None = None
    failure: SourceError | None = None
    refreshed: str = ""
    """The last refresh token that was answered."""


@dataclass(slots=True)
class _Follower:
    wanted: Wanted
    standing: Standing = field(default_factory=Standing)
    token: str = ""
    refused: str = ""
    """A revision that nobody trusted has signed: the next commit may vouch for it."""
    beside: tuple[str, ...] = ()
    """Directories and files outside of its path that its objects are made from, too."""


@dataclass(slots=True)
class _Remote:
    key: RemoteKey
    mirror: Mirror
    followers: dict[Key, _Follower] = field(default_factory=dict)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    credentials: Credentials | None = None
    failures: int = 0
    task: asyncio.Task[None] | None = None


class Repositories:
    """All repositories that Applications follow."""

    def __init__(self, git: Git, cache: Path, read_credentials: ReadCredentials, ring: Ring) -> None:
        self._git = git
        self._cache = cache
        self._read_credentials = read_credentials
        self._ring = ring
        self._mirrors: dict[str, Mirror] = {}
        self._remotes: dict[RemoteKey, _Remote] = {}
        self._of: dict[Key, RemoteKey] = {}
        self._calls: dict[str, asyncio.Semaphore] = {}
        self._fetches = asyncio.Semaphore(_FETCHES)

    def follow(self, key: Key, wanted: Wanted) -> None:
        """From now on `key` is rung when its source moves."""
        if self._of.get(key) != wanted.remote:
            self.forget(key)
            self._of[key] = wanted.remote
        remote = self._remote(wanted.remote)
        follower = remote.followers.get(key)
        if follower is None or follower.wanted != wanted:
            remote.followers[key] = _Follower(wanted)
            remote.wake.set()

    def forget(self, key: Key) -> None:
        remote = self._remotes.get(self._of.pop(key, RemoteKey("")))
        if remote is None:
            return
        remote.followers.pop(key, None)
        if not remote.followers:
            del self._remotes[remote.key]
            if remote.task:
                remote.task.cancel()

    def standing(self, key: Key) -> Standing | None:
        """What is known of an Application's source; None until it was asked for the first time."""
        follower = self._follower(key)
        known = follower.standing if follower else None
        return known if known and (known.position or known.failure) else None

    def refresh(self, key: Key, token: str) -> None:
        """Look now; `key` is rung when it is done, whether anything moved or not."""
        remote, follower = self._remotes.get(self._of.get(key, RemoteKey(""))), self._follower(key)
        if remote and follower and follower.token != token:
            follower.token = token
            remote.wake.set()

    def reads(self, key: Key, beside: tuple[str, ...]) -> None:
        """What a set is made from outside of its path: a commit that touches it concerns `key`, too."""
        remote, follower = self._remotes.get(self._of.get(key, RemoteKey(""))), self._follower(key)
        if remote and follower and follower.beside != beside:
            follower.beside = beside
            remote.wake.set()

    def refuse(self, key: Key, revision_: str) -> None:
        """Do not stay with this revision, even if the next commit does not touch what is read."""
        if follower := self._follower(key):
            follower.refused = revision_

    def look(self, identities: frozenset[str]) -> int:
        """Look at these repositories now, as far as somebody follows them; how many that are."""
        found = [r for r in self._remotes.values() if webhooks.identity(r.key.url) in identities]
        for remote in found:
            remote.wake.set()
        return len(found)

    def mirror(self, url: str) -> Mirror:
        if url not in self._mirrors:
            self._mirrors[url] = Mirror(self._git, url, self._cache / source.directory_name(url))
        return self._mirrors[url]

    async def close(self) -> None:
        tasks = [remote.task for remote in self._remotes.values() if remote.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for mirror in self._mirrors.values():
            await mirror.close()

    def _follower(self, key: Key) -> _Follower | None:
        remote = self._remotes.get(self._of.get(key, RemoteKey("")))
        return remote.followers.get(key) if remote else None

    def _remote(self, key: RemoteKey) -> _Remote:
        remote = self._remotes.get(key)
        if remote is None:
            remote = self._remotes[key] = _Remote(key, self.mirror(key.url))
            remote.task = asyncio.create_task(self._poll_for_ever(remote), name="poll of a repository")
        return remote

    async def _poll_for_ever(self, remote: _Remote) -> None:
        while True:
            remote.wake.clear()
            try:
                await self._poll(remote)
            except SourceError as e:
                self._failed(remote, e)
            except RolloutsError as e:
                reason = ApplicationReason.GIT_OPERATION_FAILED
                self._failed(remote, SourceError(reason, str(e), definite=False))
            except Exception:
                # One repository that trips over a bug of ours must not end the polls of the others.
                log.exception("poll of %s", shown(remote.key.url))
                remote.failures += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_pause(remote)):
                    await remote.wake.wait()

    async def _poll(self, remote: _Remote) -> None:
        """One look: where the refs are, what of it is new, and whom it concerns."""
        tokens = {key: f.token for key, f in remote.followers.items()}
        wanted = {key: f.wanted for key, f in remote.followers.items()}
        refs = await self._remote_refs(remote, {w.target_revision for w in wanted.values()})
        places, failures = _placed(remote.key.url, wanted, refs)
        fetched = {ref: commit for ref, commit, _ in places.values() if ref}
        async with self._fetches:
            await remote.mirror.fetch(fetched, remote.credentials)
            for key, commit in [(k, c) for k, (ref, c, _) in places.items() if not ref]:
                try:
                    await remote.mirror.fetch({"": commit}, remote.credentials)
                except SourceError as e:
                    failures[key] = e
        found = {key: place for key, place in places.items() if key not in failures}
        await self._settle(remote, wanted, found)
        for key, failure in failures.items():
            self._set(remote, key, wanted[key], failure=failure)
        remote.failures = 0
        for key, token in tokens.items():
            self._answered(remote, key, token)

    async def _remote_refs(self, remote: _Remote, target_revisions: set[str]) -> RemoteRefs:
        """Ask with the credentials at hand; where they are refused, with those that the Secret holds now."""
        # By host: one that does not answer takes no turn from the others.
        async with self._calls.setdefault(origin(remote.key.url), asyncio.Semaphore(_CALLS_PER_HOST)):
            if remote.key.secret and remote.credentials is None:
                remote.credentials = await self._read_credentials(remote.key.namespace, remote.key.secret)
            try:
                return await source.remote_refs(
                    self._git, remote.key.url, target_revisions, remote.credentials
                )
            except SourceError as e:
                if e.reason is not ApplicationReason.AUTHENTICATION_FAILED or not remote.key.secret:
                    raise
                old, remote.credentials = remote.credentials, None
                remote.credentials = await self._read_credentials(remote.key.namespace, remote.key.secret)
                if remote.credentials == old:
                    raise
                return await source.remote_refs(
                    self._git, remote.key.url, target_revisions, remote.credentials
                )

    async def _settle(
        self, remote: _Remote, wanted: dict[Key, Wanted], places: dict[Key, tuple[str, str, str]]
    ) -> None:
        """Compare the trees of all directories in one go, the known revision's among them."""
        keys = list(places)
        known = {key: revision.commit_of(_known(remote, key, wanted[key])) for key in keys}
        paths = {key: (wanted[key].path, *_beside(remote, key)) for key in keys}
        asked = [(places[key][1], path) for key in keys for path in paths[key]]
        asked += [(known[key] or places[key][1], path) for key in keys for path in paths[key]]
        ids = await remote.mirror.ids(asked)
        new, old = iter(ids[: len(ids) // 2]), iter(ids[len(ids) // 2 :])
        for key in keys:
            now, before = [next(new) for _ in paths[key]], [next(old) for _ in paths[key]]
            _, commit, name = places[key]
            named = _known(remote, key, wanted[key])
            position = Position(revision.text(name, commit), commit, now[0])
            stays = (
                known[key]
                and named == revision.text(name, known[key])
                and not _is_refused(remote, key, named)
            )
            if stays and now[0] and now == before:
                # This commit does not touch what is read: the Application keeps the one that did.
                position = Position(named, known[key], now[0])
            self._set(remote, key, wanted[key], position=position)

    def _set(
        self,
        remote: _Remote,
        key: Key,
        wanted: Wanted,
        *,
        position: Position | None = None,
        failure: SourceError | None = None,
    ) -> None:
        follower = remote.followers.get(key)
        if follower is None or follower.wanted != wanted:
            return  # It wants something else by now; the loop has been woken for that.
        old = follower.standing
        new = replace(old, position=position or old.position, failure=failure)
        follower.standing = new
        if new.position != old.position or str(new.failure) != str(old.failure):
            self._ring(key)

    def _answered(self, remote: _Remote, key: Key, token: str) -> None:
        follower = remote.followers.get(key)
        if follower and token and follower.standing.refreshed != token:
            follower.standing = replace(follower.standing, refreshed=token)
            self._ring(key)

    def _failed(self, remote: _Remote, error: SourceError) -> None:
        """A flake is not worth a condition on hundreds of Applications: told when it is sure or comes twice."""
        remote.failures += 1
        log.warning("%s", error, extra={"fields": {"reason": error.reason}})
        for key, follower in tuple(remote.followers.items()):
            is_new = follower.standing.position is None or bool(follower.token)
            if error.definite or remote.failures > 1 or is_new:
                self._set(remote, key, follower.wanted, failure=error)
            self._answered(remote, key, follower.token)


def _placed(
    url: str, wanted: dict[Key, Wanted], refs: RemoteRefs
) -> tuple[dict[Key, tuple[str, str, str]], dict[Key, SourceError]]:
    """For each Application (ref, commit, name to show), or why there is none. A bare commit has no ref."""
    places: dict[Key, tuple[str, str, str]] = {}
    failures: dict[Key, SourceError] = {}
    for key, want in wanted.items():
        if COMMIT.fullmatch(want.target_revision):
            places[key] = ("", want.target_revision, "")
        elif resolved := refs.resolve(want.target_revision):
            name, ref, commit = resolved
            places[key] = (ref, commit, name)
        else:
            failures[key] = source.unknown_revision(url, want.target_revision)
    return places, failures


def _known(remote: _Remote, key: Key, wanted: Wanted) -> str:
    follower = remote.followers.get(key)
    position = follower.standing.position if follower else None
    return position.revision if position else wanted.known_revision


def _is_refused(remote: _Remote, key: Key, named: str) -> bool:
    follower = remote.followers.get(key)
    return follower is not None and follower.refused == named


def _beside(remote: _Remote, key: Key) -> tuple[str, ...]:
    follower = remote.followers.get(key)
    return follower.beside if follower else ()


def _pause(remote: _Remote) -> float:
    intervals: Iterator[float] = (f.wanted.interval_seconds for f in remote.followers.values())
    interval = min(intervals, default=_LONGEST_RETRY_SECONDS)
    if remote.failures == 1:
        interval = min(interval, _FIRST_RETRY_SECONDS)
    elif remote.failures:
        interval = min(interval * 2 ** min(remote.failures - 2, 10), max(interval, _LONGEST_RETRY_SECONDS))
    return interval * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311
