"""What `plan.decide` sees of an Application: plain values, gathered by `controller.applications`.

Decides nothing. Every instant is UTC and aware; `now` is part of the snapshot, there is no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from rollouts.api.application import Application
from rollouts.api.application_status import ApplicationReason
from rollouts.api.meta import Names
from rollouts.gitops.gates import Gate
from rollouts.gitops.resources.hooks import Hook
from rollouts.gitops.resources.live import Live
from rollouts.gitops.resources.manifests import Manifest, ObjectKey
from rollouts.gitops.revision import Candidate, Revisions, Target


@dataclass(frozen=True, slots=True)
class SourceFailure:
    """Why Git could not be read."""

    reason: ApplicationReason
    message: str


@dataclass(frozen=True, slots=True)
class Unrenderable:
    """A revision that does not render."""

    revision: str
    message: str


@dataclass(frozen=True, slots=True)
class SourceView:
    """What Git says: a candidate, or a commit that does not render; `failure` if it was not reachable.

    All empty: it has not been asked yet.
    """

    candidate: Candidate | None = None
    unrenderable: Unrenderable | None = None
    failure: SourceFailure | None = None
    recorded: Candidate | None = None
    """What the record in Git calls good, where no revision is known to be good here yet."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Values of the annotations by which people ask for something; empty where there is nothing new."""

    refresh: str = ""
    sync: str = ""
    retry: str = ""
    rollback: str = ""


@dataclass(frozen=True, slots=True)
class Healing:
    """How often an object had to be healed lately: somebody may be fighting with us."""

    times: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class DeclaredSet:
    """The target set with every object in its place, or why it cannot be had."""

    manifests: tuple[Manifest, ...] = ()
    hooks: tuple[Hook, ...] = ()
    ignored: frozenset[ObjectKey] = frozenset()
    """Objects of the set that ask to be left alone."""
    autoscaled: frozenset[ObjectKey] = frozenset()
    """Objects whose replicas an autoscaler of the set, or a Rollout that takes their pods over, looks after."""
    refusal: str = ""
    """The set can be had, but not be applied: a kind that the API server does not know, a duplicate."""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that one decision may look at."""

    application: Application
    names: Names
    now: datetime
    revisions: Revisions
    source: SourceView = field(default_factory=SourceView)
    tokens: Tokens = field(default_factory=Tokens)
    gate: Gate | None = None
    """What keeps new revisions from being synced for now."""
    target: Target | None = None
    declared: DeclaredSet = field(default_factory=DeclaredSet)
    inventory: Mapping[ObjectKey, str] = field(default_factory=dict)
    live: Mapping[ObjectKey, Live] = field(default_factory=dict)
    claimed: Mapping[ObjectKey, str] = field(default_factory=dict)
    """Objects that another Application declares, with its name."""
    equal: frozenset[tuple[str, str]] = frozenset()
    """Fingerprints of differences that the API server found to be none."""
    healings: Mapping[ObjectKey, Healing] = field(default_factory=dict)

    @property
    def owner(self) -> tuple[str, str]:
        return self.application.metadata.namespace, self.application.metadata.name
