"""What has been applied and not yet deleted: the list in the status, and what of it is left over.

Decides what may be pruned. The list is written before an object is first applied, so that nothing that a
killed process applied is forgotten; owner labels on live objects are the second witness. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rollouts.api.application_status import Inventory, InventoryEntry
from rollouts.api.schema import IntOrString
from rollouts.gitops.resources import order
from rollouts.gitops.resources.live import HOOK_ANNOTATION, Live
from rollouts.gitops.resources.manifests import Manifest, ObjectKey
from rollouts.gitops.resources.options import Policy

Versions = Mapping[ObjectKey, str]


def parse(inventory: Inventory) -> dict[ObjectKey, str]:
    """Key -> API version. Entries that are not ours to read are skipped."""
    known = {}
    for entry in inventory.entries:
        parts = entry.id.split("_")
        if len(parts) >= 4:
            # Names hold no underscore but those that stand for a colon; kind and group are the last two.
            namespace, name, group, kind = parts[0], "_".join(parts[1:-2]), parts[-2], parts[-1]
            known[ObjectKey(group, kind, namespace, name.replace("__", ":"))] = entry.v
    return known


def dump(versions: Versions) -> Inventory:
    return Inventory(tuple(InventoryEntry(_id(key), versions[key]) for key in sorted(versions)))


def with_declared(versions: Versions, declared: Iterable[Manifest]) -> dict[ObjectKey, str]:
    return {**versions, **{m.key: m.version for m in declared}}


def leftovers(
    versions: Versions,
    declared: Iterable[ObjectKey],
    live: Mapping[ObjectKey, Live],
    owner: tuple[str, str],
    claimed: Iterable[ObjectKey],
) -> tuple[Live, ...]:
    """Live objects of ours that the target set does not hold and that no other Application declares.

    Hooks are none: what becomes of them is their delete policy's business.
    """
    kept = {*declared, *claimed}
    ours = {key: found for key, found in live.items() if found.owner == owner and not found.deleting}
    return tuple(
        found
        for key, found in sorted(ours.items())
        if key not in kept and HOOK_ANNOTATION not in found.annotations
    )


def in_pruning_order(left: Iterable[Live]) -> tuple[Live, ...]:
    """What may be deleted of these, in the opposite order of applying."""
    found = (live for live in left if not is_protected(live))
    return tuple(sorted(found, key=lambda live: (order.pruning_rank(live.key.kind), live.key)))


def is_protected(live: Live) -> bool:
    """It says itself that it stays when Git drops it."""
    return live.options.keeps or live.options.policy is Policy.IGNORE


def excess(doomed: int, known: int, limit: IntOrString | None) -> bool:
    """Whether more would be deleted than `limit` allows: a count, or a share of all that is known."""
    if limit is None:
        return False
    if isinstance(limit, int):
        return doomed > limit
    return doomed * 100 > known * int(limit.removesuffix("%"))


def remaining(
    versions: Versions,
    declared: Iterable[Manifest],
    left: Iterable[Live],
    *,
    pruned: Iterable[ObjectKey] = (),
) -> dict[ObjectKey, str]:
    """The inventory once nothing but `declared` and `left` is ours."""
    gone = set(pruned)
    kept = {live.key: versions.get(live.key, live.version) for live in left if live.key not in gone}
    return {**kept, **{m.key: m.version for m in declared}}


def _id(key: ObjectKey) -> str:
    return f"{key.namespace}_{key.name.replace(':', '__')}_{key.group}_{key.kind}"
