"""Does the API server keep what is written into a status? A definition that somebody else made does not know all of it.

A status that is refused or pruned forgets what was done, and an update would go on without it. So a kind is not
served before its definition knows every field of ours. What cannot be found out keeps nobody from working. Called by
the `Sweeper` at start.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rollouts.api import crd
from rollouts.errors import NotFound, Rejected, Transient
from rollouts.kube import Kube
from rollouts.kube.resources import Resource

__all__ = ["are_known", "unknown_fields"]

log = logging.getLogger(__name__)

_SHOWN = 3
_OPEN = ("x-kubernetes-preserve-unknown-fields", "additionalProperties")


async def are_known(kube: Kube, served: Iterable[Resource]) -> bool:
    """Whether every field of these kinds' statuses is kept, as far as the API server publishes their schemas."""
    by_version: dict[str, list[Resource]] = {}
    for resource in served:
        if resource.kind in _OURS:
            by_version.setdefault(resource.api_version, []).append(resource)
    found = [await _are_known(kube, version, kinds) for version, kinds in by_version.items()]
    return all(found)


async def _are_known(kube: Kube, api_version: str, kinds: Iterable[Resource]) -> bool:
    try:
        schemas = await kube.schemas(api_version)
    except (NotFound, Rejected, Transient) as e:
        log.debug("the schemas of %s are not published: %s", api_version, e)
        return True
    unknown = {
        resource: tuple(
            unknown_fields(_OURS[resource.kind], schema["properties"].get("status", {}), "status")
        )
        for resource in kinds
        if (schema := schemas.get(resource.kind))
    }
    for resource, fields in unknown.items():
        if fields:
            log.error("%s", _told(resource, fields), extra={"fields": {"reason": "ForeignDefinition"}})
    return not any(unknown.values())


def unknown_fields(ours: Mapping[str, Any], served: Mapping[str, Any], path: str) -> Iterator[str]:
    """The fields of a schema of ours that the served one would drop. Pure."""
    if any(served.get(name) for name in _OPEN):
        return
    known = served.get("properties", {})
    for name, schema in ours.get("properties", {}).items():
        if name in known:
            yield from unknown_fields(schema, known[name], f"{path}.{name}")
        else:
            yield f"{path}.{name}"
    if "items" in ours:
        yield from unknown_fields(ours["items"], served.get("items", {}), f"{path}[]")


def _told(resource: Resource, unknown: tuple[str, ...]) -> str:
    more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
    return (
        f"the CRD {resource.plural}.{resource.group} does not know {', '.join(unknown[:_SHOWN])}{more}, so nothing is "
        f"served yet; put ours in its place: rollouts crds --api-group {resource.group} | kubectl replace -f -"
    )


_OURS: Mapping[str, Mapping[str, Any]] = {
    kind.kind: schema["properties"]["status"]
    for kind in crd.KINDS
    if "status" in (schema := crd.model_schema(kind.model))["properties"]
}
