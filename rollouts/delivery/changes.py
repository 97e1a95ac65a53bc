"""The difference between the observed and the planned sets as actions, in an order that a crash may cut.

Decides order and what is written, never sizes. Called by `plan`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from rollouts.api import injected
from rollouts.api.meta import SCALE_DOWN_DEADLINE_ANNOTATION, Reason
from rollouts.api.parse import format_timestamp
from rollouts.delivery import events
from rollouts.delivery.actions import Action, CreateReplicaSet, DeleteReplicaSet, PatchReplicaSet
from rollouts.delivery.events import Fact
from rollouts.delivery.sets import Sets
from rollouts.delivery.snapshot import ReplicaSet
from rollouts.delivery.view import View


@dataclass(frozen=True, slots=True)
class Changes:
    """`up` goes before any Service is switched, `down` after it, `late` (up into the room of down) last."""

    up: tuple[Action, ...] = ()
    down: tuple[Action, ...] = ()
    late: tuple[Action, ...] = ()
    facts: tuple[Fact, ...] = field(default=())


def between(seen: View, planned: Sets, *, creates: bool) -> Changes:
    """One write a set at most: size and annotations together.

    Growth that fits under the limit now comes first; growth into room that is still to be given up waits
    for it. Every removal is planned from what is available now, so it is safe at any place in the order.
    """
    room = max(0, seen.limits.most - seen.sets.total)
    up: list[Action] = []
    down: list[Action] = []
    late: list[Action] = []
    facts: list[Fact] = []
    for before, after in _pairs(seen.sets, planned):
        action = _written(seen, before, after)
        if action is None or (not before.uid and not creates):
            continue
        grows = after.replicas - before.replicas
        if grows < 0 or _is_retired(before, after):
            down.append(action)
        elif grows <= room:
            room -= grows
            up.append(action)
        else:
            late.append(action)
        facts += _told(before, after)
    return Changes(tuple(up), tuple(down), tuple(late), tuple(facts))


def outdated(seen: View, planned: Sets) -> tuple[DeleteReplicaSet, ...]:
    """Empty sets beyond the history limit, oldest first."""
    others = sorted(planned.others, key=lambda rs: (rs.revision, rs.created_at))
    surplus = len(others) - seen.spec.revision_history_limit
    observed = {rs.name: rs for rs in seen.sets}
    return tuple(
        DeleteReplicaSet(rs.name, rs.uid, rs.resource_version)
        for rs in others[: max(0, surplus)]
        if rs.observed and not (rs.replicas or rs.current_replicas or observed[rs.name].replicas)
    )


def _pairs(before: Sets, after: Sets) -> Iterator[tuple[ReplicaSet, ReplicaSet]]:
    planned = {rs.name: rs for rs in after}
    stable = (before.stable,) if before.stable else ()
    for rs in (*stable, before.current, *before.others):
        yield rs, planned[rs.name]


def _written(seen: View, before: ReplicaSet, after: ReplicaSet) -> Action | None:
    if not before.uid:
        return _created(seen, after)
    had, has = before.carried, after.carried
    patch = PatchReplicaSet(
        before.name,
        before.uid,
        before.resource_version,
        after.replicas if after.replicas != before.replicas else None,
        _annotations(seen, before, after),
        after.min_ready_seconds if after.min_ready_seconds != before.min_ready_seconds else None,
        _difference(had.labels, has.labels),
        _difference(had.annotations, has.annotations),
        after.away_from if after.away_from != before.away_from else None,
    )
    untouched = PatchReplicaSet(before.name, before.uid, before.resource_version)
    return patch if patch != untouched else None


def _difference(before: Mapping[str, str], after: Mapping[str, str]) -> Mapping[str, str | None]:
    lost = {key: None for key in before if key not in after}
    return {**lost, **{key: value for key, value in after.items() if before.get(key) != value}}


def _created(seen: View, after: ReplicaSet) -> CreateReplicaSet:
    return CreateReplicaSet(
        name=after.name,
        pod_template_hash=after.pod_template_hash,
        revision=after.revision,
        replicas=after.replicas,
        desired_replicas=seen.replicas,
        git_revision=after.git_revision,
        pod_metadata=after.carried,
        away_from=after.away_from,
        config_copies=tuple(f"{copy.kind}/{copy.copy}" for copy in seen.snapshot.wanted_copies),
    )


def _is_retired(before: ReplicaSet, after: ReplicaSet) -> bool:
    return before.scale_down_deadline is None and after.scale_down_deadline is not None


def _annotations(seen: View, before: ReplicaSet, after: ReplicaSet) -> dict[str, str | None]:
    names = seen.names
    changed: dict[str, str | None] = {}
    if after.revision != before.revision:
        changed[names.revision_annotation] = str(after.revision)
    if after.revision_history != before.revision_history:
        changed[names.revision_history_annotation] = ",".join(str(past) for past in after.revision_history)
    if after.desired_replicas != before.desired_replicas:
        changed[names.desired_replicas_annotation] = str(after.desired_replicas)
    if after.git_revision != before.git_revision:
        changed[names.git_revision_annotation] = after.git_revision or None
    if after.scale_down_deadline != before.scale_down_deadline:
        deadline = after.scale_down_deadline
        changed[SCALE_DOWN_DEADLINE_ANNOTATION] = format_timestamp(deadline) if deadline else None
    if after.injected != before.injected:
        held = after.injected != injected.NONE
        changed[names.ephemeral_metadata_annotation] = injected.written(after.injected) if held else None
    return changed


def _told(before: ReplicaSet, after: ReplicaSet) -> Iterator[Fact]:
    if not before.uid:
        yield events.normal(
            Reason.NEW_REPLICA_SET,
            f"Created ReplicaSet {after.name} (revision {after.revision}) with {events.pods(after.replicas)}",
            about=after.name,
        )
    if before.replicas != after.replicas:
        yield events.scaled(after.name, after.revision, before.replicas, after.replicas)
