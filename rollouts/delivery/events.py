"""What is told to people: one constructor a fact, and the folding of the facts of one plan.

Decides wording and what is left out where a plan tells several facts at once. Called by whoever decides the
fact; folded by `plan`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rollouts.api.meta import DEFAULT_GROUP, Names, Reason
from rollouts.delivery.actions import Event, EventType

_OURS = frozenset({Reason.RETRIED, Reason.BAKING, Reason.PROGRESS_DEADLINE_EXCEEDED})
"""Reasons that Argo Rollouts uses in conditions only, never for events."""
_TELLING = frozenset({Reason.NEW_REPLICA_SET, Reason.STEP_COMPLETED, Reason.COMPLETED, Reason.ABORTED})
"""Facts that imply a change of sizes: a scaling told beside them is noise."""


@dataclass(frozen=True, slots=True)
class StepCompleted:
    """A step of a canary is done. `number` counts from 1."""

    number: int
    count: int
    step: str


Fact = Event | StepCompleted

_PLACE = {
    Reason.ROLLOUT_ADDED: -1,
    Reason.ROLLOUT_UPDATED: 0,
    Reason.SKIP_STEPS: 0,
    Reason.RETRIED: 0,
    Reason.NEW_REPLICA_SET: 1,
    Reason.NOT_COMPLETED: 2,
    Reason.SCALING_REPLICA_SET: 3,
    Reason.SWITCH_SERVICE: 5,
    Reason.COMPLETED: 6,
}
"""The order in which people expect to read what one plan does; the rest is told in between."""


def normal(reason: Reason, message: str, *, about: str = "") -> Event:
    return Event(reason, message, about=about)


def warning(reason: Reason, message: str) -> Event:
    return Event(reason, message, EventType.WARNING)


def scaled(name: str, revision: int, before: int, after: int) -> Event:
    direction = "up" if after > before else "down"
    return normal(
        Reason.SCALING_REPLICA_SET,
        f"Scaled {direction} ReplicaSet {name} (revision {revision}): {before} → {pods(after)}",
        about=name,
    )


def pods(count: int) -> str:
    return "1 pod" if count == 1 else f"{count} pods"


def in_order(facts: Sequence[Fact], *, first: bool) -> tuple[Fact, ...]:
    """In the order in which things happen. On the `first` deployment Services follow the completion."""
    place = {**_PLACE, Reason.COMPLETED: 4} if first else _PLACE
    return tuple(sorted(facts, key=lambda fact: place.get(_reason(fact), 4)))


def fold(facts: Sequence[Fact], names: Names, *, stepping: bool) -> tuple[Event, ...]:
    """The facts of one plan as they are told; `stepping`: sizes change because of the steps.

    In drop-in mode each is told alone, as tools around Argo Rollouts expect. In our own group one plan
    tells its completed steps in one event, and leaves out what another event says already.
    """
    if names.group != DEFAULT_GROUP:
        return tuple(_steps([f]) if isinstance(f, StepCompleted) else f for f in facts if not _is_ours(f))
    told = {_reason(fact) for fact in facts}
    quiet = {Reason.NOT_COMPLETED, Reason.ROLLOUT_ADDED}
    if stepping or told & _TELLING:
        quiet.add(Reason.SCALING_REPLICA_SET)
    steps = [fact for fact in facts if isinstance(fact, StepCompleted)]
    last = steps[-1] if steps and Reason.COMPLETED not in told else None
    folded: list[Event] = []
    for fact in facts:
        if isinstance(fact, Event) and fact.reason not in quiet:
            folded.append(fact)
        elif fact is last and last is not None:
            folded.append(_steps(steps))
    return tuple(folded)


def _reason(fact: Fact) -> Reason:
    return fact.reason if isinstance(fact, Event) else Reason.STEP_COMPLETED


def _is_ours(fact: Fact) -> bool:
    return _reason(fact) in _OURS


def _steps(completed: Sequence[StepCompleted]) -> Event:
    first, last = completed[0], completed[-1]
    which = f"Step {first.number}" if first is last else f"Steps {first.number} to {last.number}"
    did = ", ".join(fact.step for fact in completed)
    return normal(Reason.STEP_COMPLETED, f"{which} of {last.count} completed: {did}")
