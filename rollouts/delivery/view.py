"""The two values that a decision is made of: what is seen (`View`) and what is decided so far (`Draft`).

Holds questions that several modules ask of the spec; decides nothing. Built by `plan`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto

from rollouts.api.meta import Names
from rollouts.api.parse import dump, stamp
from rollouts.api.podtemplate import fnv32a, safe_encode
from rollouts.api.rollout import RolloutSpec
from rollouts.api.rollout_status import PauseCondition, PauseReason, RolloutStatus
from rollouts.api.strategy import BlueGreenStrategy, CanaryStep, CanaryStrategy
from rollouts.api.traffic import TrafficRouting
from rollouts.delivery import replicas, rolling, sets
from rollouts.delivery.events import Fact
from rollouts.delivery.replicas import Limits
from rollouts.delivery.sets import Sets
from rollouts.delivery.snapshot import ReplicaSet, Route, Service, Snapshot


class Mode(Enum):
    """How the update may proceed. Exactly one holds."""

    INITIAL = auto()
    """There is no stable set to protect: straight to all replicas."""
    PROMOTED = auto()
    """The current set is stable: nothing to roll out, only to maintain."""
    ABORTED = auto()
    """Back to stable."""
    FAST = auto()
    """Straight to all replicas, bounded by surge and availability."""
    STEPPING = auto()
    """Step by step."""
    PROVING = auto()
    """The first deployment where it is analysed: all replicas, and stable only after success."""


@dataclass(frozen=True, slots=True)
class View:
    """A snapshot with its sets sorted."""

    snapshot: Snapshot
    sets: Sets
    revision: int
    now: datetime
    """The snapshot's now as a status will read back: whole seconds."""
    canary: CanaryStrategy | None
    """The canary, or the rolling update or recreation as one without steps."""
    step_hash: str
    """Identifies the steps of a canary; empty for blue-green."""

    @property
    def name(self) -> str:
        return self.snapshot.rollout.metadata.name

    @property
    def names(self) -> Names:
        return self.snapshot.names

    @property
    def spec(self) -> RolloutSpec:
        return self.snapshot.rollout.spec

    @property
    def old(self) -> RolloutStatus:
        return self.snapshot.rollout.status

    @property
    def recreates(self) -> bool:
        return rolling.recreated(self.spec.strategy) is not None

    @property
    def blue_green(self) -> BlueGreenStrategy | None:
        return self.spec.strategy.blue_green

    @property
    def routing(self) -> TrafficRouting | None:
        return self.canary.traffic_routing if self.canary else None

    @property
    def max_weight(self) -> int:
        """The weight that stands for all traffic, or all pods."""
        return (self.routing.max_traffic_weight if self.routing else None) or 100

    @property
    def routes(self) -> tuple[Route, ...]:
        return self.snapshot.routes if self.routing else ()

    @property
    def steps(self) -> tuple[CanaryStep, ...]:
        return self.canary.steps if self.canary else ()

    @property
    def hash(self) -> str:
        return self.sets.current.pod_template_hash

    @property
    def replicas(self) -> int:
        return self.spec.replicas

    @property
    def limits(self) -> Limits:
        if self.canary is None:
            return Limits(self.replicas, self.replicas, 0)
        return replicas.limits(self.replicas, self.canary.max_surge, self.canary.max_unavailable)

    @property
    def git_revision(self) -> str:
        return self.snapshot.rollout.metadata.annotations.get(self.names.git_revision_annotation, "")

    @property
    def rescaled(self) -> bool:
        """The replicas changed since the current or the stable set was last sized."""
        sides = (self.sets.current, self.sets.stable)
        known = [rs.desired_replicas for rs in sides if rs is not None and rs.uid and rs.replicas]
        return any(count not in (None, self.replicas) for count in known)

    def enough(self, desired: int) -> bool:
        """So many pods of the current set are available that the update may go on."""
        threshold = self.canary.replica_progress_threshold if self.canary else None
        return replicas.enough(threshold, sets.available(self.sets.current), desired)

    def service(self, name: str) -> Service | None:
        return self.snapshot.services.get(name) if name else None

    def behind(self, name: str) -> ReplicaSet | None:
        """The set that a Service selects."""
        service = self.service(name)
        return self.sets.named(service.selected_hash) if service else None


@dataclass(frozen=True, slots=True)
class Draft:
    """The status as decided so far, with the events to tell and the instants to look again."""

    status: RolloutStatus
    events: tuple[Fact, ...] = ()
    wake: tuple[datetime, ...] = ()

    def to(self, status: RolloutStatus, *events: Fact) -> Draft:
        return replace(self, status=status, events=(*self.events, *events))

    def wake_at(self, instant: datetime) -> Draft:
        return replace(self, wake=(*self.wake, instant))


def of(snapshot: Snapshot) -> View:
    sorted_sets = sets.sort(snapshot)
    revision = sets.revision(sorted_sets, snapshot.rollout.status)
    canary = rolling.as_canary(snapshot.rollout.spec.strategy)
    return View(snapshot, sorted_sets, revision, stamp(snapshot.now), canary, _step_hash(canary))


def mode(view: View, status: RolloutStatus) -> Mode:
    if status.stable_rs == view.hash:
        return Mode.PROMOTED
    if view.sets.stable is None:
        first = view.spec.analyze_initial_deploy and not status.stable_rs
        return Mode.PROVING if first and not status.promote_full else Mode.INITIAL
    if status.abort:
        return Mode.ABORTED
    if status.promote_full or is_fast_rollback(view):
        return Mode.FAST
    return Mode.STEPPING


def is_analysed(view: View, status: RolloutStatus) -> bool:
    """Analyses have a say in how the update goes on."""
    return not status.abort and mode(view, status) in (Mode.STEPPING, Mode.PROVING)


def is_fast_rollback(view: View) -> bool:
    """The Git half vouches for the template, or it is one of the last revisions before stable."""
    return view.snapshot.fast_rollback or _within_window(view)


def is_held(view: View, status: RolloutStatus) -> bool:
    """A person holds the update where it is. An abort is never held."""
    return view.spec.paused and mode(view, status) not in (Mode.PROMOTED, Mode.ABORTED)


def reached(view: View, status: RolloutStatus) -> int:
    """Index of the step whose weight and size hold: a step at a gate has not begun, -1 is before the first."""
    index = len(view.steps) if status.current_step_index is None else status.current_step_index
    if is_queued(view, status):
        return -1
    return index - 1 if status.gated else index


def is_queued(view: View, status: RolloutStatus) -> bool:
    """The update waits for others, and has not begun."""
    return status.queued_at is not None and mode(view, status) is Mode.STEPPING


def pause(status: RolloutStatus, reason: PauseReason) -> PauseCondition | None:
    return next((p for p in status.pause_conditions if p.reason == reason), None)


def _step_hash(canary: CanaryStrategy | None) -> str:
    if canary is None:
        return ""
    steps = [dump(step) for step in canary.steps]
    return safe_encode(str(fnv32a(json.dumps(steps, separators=(",", ":")).encode())))


def _within_window(view: View) -> bool:
    # argo-rollouts: rollout/sync.go, by creation: going back gives an old set a new revision number
    window, stable, current = view.spec.rollback_window, view.sets.stable, view.sets.current
    if window is None or stable is None or not current.uid or current.age >= stable.age:
        return False
    between = [rs for rs in view.sets if current.age < rs.age < stable.age]
    return len(between) < window.revisions
