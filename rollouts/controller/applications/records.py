"""Applications as the store keeps them, and which objects each of them declares.

Decides what an Application is read as; one that does not parse is kept with its error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rollouts.api.application import Application, ApplicationSpec
from rollouts.api.application_status import ApplicationStatus
from rollouts.api.meta import ObjectMeta
from rollouts.api.parse import parse
from rollouts.controller.cache import Body, Change, Key, Record, Store
from rollouts.errors import SpecError
from rollouts.gitops.resources.manifests import ObjectKey
from rollouts.kube import resources

__all__ = ["Claims", "KnownApplication", "applications"]


@dataclass(frozen=True, slots=True)
class KnownApplication:
    """An Application as read. `error`: its spec does not parse, and `application` has an empty one."""

    metadata: ObjectMeta
    status: ApplicationStatus
    spec: ApplicationSpec | None = None
    error: SpecError | None = None

    @property
    def application(self) -> Application:
        assert self.spec is not None
        return Application(self.metadata, self.spec, self.status)


class Claims:
    """Which Applications declare an object, by the resources in their status."""

    def __init__(self) -> None:
        self._of: dict[Key, frozenset[ObjectKey]] = {}
        self._by: dict[ObjectKey, set[Key]] = {}

    def listen(self, change: Change[KnownApplication]) -> None:
        known = change.new.value if change.new else None
        now = _declared(known.status) if known else frozenset()
        before = self._of.pop(change.key, frozenset())
        if now:
            self._of[change.key] = now
        for key in before - now:
            self._by[key].discard(change.key)
            if not self._by[key]:
                del self._by[key]
        for key in now - before:
            self._by.setdefault(key, set()).add(change.key)

    def by_others(self, application: Key, keys: set[ObjectKey]) -> Mapping[ObjectKey, str]:
        """Those of `keys` that another Application declares, with the name of one."""
        found = {}
        for key in keys & self._by.keys():
            if others := self._by[key] - {application}:
                found[key] = str(min(others))
        return found


def applications() -> Store[KnownApplication]:
    return Store(resources.APPLICATION, _application)


def _application(body: Body, old: Record[KnownApplication] | None) -> KnownApplication:
    del old
    metadata = parse(ObjectMeta, body["metadata"], "metadata", strict=False)
    try:
        status = parse(ApplicationStatus, body.get("status") or {}, "status", strict=False)
    except SpecError:
        # A status that nobody but us writes and yet does not parse says nothing: start over.
        status = ApplicationStatus()
    try:
        return KnownApplication(metadata, status, parse(ApplicationSpec, body.get("spec"), "spec"))
    except SpecError as e:
        return KnownApplication(metadata, status, error=e.with_traceback(None))


def _declared(status: ApplicationStatus) -> frozenset[ObjectKey]:
    return frozenset(
        ObjectKey(r.group, r.kind, r.namespace, r.name) for r in status.resources if not r.requires_pruning
    )
