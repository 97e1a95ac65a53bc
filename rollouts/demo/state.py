"""What the demo sees of the cluster, read as any user could: plain objects from the API server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rollouts.api.meta import DEFAULT_GROUP, POD_TEMPLATE_HASH_LABEL
from rollouts.demo import manifests
from rollouts.kube import Kube, Resource, resources

Object = Mapping[str, Any]
POLL_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class State:
    """One look at the namespace."""

    application: Object = field(default_factory=dict)
    rollouts: Mapping[str, Object] = field(default_factory=dict)
    config_maps: Mapping[str, Object] = field(default_factory=dict)
    services: Mapping[str, Object] = field(default_factory=dict)
    replica_sets: tuple[Object, ...] = ()
    analysis_runs: tuple[Object, ...] = ()

    def rollout(self, name: str) -> Mapping[str, Any]:
        """Its status; empty while it has none."""
        return self.rollouts.get(name, {}).get("status") or {}

    @property
    def app(self) -> Mapping[str, Any]:
        return self.application.get("status") or {}

    def images(self, name: str) -> tuple[str, ...]:
        """Images of the rollout's ReplicaSets that have pods."""
        return tuple(
            sorted(
                rs["spec"]["template"]["spec"]["containers"][0]["image"].rpartition(":")[2]
                for rs in self.replica_sets
                if rs["spec"].get("replicas") and rs["metadata"]["name"].startswith(f"{name}-")
            )
        )

    def version(self, name: str) -> str:
        """The version that all pods of a rollout run, or all of them when they differ."""
        return "+".join(self.images(name))

    def selects(self, service: str) -> str:
        """The pod template hash that a Service sends its requests to."""
        selector = self.services.get(service, {}).get("spec", {}).get("selector") or {}
        return str(selector.get(POD_TEMPLATE_HASH_LABEL, ""))


async def read(kube: Kube) -> State:
    """The namespace as it is now."""
    kinds = (
        resources.APPLICATION,
        resources.rollout(DEFAULT_GROUP),
        resources.CONFIG_MAP,
        resources.SERVICE,
        resources.REPLICA_SET,
        resources.analysis_run(DEFAULT_GROUP),
    )
    apps, rollouts, configs, services, sets, runs = await asyncio.gather(
        *(_items(kube, kind) for kind in kinds)
    )
    return State(
        application=_by_name(apps).get(manifests.APPLICATION, {}),
        rollouts=_by_name(rollouts),
        config_maps=_by_name(configs),
        services=_by_name(services),
        replica_sets=sets,
        analysis_runs=runs,
    )


async def until(
    kube: Kube, condition: Callable[[State], bool], *, seconds: float, seen: Callable[[State], None]
) -> bool:
    """Look until `condition` holds, handing every look to `seen`; False when `seconds` have passed."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        state = await read(kube)
        seen(state)
        if condition(state):
            return True
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(POLL_SECONDS)


async def _items(kube: Kube, kind: Resource) -> tuple[Object, ...]:
    return (await kube.list(kind, manifests.NAMESPACE)).items


def _by_name(items: tuple[Object, ...]) -> dict[str, Object]:
    return {item["metadata"]["name"]: item for item in items}
