"""simulate(rollout, scenario) -> Timeline: an update from version 1 to version 2 in virtual time.

Time jumps from instant to instant at which something happens; the result is what people would have seen.
Pure: no clock, no I/O. Called by the CLI, by the linter's tests and by the conformance suite.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from rollouts.api.analysis import AnalysisPhase, AnalysisTemplateRef, AnalysisTemplateSpec
from rollouts.api.meta import Names
from rollouts.api.parse import format_duration, timestamp
from rollouts.api.rollout import Rollout
from rollouts.api.rollout_status import Phase
from rollouts.delivery.actions import Event
from rollouts.delivery.snapshot import AnalysisRun, Experiment
from rollouts.simulate.scenario import Scenario
from rollouts.simulate.world import UPDATE, World

BEGIN = datetime(2000, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_FARTHEST = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Pods:
    """The pods of a revision: how many are wanted, how many serve, and their share of the requests."""

    revision: int
    version: int
    wanted: int
    available: int
    weight: int


@dataclass(frozen=True, slots=True)
class Moment:
    """What people see from one instant on."""

    at: timedelta
    phase: Phase
    message: str
    step: str
    pods: tuple[Pods, ...]
    analyses: Mapping[str, str]
    """Phase of each AnalysisRun, and of each Experiment."""
    events: tuple[Event, ...] = field(default=())

    def weight(self, revision: int) -> int:
        return next((pods.weight for pods in self.pods if pods.revision == revision), 0)


@dataclass(frozen=True, slots=True)
class Timeline:
    """`ended` is False when time ran out with something still to happen."""

    name: str
    moments: tuple[Moment, ...]
    ends_at: timedelta
    ended: bool

    @property
    def last(self) -> Moment:
        return self.moments[-1]

    def reached(self, version: int = UPDATE) -> timedelta | None:
        """When everything was first served by a version."""
        for moment in self.moments:
            if any(pods.version == version and pods.weight == 100 for pods in moment.pods):
                return moment.at
        return None


def simulate(
    rollout: Rollout,
    scenario: Scenario | None = None,
    *,
    templates: Mapping[AnalysisTemplateRef, AnalysisTemplateSpec] | None = None,
    names: Names | None = None,
    limit: timedelta = DAY,
) -> Timeline:
    """The update and everything after it, until nothing more happens or `limit` has passed."""
    story = scenario or Scenario()
    world = World(
        rollout,
        story,
        BEGIN,
        services=rollout.spec.strategy.service_names,
        templates=templates or {},
        names=names or Names(),
    )
    _bring_up(world)
    if rollout.spec.paused:
        world.edit(paused=True)
    world.deploy(UPDATE)
    return _lived(world, story, limit)


def _bring_up(world: World) -> None:
    """Version 1 is stable and nothing is left of how it became so."""
    world.now = BEGIN - DAY
    world.rest()
    while (at := world.next_instant(())) is not None and at < BEGIN:
        world.now = at
        world.rest()
    world.now = BEGIN
    world.told.clear()


def _lived(world: World, scenario: Scenario, limit: timedelta) -> Timeline:
    moments: list[Moment] = []
    deeds = scenario.actions
    ends_at, ended = timedelta(), False
    while True:
        due = tuple(deed for deed in deeds if world.begins_at + deed.at <= world.now)
        deeds = deeds[len(due) :]
        if not due:
            world.rest()
        for deed in due:
            world.do(deed)
            world.rest()
        moment = _moment(world)
        if not moments or _differs(moments[-1], moment):
            moments.append(moment)
            ends_at = moment.at
        at = None if world.is_over and not deeds else world.next_instant(deeds)
        if at is None or at - world.begins_at > limit:
            ended = at is None
            break
        world.now = at
    return Timeline(world.rollout.metadata.name, tuple(moments), ends_at if ended else limit, ended)


def _moment(world: World) -> Moment:
    status = world.status
    told, world.told = world.told, []
    return Moment(
        at=world.now - world.begins_at,
        phase=status.phase or Phase.PROGRESSING,
        message=_as_durations(status.message, world.begins_at),
        step=status.step,
        pods=_pods(world),
        analyses={**_phases(world.runs), **_phases(world.experiments)},
        events=tuple(replace(e, message=_as_durations(e.message, world.begins_at)) for e in told),
    )


def _as_durations(text: str, begin: datetime) -> str:
    """Instants as everything else here, since the update; those of the real world, from a spec, as they are."""

    def shown(found: re.Match[str]) -> str:
        since = timestamp(found[0], "") - begin
        return format_duration(since) if timedelta() <= since <= _FARTHEST else found[0]

    return _INSTANT.sub(shown, text)


def _phases(things: Mapping[str, AnalysisRun] | Mapping[str, Experiment]) -> Mapping[str, str]:
    return {name: (thing.phase or AnalysisPhase.PENDING).value for name, thing in things.items()}


def _differs(before: Moment, after: Moment) -> bool:
    if after.events:
        return True
    shown = (after.phase, after.message, after.step, after.pods, after.analyses)
    return shown != (before.phase, before.message, before.step, before.pods, before.analyses)


def _pods(world: World) -> tuple[Pods, ...]:
    weights = _weights(world)
    sets = sorted(world.sets.values(), key=lambda rs: rs.revision)
    return tuple(
        Pods(rs.revision, world.versions[rs.hash], rs.replicas, rs.available, weights.get(rs.hash, 0))
        for rs in sets
        if rs.replicas or rs.pods
    )


def _weights(world: World) -> Mapping[str, int]:
    """Hash -> share of the requests: what the active Service selects, or the ratio of pods that serve."""
    status = world.status
    if world.rollout.spec.strategy.blue_green is not None:
        return {status.blue_green.active_selector: 100}
    weights = status.canary.weights
    if weights is None:
        return {}
    shares: dict[str, int] = {}
    for side in (weights.stable, weights.canary, *weights.additional):
        shares[side.pod_template_hash] = shares.get(side.pod_template_hash, 0) + side.weight
    most = sum(shares.values())  # maxTrafficWeight may be another unit
    return {side: round(100 * weight / most) for side, weight in shares.items()} if most else shares
