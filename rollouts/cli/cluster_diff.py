"""A rendered set against the cluster: what a sync would change, by server-side dry runs. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rollouts.api.application import Application
from rollouts.api.meta import Names
from rollouts.cli import object_diff
from rollouts.cli.object_diff import Difference
from rollouts.cli.target import CliError
from rollouts.controller.applications.places import Placed, Places
from rollouts.errors import NotFound, Rejected
from rollouts.gitops import comparison, plan
from rollouts.gitops.resources import hooks, inventory, live, options
from rollouts.gitops.resources.diff import Change
from rollouts.gitops.resources.live import FIELD_MANAGER
from rollouts.gitops.resources.manifests import ObjectKey
from rollouts.gitops.resources.options import Policy
from rollouts.gitops.resources.render import Rendered
from rollouts.gitops.revision import Revisions, Target
from rollouts.gitops.snapshot import DeclaredSet, Snapshot
from rollouts.kube import Kube

__all__ = ["differences"]

Bodies = dict[ObjectKey, Mapping[str, Any]]


async def differences(
    kube: Kube, names: Names, application: Application, rendered: Rendered, now: datetime
) -> tuple[Difference, ...]:
    """Raises `CliError` for what the API server would refuse."""
    known = inventory.parse(application.status.inventory)
    placed = await Places(kube).placed(application, rendered, known)
    if placed.refusal:
        raise CliError(placed.refusal)
    objects, _ = hooks.split(placed.manifests)
    objects = tuple(m for m in objects if options.of(m.body["metadata"]).policy is not Policy.IGNORE)
    found = await _live(kube, placed, {*known, *(m.key for m in objects)})
    snapshot = Snapshot(
        application,
        names,
        now,
        Revisions(),
        target=Target("", rendered.digest),
        declared=DeclaredSet(objects, autoscaled=placed.autoscaled),
        live={key: live.trim(body, names) for key, body in found.items()},
    )
    changes = [
        change
        for m in objects
        if (change := comparison.change(snapshot, m, snapshot.live.get(m.key))) is not None
    ]
    after = {c.manifest.key: await _tried(kube, placed, c) for c in changes}
    gone = _pruned(application, snapshot, placed)
    before = {key: body for key, body in found.items() if key in after or key in gone}
    return object_diff.differences(before, after, names)


def _pruned(application: Application, s: Snapshot, placed: Placed) -> frozenset[ObjectKey]:
    """What would be deleted."""
    if not plan.policy(application.spec).prune:
        return frozenset()
    known = inventory.parse(application.status.inventory)
    declared = [m.key for m in placed.manifests]
    left = inventory.leftovers(known, declared, s.live, s.owner, {})
    return frozenset(found.key for found in left if not inventory.is_protected(found))


async def _live(kube: Kube, placed: Placed, keys: set[ObjectKey]) -> Bodies:
    found: Bodies = {}
    for key in sorted(keys):
        try:
            found[key] = await kube.get(placed.resource(key).ref(key.name, key.namespace))
        except NotFound:
            continue
    return found


async def _tried(kube: Kube, placed: Placed, change: Change) -> Mapping[str, Any]:
    """What the API server would make of it; what it cannot know yet is taken as it is declared."""
    key = change.manifest.key
    try:
        ref = placed.resource(key).ref(key.name, key.namespace)
        return await kube.apply(ref, change.body, field_manager=FIELD_MANAGER, dry_run=True)
    except NotFound:
        # Its namespace or its kind comes with the same commit.
        return change.body
    except Rejected as e:
        raise CliError(f"{change.manifest.origin}: {key}: the API server would refuse it: {e}") from None
