"""The router for plain Services: the selector of the Service that users reach.

It can send everything to stable, or everything to the canary; in between it selects the pods of both, and
the canary's share is what the ratio of the available pods gives. It does not claim more: a share in
between is read back as shared, and the status shows the ratio.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rollouts.api.meta import POD_TEMPLATE_HASH_LABEL
from rollouts.api.rollout_status import WeightDestination
from rollouts.api.traffic import Feature, Shares
from rollouts.routing.values import Object, Owner, Patch, Place, Read, Sides

__all__ = ["Services"]


class Services:
    """`trafficRouting.services: {rootService}`."""

    features = frozenset({Feature.MAX_TRAFFIC_WEIGHT})
    by_pods = True

    def places(self, config: Mapping[str, Any]) -> Sequence[Place]:
        return (Place("", "v1", "services", "Service", str(config["rootService"])),)

    def render(
        self, objects: Sequence[Object], shares: Shares, owner: Owner, config: Mapping[str, Any]
    ) -> Sequence[Patch | None]:
        del config
        selected = _wanted(shares)
        patches: list[Patch | None] = []
        for service in objects:
            annotations = (service.get("metadata") or {}).get("annotations") or {}
            managed = annotations.get(owner.managed_by_annotation) == owner.name
            if _selected(service) == (selected or "") and managed:
                patches.append(None)
                continue
            patches.append(
                {
                    "metadata": {"annotations": {owner.managed_by_annotation: owner.name}},
                    "spec": {"selector": {POD_TEMPLATE_HASH_LABEL: selected}},
                }
            )
        return patches

    def read(self, objects: Sequence[Object], sides: Sides, config: Mapping[str, Any]) -> Read:
        del config
        selected = {_selected(service) for service in objects}
        if selected == {""}:
            return Read(shared=True)
        if selected == {sides.stable_hash}:
            return Read(_all_to(sides, canary=0))
        if selected == {sides.canary_hash}:
            return Read(_all_to(sides, canary=sides.maximum))
        return Read()


def _wanted(shares: Shares) -> str | None:
    """The hash to select; None for the pods of both sides, or while a side has no pods to select."""
    if shares.canary.weight == 0:
        return shares.stable.pod_template_hash or None
    if shares.canary.weight == shares.maximum:
        return shares.canary.pod_template_hash or None
    return None


def _selected(service: Object) -> str:
    selector = (service.get("spec") or {}).get("selector") or {}
    return str(selector.get(POD_TEMPLATE_HASH_LABEL) or "")


def _all_to(sides: Sides, *, canary: int) -> Shares:
    return Shares(
        canary=WeightDestination(canary, pod_template_hash=sides.canary_hash),
        stable=WeightDestination(sides.maximum - canary, pod_template_hash=sides.stable_hash),
        maximum=sides.maximum,
    )
