"""Where the objects of a set go: which resource serves each kind, which namespace each object is in.

Decides by discovery, and for kinds that come with the same commit by the CustomResourceDefinition in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rollouts.api.application import Application
from rollouts.controller.applications.given import destination_namespace
from rollouts.controller.applications.live import LiveObjects
from rollouts.errors import NotFound
from rollouts.gitops.resources import manifests
from rollouts.gitops.resources.live import Live
from rollouts.gitops.resources.manifests import Manifest, ManifestError, ObjectKey
from rollouts.gitops.resources.render import Rendered
from rollouts.kube import Kube, Resource

__all__ = ["Placed", "Places"]

_Type = tuple[str, str]
"""API version and kind."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A set in its places. `refusal`: why it cannot be applied."""

    manifests: tuple[Manifest, ...] = ()
    autoscaled: frozenset[ObjectKey] = frozenset()
    resources: Mapping[tuple[str, str], Resource] = field(default_factory=dict)
    """By group and kind; a kind whose definition is still to come is missing."""
    refusal: str = ""

    @property
    def watched(self) -> tuple[Resource, ...]:
        return tuple(dict.fromkeys(self.resources.values()))

    def resource(self, key: ObjectKey) -> Resource:
        """Raises `NotFound` for a kind whose definition is still to come."""
        found = self.resources.get((key.group, key.kind))
        if found is None:
            raise NotFound(f"the API server does not serve {key.kind} of {key.group} yet")
        return found

    def live(self, live: LiveObjects, key: ObjectKey) -> Live | None:
        resource = self.resources.get((key.group, key.kind))
        return live.get(resource, key) if resource else None


@dataclass(frozen=True, slots=True)
class Places:
    kube: Kube

    async def of_inventory(self, inventory: Mapping[ObjectKey, str]) -> Placed:
        """Where what has been applied is; nothing is declared any more."""
        return Placed(resources=await self._of_inventory(inventory, {}))

    async def placed(
        self, application: Application, rendered: Rendered | None, inventory: Mapping[ObjectKey, str]
    ) -> Placed:
        """A set in its places; the kinds of the inventory are looked up, too, for what is left over."""
        declared = rendered.manifests if rendered else ()
        types = {(m.api_version, m.key.kind): m for m in declared}
        resources = await self._resources(types)
        coming = _definitions(declared)
        missing = [m for t, m in types.items() if t not in resources and t not in coming]
        by_kind = {(r.group, r.kind): r for r in resources.values()}
        by_kind |= await self._of_inventory(inventory, by_kind)
        if missing:
            refusal = _unknown_kind(missing[0])
            known = [m for m in declared if (m.api_version, m.key.kind) in resources]
            return self._place(application, known, resources, coming, by_kind, refusal)
        return self._place(application, declared, resources, coming, by_kind, "")

    def _place(
        self,
        application: Application,
        declared: Iterable[Manifest],
        resources: Mapping[_Type, Resource],
        coming: Mapping[_Type, bool],
        by_kind: Mapping[tuple[str, str], Resource],
        refusal: str,
    ) -> Placed:
        def is_namespaced(m: Manifest) -> bool:
            found = resources.get((m.api_version, m.key.kind))
            return found.namespaced if found else coming[m.api_version, m.key.kind]

        namespace = destination_namespace(application)
        try:
            placed = manifests.placed(declared, namespace=namespace, is_namespaced=is_namespaced)
        except ManifestError as e:
            return Placed(resources=by_kind, refusal=str(e))
        return Placed(placed, manifests.scaled_by_others(placed), by_kind, refusal)

    async def _resources(self, types: Iterable[_Type]) -> dict[_Type, Resource]:
        found = {}
        for api_version, kind in types:
            try:
                found[api_version, kind] = await self.kube.resource(api_version, kind)
            except NotFound:
                continue
        return found

    async def _of_inventory(
        self, inventory: Mapping[ObjectKey, str], known: Mapping[tuple[str, str], Resource]
    ) -> dict[tuple[str, str], Resource]:
        wanted = {(k.group, k.kind): v for k, v in inventory.items() if (k.group, k.kind) not in known}
        types = {(f"{group}/{v}" if group else v, kind) for (group, kind), v in wanted.items()}
        found = await self._resources(types)
        return {(r.group, r.kind): r for r in found.values()}


def _definitions(declared: Iterable[Manifest]) -> dict[_Type, bool]:
    """Types that the set itself defines, and whether their objects live in a namespace."""
    found = {}
    for m in declared:
        if m.key.kind != "CustomResourceDefinition":
            continue
        spec = m.body.get("spec") or {}
        for version in spec.get("versions") or ():
            type_ = f"{spec.get('group')}/{version.get('name')}", str((spec.get("names") or {}).get("kind"))
            found[type_] = spec.get("scope") == "Namespaced"
    return found


def _unknown_kind(m: Manifest) -> str:
    return (
        f"{m.origin}: the API server has no kind {m.key.kind} in {m.api_version}; "
        "is its CustomResourceDefinition installed, or in the same directory?"
    )
