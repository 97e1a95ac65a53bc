"""core/v1 Events: what happened to an object, in words for people.

Decides the name of an event: derived from the object's version that was decided on and from the content,
so that a decision repeated after a crash finds its event there already; what can be true only once is named by the
content alone. An event that cannot be posted is
logged and forgotten; it never fails a reconcile.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import datetime

from rollouts.api.meta import ObjectMeta
from rollouts.api.parse import format_timestamp
from rollouts.controller.metrics import Metrics
from rollouts.delivery.actions import Event
from rollouts.errors import Conflict, LostLease, RolloutsError
from rollouts.gitops import actions as gitops
from rollouts.kube import Kube, Resource, resources

__all__ = ["Recorder"]

log = logging.getLogger(__name__)

COMPONENT = "rollouts-controller"
_MESSAGE_LENGTH = 1024


class Recorder:
    """Posts events about objects of one kind."""

    def __init__(self, kube: Kube, resource: Resource, metrics: Metrics) -> None:
        self._kube = kube
        self._resource = resource
        self._metrics = metrics
        self._unsettled: dict[str, set[tuple[str, Event | gitops.Event]]] = {}

    async def post(self, about: ObjectMeta, event: Event | gitops.Event, now: datetime) -> None:
        """Tell it once until `settle` is called, however often the decision is repeated."""
        told = self._unsettled.setdefault(about.key, set())
        if (about.uid, event) in told:
            return
        body = self._body(about, event, format_timestamp(now))
        try:
            await self._kube.create(resources.EVENT, body, field_manager=COMPONENT)
        except Conflict:
            log.debug("told before: %s", event.message)
        except LostLease:
            raise
        except RolloutsError as e:
            log.warning("event not posted: %s", e, extra={"fields": {"object": about.key}})
        told.add((about.uid, event))
        if isinstance(event, Event):
            self._metrics.event(about, event)

    def settle(self, about: str) -> None:
        """The status that goes with the events is written, or the object (`namespace/name`) is gone.

        The same words will be a new fact.
        """
        self._unsettled.pop(about, None)

    def _body(self, about: ObjectMeta, event: Event | gitops.Event, at: str) -> dict[str, object]:
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
