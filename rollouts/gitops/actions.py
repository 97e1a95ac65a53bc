"""What a decision about an Application may ask for, and the Plan that holds it.

Data only. `controller.applications` carries the action out, then writes the status if it differs; a crash
in between leaves a state from which the next decision ends in the same place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from rollouts.api.application_status import ApplicationStatus
from rollouts.gitops.resources.diff import Change
from rollouts.gitops.resources.live import Live
from rollouts.gitops.revision import Good


class EventType(StrEnum):
    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True)
class Event:
    """A core/v1 Event on the Application: one fact, in the past tense."""

    reason: StrEnum
    message: str
    type: EventType = EventType.NORMAL


@dataclass(frozen=True, slots=True)
class ApplyObjects:
    """Apply the changes of one stage.

    `as_one`: all of them are tried without effect first, and one refusal refuses them all (a commit is a
    transaction). Otherwise each stands for itself: one that is refused does not keep the others from
    being put right.
    """

    changes: tuple[Change, ...]
    as_one: bool
    create_namespace: str = ""
    confidential: bool = False
    """Values of Secrets are in them: what is refused is told without values."""


@dataclass(frozen=True, slots=True)
class PruneObjects:
    """Delete, in this order."""

    objects: tuple[Live, ...]


@dataclass(frozen=True, slots=True)
class RunHooks:
    """Delete hooks that are done with or in the way, then create those that are due."""

    bodies: tuple[Mapping[str, Any], ...]
    remove: tuple[Live, ...] = ()
    create_namespace: str = ""
    confidential: bool = False


@dataclass(frozen=True, slots=True)
class KeepGood:
    """Make sure that this revision can be put back even when Git is down: before the status calls it good."""

    good: Good


Action = ApplyObjects | PruneObjects | RunHooks | KeepGood


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, the status that goes with it, and when to look again by itself.

    The status is written after the action, and only if it differs. `writes_status` is False where the
    action alone changes the picture and the next look will tell.
    """

    status: ApplicationStatus
    action: Action | None = None
    events: tuple[Event, ...] = ()
    requeue_at: datetime | None = None
    again: bool = False
    writes_status: bool = True
