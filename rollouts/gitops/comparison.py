"""The target set against the cluster: what differs, what is in order to be done now, what is left over.

Decides no action; `plan` does, with what this finds. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from rollouts.api.application_status import HealthStatus, HookType, OperationPhase
from rollouts.gitops import revision, vouching
from rollouts.gitops.resources import diff, hooks, inventory, options, order
from rollouts.gitops.resources.diff import Change
from rollouts.gitops.resources.live import Live
from rollouts.gitops.resources.manifests import Manifest, ObjectKey
from rollouts.gitops.resources.options import Policy
from rollouts.gitops.revision import Revisions
from rollouts.gitops.snapshot import Snapshot

__all__ = ["Comparison", "change", "compare", "is_open", "is_settled"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The target set against the cluster."""

    changes: tuple[Change, ...] = ()
    place: order.Place | None = None
    """The first wave and stage that is not done; changes of later ones wait for it."""
    leftovers: tuple[Live, ...] = ()

    @property
    def due(self) -> tuple[Change, ...]:
        return tuple(c for c in self.changes if order.place(c.manifest) == self.place)


def is_open(state: Revisions) -> bool:
    return state.attempt is not None and state.attempt.phase is OperationPhase.RUNNING


def is_settled(state: Revisions) -> bool:
    """The target is a good revision and is fully in place: from here on it is healed and cleaned up."""
    attempt = state.attempt
    if attempt is None or attempt.phase is OperationPhase.SUCCEEDED:
        return state.good is not None
    entry = revision.quarantined(state, attempt.digest)
    is_back = attempt.phase is OperationPhase.FAILED and entry is not None and entry.restored_at is not None
    return is_back and state.good is not None


def compare(s: Snapshot) -> Comparison:
    if s.target is None or s.declared.problem:
        return Comparison()
    found = (change(s, m, _present(s, m.key)) for m in s.declared.manifests)
    changes = tuple(c for c in found if c and c.fingerprint not in s.equal)
    declared = (*(m.key for m in s.declared.manifests), *s.declared.ignored)
    left = inventory.leftovers(s.inventory, declared, s.live, s.owner, s.claimed)
    return Comparison(changes, _current_place(s, changes), left)


def change(s: Snapshot, declared: Manifest, live: Live | None) -> Change | None:
    """What has to be done to one object of the target set."""
    assert s.target is not None
    if live and Policy.IF_NOT_PRESENT is options.of(declared.body["metadata"]).policy:
        return None
    if live and live.options.policy is Policy.IGNORE:
        return None  # Somebody keeps us away from it, with an annotation on the object itself.
    context = diff.Context(
        namespace=s.owner[0],
        name=s.owner[1],
        names=s.names,
        revision=s.target.revision,
        marks_revision=not is_settled(s.revisions),
        known_good=s.target.known_good,
        ignored=s.application.spec.ignore_differences,
    )
    holder = vouching.holder(s, declared) if context.known_good else None
    put_back = change(s, holder, _present(s, holder.key)) if holder else None
    return diff.change(
        declared,
        live,
        context,
        autoscaled=declared.key in s.declared.autoscaled,
        vouched=vouching.digest(put_back) if put_back else "",
    )


def _present(s: Snapshot, key: ObjectKey) -> Live | None:
    live = s.live.get(key)
    return None if live is None or live.deleting else live


def _current_place(s: Snapshot, changes: tuple[Change, ...]) -> order.Place | None:
    """Foundations gate what comes after them; on the way to a revision every wave gates the next one."""
    unfinished = {order.place(c.manifest) for c in changes}
    unready = {
        order.place(m)
        for m in s.declared.manifests
        if m.key in s.live and s.live[m.key].health.status is not HealthStatus.HEALTHY
    }
    last = max((p.wave for p in unfinished), default=0)
    waits = not is_settled(s.revisions)
    gates = {p for p in unready if p.stage is order.Stage.FOUNDATION or (waits and p.wave < last)}
    return min(unfinished | gates | _hook_gates(s, last), default=None)


def _hook_gates(s: Snapshot, last: int) -> set[order.Place]:
    """A Sync hook that has not succeeded keeps later waves waiting."""
    attempt = s.revisions.attempt
    if attempt is None or not is_open(s.revisions):
        return set()
    found = hooks.progress(s.declared.hooks, HookType.SYNC, attempt, s.live, only_wave=last - 1)
    return set() if found.done else {order.Place(found.wave, order.Stage.OBJECTS)}
