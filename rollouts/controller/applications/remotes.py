"""One repository as one credential sees it: where do the names stand, and fetch what is new.

Decides how a remote is asked (with which credentials, how many at a time) and what its answer means for each
source that follows it; when it is asked is `repositories`'.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from rollouts.api.application_status import ApplicationReason
from rollouts.controller.applications.positions import RemoteKey, Wanted
from rollouts.gitops.sources import source
from rollouts.gitops.sources.artifacts import Artifacts
from rollouts.gitops.sources.credentials import Credentials
from rollouts.gitops.sources.git import Git, SourceError, origin
from rollouts.gitops.sources.github_app import GitHubApps
from rollouts.gitops.sources.source import COMMIT, Mirror, RemoteRefs

__all__ = ["Found", "Look", "Outside", "ReadCredentials", "Remote"]

_CALLS_PER_HOST = 8
_FETCHES = 4

ReadCredentials = Callable[[str, str], Awaitable[Credentials]]
"""(namespace, Secret name) -> credentials. Raises `SourceError`."""
T = TypeVar("T")


class Found(NamedTuple):
    """A ref (empty for a bare commit or an artifact), the commit, and the name to show."""

    ref: str
    commit: str
    name: str


@dataclass(frozen=True, slots=True)
class Look:
    """By source: where it stands, or why that is not known."""

    found: dict[Hashable, Found] = field(default_factory=dict)
    failures: dict[Hashable, SourceError] = field(default_factory=dict)


@dataclass(slots=True)
class Outside:
    """All that remotes share: git, HTTP, and how much of each at a time."""

    git: Git
    read_credentials: ReadCredentials
    apps: GitHubApps
    artifacts: Artifacts = field(default_factory=Artifacts)
    fetches: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_FETCHES))
    _hosts: dict[str, asyncio.Semaphore] = field(default_factory=dict)

    def host(self, url: str) -> asyncio.Semaphore:
        """By host: one that does not answer takes no turn from the others."""
        return self._hosts.setdefault(origin(url), asyncio.Semaphore(_CALLS_PER_HOST))

    async def read(self, namespace: str, secret: str) -> Credentials | None:
        return await self.read_credentials(namespace, secret) if secret else None


@dataclass(slots=True)
class Remote:
    """Asked by one task at a time."""

    key: RemoteKey
    mirror: Mirror
    outside: Outside
    credentials: Credentials | None = None

    def forget_credentials(self) -> None:
        """Read the Secret again before the next call."""
        self.credentials = None

    async def look(self, wanted: Mapping[Hashable, Wanted]) -> Look:
        """Where everything that is wanted stands; it is in the mirror then. Raises `SourceError`."""
        return await (self._look_at_git(wanted) if self.key.is_git else self._look_at_artifacts(wanted))

    async def _look_at_git(self, wanted: Mapping[Hashable, Wanted]) -> Look:
        names = {w.target_revision for w in wanted.values()}
        url, git = self.key.url, self.outside.git
        refs = await self._asked(lambda c: source.remote_refs(git, url, names, c))
        look = Look()
        for who, want in wanted.items():
            if COMMIT.fullmatch(want.target_revision):
                look.found[who] = Found("", want.target_revision, "")
            elif resolved := refs.resolve(want.target_revision, want.tag_prefix):
                name, ref, commit = resolved
                look.found[who] = Found(ref, commit, name)
            else:
                look.failures[who] = source.unknown_revision(url, want.target_revision)
        await self._fetch(look, refs)
        return look

    async def _fetch(self, look: Look, remote: RemoteRefs) -> None:
        credentials = await self._usable()
        async with self.outside.fetches:
            refs = {f.ref: f.commit for f in look.found.values() if f.ref}
            tags = {ref: remote.commits[ref] for ref in refs if ref.startswith("refs/tags/")}
            await self.mirror.fetch(refs, credentials, tags)
            for who, found in [(w, f) for w, f in look.found.items() if not f.ref]:
                try:
                    await self.mirror.fetch({"": found.commit}, credentials)
                except SourceError as e:
                    look.failures[who] = e
                    del look.found[who]

    async def _look_at_artifacts(self, wanted: Mapping[Hashable, Wanted]) -> Look:
        look = Look()
        for target in {w.target_revision for w in wanted.values()}:
            those = [who for who, w in wanted.items() if w.target_revision == target]
            try:
                found = await self._asked(lambda c, t=target: self._artifact(t, c))  # type: ignore[misc]
            except SourceError as e:
                if not e.definite:
                    raise
                look.failures.update(dict.fromkeys(those, e))
            else:
                look.found.update(dict.fromkeys(those, found))
        return look

    async def _artifact(self, target_revision: str, credentials: Credentials | None) -> Found:
        """The artifact that a tag, a range or a digest stands for; fetched if it is new."""
        artifacts, key = self.outside.artifacts, self.key
        found = await artifacts.find(key.url, key.chart, target_revision, credentials)
        await self.mirror.prepare()
        if not await self.mirror.has(found.digest):
            async with self.outside.fetches:
                await self.mirror.store(found.digest, await artifacts.files(found, credentials))
        return Found("", found.digest, found.name)

    async def _asked(self, ask: Callable[[Credentials | None], Awaitable[T]]) -> T:
        """Ask with the credentials at hand; where they are refused, with those that the Secret holds now."""
        async with self.outside.host(self.key.url):
            used = await self._usable()
            try:
                return await ask(used)
            except SourceError as e:
                if e.reason is not ApplicationReason.AUTHENTICATION_FAILED or not self.key.secret:
                    raise
                self.outside.apps.forget(self.credentials)
                self.credentials = None
                current = await self._usable()
                if current == used:
                    raise
                return await ask(current)

    async def _usable(self) -> Credentials | None:
        """The Secret's credentials; a GitHub App's with a token that has not expired."""
        if self.key.secret and self.credentials is None:
            self.credentials = await self.outside.read(self.key.namespace, self.key.secret)
        if self.credentials is None or not self.credentials.app_id:
            return self.credentials
        return await self.outside.apps.signed_in(self.credentials, self.key.url)
