"""Who may write: leader election by a coordination.k8s.io Lease.

Decides whether this process leads, and until when it may believe so. The times are those of client-go:
a Lease lasts 15 s, a leader that could not renew for 10 s stops writing, every 2 s a try. Another holder's
expiry is judged by our own monotonic clock since its record last *changed*, never by its wall clock.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from rollouts.errors import Conflict, LostLease, NotFound, RolloutsError
from rollouts.kube import Kube, Ref

__all__ = ["AlwaysHeld", "Leadership", "Lease"]

log = logging.getLogger(__name__)

LEASE_SECONDS = 15
_RENEW_DEADLINE_SECONDS = 10.0
_RETRY_SECONDS = 2.0
_FIELD_MANAGER = "rollouts-controller"


class Leadership(Protocol):
    """The right to write."""

    @property
    def held(self) -> bool: ...

    async def acquire(self) -> None:
        """Return when this process leads."""

    async def keep(self) -> None:
        """Renew until the right is lost: raises `LostLease`."""

    async def release(self) -> None:
        """Give it up, so that another replica need not wait for the expiry."""


class AlwaysHeld:
    """Leadership without an election: one replica only."""

    held = True

    async def acquire(self) -> None:
        return

    async def keep(self) -> None:
        await asyncio.Event().wait()

    async def release(self) -> None:
        return


class Lease:
    """Leadership by the Lease at `ref`, as `identity`. `kube` must be one that may always write."""

    def __init__(
        self, kube: Kube, ref: Ref, identity: str, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._kube = kube
        self._ref = ref
        self._identity = identity
        self._monotonic = monotonic
        self._seen: tuple[str, float] = ("", monotonic())
        self._trusted_until = 0.0
        self._holds = False

    @property
    def held(self) -> bool:
        return self._holds and self._monotonic() < self._trusted_until

    async def acquire(self) -> None:
        log.info("waiting for the lease %s", self._ref, extra={"fields": {"identity": self._identity}})
        while True:
            if await self._attempt():
                break
            await asyncio.sleep(_RETRY_SECONDS)
        log.info("leading", extra={"fields": {"identity": self._identity}})

    async def keep(self) -> None:
        while True:
            await asyncio.sleep(_RETRY_SECONDS)
            if not await self._attempt() and not self.held:
                self._holds = False
                raise LostLease(f"{self._identity} could not renew {self._ref} in time")

    async def release(self) -> None:
        if not self.held:
            return
        self._holds = False
        try:
            lease = await self._kube.get(self._ref)
            if lease["spec"].get("holderIdentity") == self._identity:
                spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()}
                await self._replace(lease, spec)
        except RolloutsError as e:
            log.warning("the lease is left to expire: %s", e)

    async def _attempt(self) -> bool:
        """One try to take or renew the lease."""
        started = self._monotonic()
        try:
            async with asyncio.timeout(_RENEW_DEADLINE_SECONDS / 2):
                holds = await self._take_or_renew()
        except (RolloutsError, TimeoutError) as e:
            log.warning("the lease could not be renewed: %s", e or type(e).__name__)
            return False
        self._holds = holds
        if holds:
            self._trusted_until = started + _RENEW_DEADLINE_SECONDS
        return holds

    async def _take_or_renew(self) -> bool:
        try:
            lease = await self._kube.get(self._ref)
        except NotFound:
            return await self._create()
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        if holder != self._identity and holder and not self._expired(lease):
            return False
        try:
            await self._replace(lease, self._renewed(spec, holder))
        except Conflict:
            return False
        return True

    async def _create(self) -> bool:
        body = {
            "apiVersion": self._ref.resource.api_version,
            "kind": self._ref.resource.kind,
            "metadata": {"name": self._ref.name, "namespace": self._ref.namespace},
            "spec": {**self._renewed({}, ""), "leaseTransitions": 0},
        }
        try:
            await self._kube.create(self._ref.resource, body, field_manager=_FIELD_MANAGER)
        except Conflict:
            return False
        return True

    async def _replace(self, lease: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
        # The resourceVersion in `lease` is the precondition: of two candidates one gets a conflict.
        await self._kube.replace(self._ref, {**lease, "spec": spec}, field_manager=_FIELD_MANAGER)

    def _renewed(self, spec: Mapping[str, Any], holder: str) -> dict[str, Any]:
        now = _now()
        taken = (
            {}
            if holder == self._identity
            else {
                "acquireTime": now,
                "leaseTransitions": int(spec.get("leaseTransitions") or 0) + 1,
            }
        )
        return {
            **spec,
            **taken,
            "holderIdentity": self._identity,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": now,
        }

    def _expired(self, lease: Mapping[str, Any]) -> bool:
        version = str(lease["metadata"]["resourceVersion"])
        if version != self._seen[0]:
            self._seen = (version, self._monotonic())
        duration = float((lease.get("spec") or {}).get("leaseDurationSeconds") or LEASE_SECONDS)
        return self._monotonic() >= self._seen[1] + duration


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
