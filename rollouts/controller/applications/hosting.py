"""The API of an Application's Git host, with the credentials that its spec names.

Decides how many ask one host at a time, and that one which does not answer is asked by one alone: a host that
hangs must not hold every worker.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from rollouts.api.application import Application, ApplicationSource
from rollouts.api.application_status import ApplicationReason
from rollouts.api.git_host import GitProvider
from rollouts.controller.applications.remotes import Outside
from rollouts.errors import Transient
from rollouts.gitops.hosting import hosts
from rollouts.gitops.hosting.hosts import Client
from rollouts.gitops.sources.credentials import Credentials
from rollouts.gitops.sources.git import SourceError, origin
from rollouts.gitops.sources.web import SlowError, Web

__all__ = ["Hosting", "Turns"]

_CALLS_PER_HOST = 8


@dataclass(slots=True)
class Turns:
    """Who may ask a host now."""

    host: str
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_CALLS_PER_HOST))
    asking: int = 0
    is_slow: bool = False

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One of a few; while the host does not answer, the only one. Raises `Transient`."""
        self._check()
        async with self.slots:
            self._check()
            self.asking += 1
            try:
                yield
                self.is_slow = False
            except SlowError:
                self.is_slow = True
                raise
            finally:
                self.asking -= 1

    def _check(self) -> None:
        if self.is_slow and self.asking:
            raise Transient(f"{self.host} does not answer at the moment")


@dataclass(frozen=True, slots=True)
class Hosting:
    """Reads the Secret for each errand: there are few, and a token that was changed counts at once."""

    outside: Outside
    web: Web = field(default_factory=hosts.web)
    turns: dict[str, Turns] = field(default_factory=dict)

    async def client(
        self,
        application: Application,
        source: ApplicationSource,
        provider: GitProvider,
        url: str,
        secret: str,
    ) -> Client:
        """Raises `SourceError`."""
        place = hosts.place(provider, source.repo_url, url)
        found = await self.credentials(application, source, secret)
        if found is None or not (found.password or found.bearer):
            message = f"{place.api} needs a token: name a Secret with the key token in secretRef"
            raise SourceError(ApplicationReason.AUTHENTICATION_FAILED, message, definite=True)
        host = origin(place.api)
        turns = self.turns.setdefault(host, Turns(host))
        return Client(hosts.HOSTS[provider], place, found, self.web, turns.turn)

    async def credentials(
        self, application: Application, source: ApplicationSource, secret: str
    ) -> Credentials | None:
        """Those of a Secret, else the source's own; a GitHub App's with a token. Raises `SourceError`."""
        name = secret or application.spec.secret_of(source)
        found = await self.outside.read(application.metadata.namespace, name)
        if found is None or not found.app_id:
            return found
        return await self.outside.apps.signed_in(found, source.repo_url)
