"""core/v1 Events: what happened to an object, in words for people.

Decides the name of an event: derived from the object's version that was decided on and from the content,
so that a decision repeated after a crash finds its event there already; what can be true only once is named by the
content alone. An event never fails a reconcile: where the API server is away it waits for the next one, and one that
is refused is logged and forgotten.
"""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from datetime import datetime
from typing import Any

from rollouts.api.meta import ObjectMeta
from rollouts.api.parse import format_timestamp
from rollouts.controller.metrics import Metrics
from rollouts.delivery.actions import Event
from rollouts.errors import Conflict, LostLease, RolloutsError, Transient
from rollouts.gitops import actions as gitops
from rollouts.kube import Kube, Resource, resources

__all__ = ["Recorder"]

log = logging.getLogger(__name__)

COMPONENT = "rollouts-controller"
_MESSAGE_LENGTH = 1024
_WAITING = 1_000
"""Events that wait for an API server; beyond it the oldest are forgotten."""


class Recorder:
    """Posts events about objects of one kind."""

    def __init__(self, kube: Kube, resource: Resource, metrics: Metrics) -> None:
        self._kube = kube
        self._resource = resource
        self._metrics = metrics
        self._unsettled: dict[str, set[tuple[str, Event | gitops.Event]]] = {}
        self._waiting: deque[dict[str, Any]] = deque(maxlen=_WAITING)

    async def post(self, about: ObjectMeta, event: Event | gitops.Event, now: datetime) -> None:
        """Tell it once until `settle` is called, however often the decision is repeated."""
        told = self._unsettled.setdefault(about.key, set())
        if (about.uid, event) in told:
            return
        self._waiting.append(self._body(about, event, format_timestamp(now)))
        await self._post_waiting()
        told.add((about.uid, event))
        if isinstance(event, Event):
            self._metrics.event(about, event)

    async def _post_waiting(self) -> None:
        """The oldest first, as far as the API server takes them now."""
        while self._waiting:
            body = self._waiting.popleft()
            try:
                await self._kube.create(resources.EVENT, body, field_manager=COMPONENT)
            except Conflict:
                log.debug("told before: %s", body["message"])
            except LostLease:
                raise
            except Transient as e:
                self._waiting.appendleft(body)
                log.warning("event not posted yet: %s", e, extra={"fields": {"object": _about(body)}})
                return
            except RolloutsError as e:
                log.warning("event not posted: %s", e, extra={"fields": {"object": _about(body)}})

    def settle(self, about: str) -> None:
        """The status that goes with the events is written, or the object (`namespace/name`) is gone.

        The same words will be a new fact.
        """
        self._unsettled.pop(about, None)

    def _body(self, about: ObjectMeta, event: Event | gitops.Event, at: str) -> dict[str, Any]:
        is_unique = isinstance(event, Event) and event.is_unique
        facts = (about.uid, "" if is_unique else about.resource_version, event.reason, event.message)
        digest = hashlib.sha256("\0".join(facts).encode()).hexdigest()[:16]
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{about.name}.{digest}", "namespace": about.namespace},
            "involvedObject": {
                "apiVersion": self._resource.api_version,
                "kind": self._resource.kind,
                "name": about.name,
                "namespace": about.namespace,
                "uid": about.uid,
                "resourceVersion": about.resource_version,
            },
            "reason": str(event.reason),
            "message": event.message[:_MESSAGE_LENGTH],
            "type": str(event.type),
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
        }


def _about(body: dict[str, Any]) -> str:
    return f"{body['involvedObject']['namespace']}/{body['involvedObject']['name']}"
