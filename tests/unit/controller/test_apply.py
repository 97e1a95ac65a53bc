"""What becomes of a plan that meets a conflict half way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from rollouts.api.meta import Names, Reason
from rollouts.controller import wiring
from rollouts.controller.apply import Applier
from rollouts.controller.events import Recorder
from rollouts.controller.metrics import Metrics
from rollouts.controller.parts import Environment
from rollouts.controller.records import KnownRollout
from rollouts.controller.writes import Writer
from rollouts.delivery.actions import Event, PatchReplicaSet, Plan, SwitchService
from rollouts.delivery.snapshot import PodTemplate
from rollouts.errors import Conflict, NotFound
from rollouts.kube import Kube, Ref, Resource, resources
from rollouts.settings import Settings
from tests import builders

SWITCHED = Event(Reason.SWITCH_SERVICE, "Switched Service active", about="active")
SCALED = Event(Reason.SCALING_REPLICA_SET, "Scaled up ReplicaSet web-2", about="web-2")
COMPLETED = Event(Reason.COMPLETED, "Revision 2 is stable")


@dataclass
class Api:
    """An API server on which somebody else has just changed every ReplicaSet."""

    told: list[str] = field(default_factory=list)

    async def create(self, resource: Resource, body: Mapping[str, Any], *, field_manager: str) -> object:
        del field_manager
        assert resource is resources.EVENT
        self.told.append(body["message"])
        return body

    async def merge_patch(self, ref: Ref, body: Mapping[str, Any], **_: Any) -> object:
        if ref.resource is resources.REPLICA_SET:
            raise Conflict(f"{ref} was changed")
        return {"metadata": {"name": ref.name, "namespace": ref.namespace, **body["metadata"]}, "spec": {}}

    async def get(self, ref: Ref) -> object:
        raise NotFound(str(ref))


@pytest.mark.parametrize("events", [(SWITCHED, SCALED, COMPLETED), (COMPLETED, SWITCHED)])
async def test_what_was_done_before_the_conflict_is_told_and_nothing_else(events: tuple[Event, ...]) -> None:
    api = Api()
    rollout = builders.rollout(builders.blue_green())
    known = KnownRollout(rollout, PodTemplate("digest", "hash"))
    plan = Plan(
        status=rollout.status,
        actions=(SwitchService("active", "uid", "1", "hash"), PatchReplicaSet("web-2", "uid", "1", 3)),
        events=events,
    )

    with pytest.raises(Conflict):
        await _applier(cast("Kube", api)).apply(known, plan)

    assert api.told == [SWITCHED.message]


def _applier(kube: Kube) -> Applier:
    metrics = Metrics()
    environment = Environment(Settings(), Names(), kube, metrics, lambda: builders.START)
    return Applier(
        stores=wiring.new_stores(environment),
        writer=Writer(kube, origin="rollout", field_manager="tests"),
        recorder=Recorder(kube, resources.rollout("rollouts.dev"), metrics),
        names=Names(),
        instance_id="",
        workloads=cast("Any", None),
        configs=cast("Any", None),
        routes=cast("Any", None),
        now=environment.now,
    )
