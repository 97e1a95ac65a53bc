"""The API of an Application's Git host, with the credentials that its spec names."""

from __future__ import annotations

from dataclasses import dataclass, field

from rollouts.api.application import Application, ApplicationSource
from rollouts.api.application_status import ApplicationReason
from rollouts.api.git_host import GitProvider
from rollouts.controller.applications.remotes import Outside
from rollouts.gitops import hosts
from rollouts.gitops.credentials import Credentials
from rollouts.gitops.git import SourceError
from rollouts.gitops.hosts import Client
from rollouts.gitops.web import Web

__all__ = ["Hosting"]


@dataclass(frozen=True, slots=True)
class Hosting:
    """Reads the Secret for each errand: there are few, and a token that was changed counts at once."""

    outside: Outside
    web: Web = field(default_factory=hosts.web)

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
        return Client(hosts.HOSTS[provider], place, found, self.web)

    async def credentials(
        self, application: Application, source: ApplicationSource, secret: str
    ) -> Credentials | None:
        """Those of a Secret, else the source's own; a GitHub App's with a token. Raises `SourceError`."""
        name = secret or application.spec.secret_of(source)
        found = await self.outside.read(application.metadata.namespace, name)
        if found is None or not found.app_id:
            return found
        return await self.outside.apps.signed_in(found, source.repo_url)
