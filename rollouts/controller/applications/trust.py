"""May this commit be rendered at all? Reads the trusted keys and asks `gitops.signatures`.

Decides which object has to be signed (`spec.verify.mode`). What was verified once is not asked again while
this process lives, unless a hard refresh says so.
"""

from __future__ import annotations

import base64
import binascii

from rollouts.api.application import Application, VerifyMode
from rollouts.api.application_status import ApplicationReason
from rollouts.controller.applications.positions import Position
from rollouts.errors import NotFound, Rejected
from rollouts.gitops import naming
from rollouts.gitops.confined import Confined
from rollouts.gitops.sources import signatures
from rollouts.gitops.sources.git import SourceError
from rollouts.gitops.sources.signatures import UnverifiedError
from rollouts.gitops.sources.source import Mirror
from rollouts.kube import Kube, resources

__all__ = ["Trust"]

_KEPT = 10_000


class Trust:
    """Checks signatures for all Applications."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        # gpg and ssh-keygen are the system's.
        self._confined = Confined()
        self._verified: set[tuple[str, int, str]] = set()

    async def check(self, application: Application, mirror: Mirror, position: Position) -> None:
        """Raises `SourceError` for a commit that nobody who is trusted has signed."""
        verify = application.spec.verify
        if verify is None:
            return
        known = (application.metadata.uid, application.metadata.generation or 0, position.revision)
        if known in self._verified:
            return
        keys = await self._keys(application, verify.secret_ref.name)
        try:
            if verify.mode is not VerifyMode.TAG:
                await self._commit(mirror, position, keys)
            if verify.mode is not VerifyMode.HEAD:
                await self._tag(mirror, naming.name_of(position.revision), position, keys)
        except UnverifiedError as e:
            raise _refused(f"{position.revision}: {e}") from None
        if len(self._verified) >= _KEPT:
            self._verified.clear()
        self._verified.add(known)

    def forget(self, application: Application, position: Position) -> None:
        generation = application.metadata.generation or 0
        self._verified.discard((application.metadata.uid, generation, position.revision))

    async def _commit(self, mirror: Mirror, position: Position, keys: dict[str, bytes]) -> None:
        raw = await mirror.content(position.commit)
        try:
            await signatures.verify(self._confined, signatures.of_commit(raw), keys)
        except UnverifiedError as e:
            raise UnverifiedError(f"the commit {e}") from None

    async def _tag(self, mirror: Mirror, name: str, position: Position, keys: dict[str, bytes]) -> None:
        raw = await mirror.tag(name)
        if raw is None:
            raise UnverifiedError(f"{name or 'HEAD'} is not an annotated tag")
        if signatures.commit_of_tag(raw) != position.commit:
            raise UnverifiedError(f"the tag {name} is about another commit")
        try:
            await signatures.verify(self._confined, signatures.of_tag(raw), keys)
        except UnverifiedError as e:
            raise UnverifiedError(f"the tag {name} {e}") from None

    async def _keys(self, application: Application, name: str) -> dict[str, bytes]:
        namespace = application.metadata.namespace
        try:
            secret = await self._kube.get(resources.SECRET.ref(name, namespace))
        except (NotFound, Rejected) as e:
            raise _refused(
                f"Secret {namespace}/{name} of spec.verify.secretRef cannot be read: {e}"
            ) from None
        found = {}
        for key, value in (secret.get("data") or {}).items():
            try:
                found[key] = base64.b64decode(value)
            except binascii.Error:
                continue
        return found


def _refused(message: str) -> SourceError:
    return SourceError(ApplicationReason.VERIFICATION_FAILED, message, definite=True)
