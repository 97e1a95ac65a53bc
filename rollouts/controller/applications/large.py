"""Where the files come from that Git LFS keeps beside a repository: the disk, else its host.

Decides with whose credentials they are asked for, those that the repository itself is read with, and that a host
which does not answer holds one worker at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rollouts.api.application_status import ApplicationReason
from rollouts.controller.applications.hosting import Turns
from rollouts.controller.applications.positions import RemoteKey
from rollouts.controller.applications.remotes import Outside
from rollouts.errors import Transient
from rollouts.gitops.sources.commit import Large
from rollouts.gitops.sources.credentials import Credentials
from rollouts.gitops.sources.git import SourceError, origin
from rollouts.gitops.sources.lfs import Pointer, Storage

__all__ = ["LargeFiles"]


@dataclass(frozen=True, slots=True)
class LargeFiles:
    outside: Outside
    storage: Storage
    turns: dict[str, Turns] = field(default_factory=dict)

    def of(self, remote: RemoteKey) -> Large:
        """How a commit of `remote` finds the content of its pointers."""

        async def large(pointers: Sequence[Pointer]) -> Mapping[Pointer, bytes]:
            found = await asyncio.to_thread(self.storage.kept, remote.url, pointers)
            if missing := [p for p in pointers if p not in found]:
                found |= await self._fetched(remote, missing)
            return found

        return large

    async def _fetched(self, remote: RemoteKey, missing: Sequence[Pointer]) -> Mapping[Pointer, bytes]:
        credentials, host = await self._credentials(remote), origin(remote.url)
        try:
            async with self.turns.setdefault(host, Turns(host)).turn():
                return await self.storage.fetched(remote.url, missing, credentials)
        except Transient as e:
            # What is good runs on and is healed meanwhile.
            raise SourceError(ApplicationReason.GIT_OPERATION_FAILED, str(e), definite=False) from None

    async def _credentials(self, remote: RemoteKey) -> Credentials | None:
        found = await self.outside.read(remote.namespace, remote.secret)
        if found is None or not found.app_id:
            return found
        return await self.outside.apps.signed_in(found, remote.url)
