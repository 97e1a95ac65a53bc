"""What is to be seen of a Rollout and of what it owns, however it was observed; and its words for scenarios.

`state` is what a chapter's `then` is compared with; `phases` and `reasons` say what happened on the way.
Both players give their observations as `Seen`. Decides nothing about what is right; `invariants` does.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.conformance.scenario import Object

_NONE = "-"
_OVER = ("Successful", "Failed", "Error", "Inconclusive")
_STEPS = re.compile(r"Steps? (\d+)(?: to (\d+))? of")
_UNCOUNTED = frozenset({"ScalingReplicaSet", "TrafficWeightUpdated", "AnalysisRunRunning"})
"""How many sizes and shares are gone through depends on how fast pods come up; the counts say where it ends. And an
analysis may be over before anybody has seen it run."""


@dataclass(frozen=True, slots=True)
class Set:
    """A ReplicaSet."""

    hash: str
    replicas: int
    current: int
    available: int
    revision: int
    leaving: bool
    """It has a scale-down deadline."""
    apart: str = ""
    """The hash from whose pods its own keep away (antiAffinity)."""

    @property
    def counted(self) -> str | int:
        if self.replicas == self.current == self.available:
            return self.replicas
        return f"{self.replicas} ({self.current} there, {self.available} available)"


@dataclass(frozen=True, slots=True)
class Run:
    """An AnalysisRun, or an Experiment: what it is for and how it stands."""

    name: str
    what: str
    phase: str


@dataclass(frozen=True, slots=True)
class Workload:
    """The Deployment that the template is taken from."""

    replicas: int
    generation: int


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything at one instant."""

    rollout: Object
    """Its JSON: spec and status."""
    sets: Mapping[str, Set] = field(default_factory=dict)
    services: Mapping[str, str] = field(default_factory=dict)
    """Name -> the hash that it selects."""
    runs: Mapping[str, Run] = field(default_factory=dict)

    marks: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Pods that carry a mark -> their hash and the mark."""
    workload: Workload | None = None

    @property
    def status(self) -> Object:
        return self.rollout.get("status") or {}


def state(seen: Seen, versions: Mapping[str, int]) -> Object:
    """In the words of a scenario; what there is nothing of is left out. `versions` is by hash."""
    status = seen.status
    found: Object = {
        "phase": status.get("phase"),
        "step": status.get("step"),
        "pods": {versions[s.hash]: s.counted for s in _in_order(seen) if s.replicas or s.current},
        "workload": seen.workload and seen.workload.replicas,
        "revisions": {versions[s.hash]: s.revision for s in _in_order(seen)},
        "marks": {versions[s.hash]: found for s in _in_order(seen) if (found := _marks(seen, s))},
        "apart": {versions[s.hash]: versions[s.apart] for s in _in_order(seen) if s.apart},
        "leaving": [versions[s.hash] for s in _in_order(seen) if s.leaving],
        "weights": _weights(status, versions),
        "serves": {name: versions.get(h, h or _NONE) for name, h in sorted(seen.services.items())},
        "stable": versions.get(status.get("stableRS", ""), _NONE),
        "pause": [p["reason"] for p in status.get("pauseConditions") or ()],
        "runs": [f"{run.what}: {run.phase}" for _, run in sorted(seen.runs.items())],
        "aborted": _abort(status),
        "restarted": _restarted(seen.rollout),
        "ended": (status.get("duration") or {}).get("completionStatus"),
    }
    return {key: value for key, value in found.items() if value not in (None, "", {}, [])}


def settled(seen: Seen) -> bool:
    """The controller has seen the latest spec, and the ReplicaSet controller the latest sizes.

    A status goes last: what was done before it is in it.
    """
    observed = seen.status.get("observedGeneration") == str(seen.rollout["metadata"]["generation"])
    if observed and _is_between_shares(seen.status):
        return False
    recorded = {**dict(_recorded(seen.status)), **_conducted(seen)}
    known = all(recorded.get(run.name) == run.phase for run in seen.runs.values() if _matters(run, recorded))
    followed = not seen.workload or _follows(seen.status, seen.workload)
    return observed and followed and known and all(s.current == s.replicas for s in seen.sets.values())


def _is_between_shares(status: Object) -> bool:
    """Promoted, and a router still to be told that nobody is a canary any more: the stable Service moves first."""
    weights = (status.get("canary") or {}).get("weights") or {}
    return status.get("phase") == "Healthy" and bool(weights.get("canary", {}).get("weight"))


def _follows(status: Object, workload: Workload) -> bool:
    return bool(status.get("workloadObservedGeneration") == str(workload.generation))


def _recorded(status: Object) -> Iterator[tuple[str, str]]:
    """Runs that a status names, and the phase that it says."""
    for part in (status.get(name) or {} for name in ("canary", "blueGreen", "bake")):
        yield from (
            (run["name"], run["status"]) for key, run in part.items() if key.lower().endswith("runstatus")
        )


def _conducted(seen: Seen) -> Mapping[str, str]:
    """The Experiment that a status names goes on; others have ended."""
    named = (seen.status.get("canary") or {}).get("currentExperiment")
    return {named: seen.runs[named].phase} if named in seen.runs else {}


def _matters(run: Run, recorded: Mapping[str, str]) -> bool:
    return run.name in recorded or run.phase not in _OVER


def phases(statuses: Iterable[Object]) -> tuple[str, ...]:
    """What a watch would show, one after the other: phase and step."""
    told = (f"{s['phase']} {s.get('step', '')}".strip() for s in statuses if s.get("phase"))
    return tuple(phase for phase, _ in itertools.groupby(told))


def reasons(events: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Reasons of (reason, message), with the number of the step where one was completed."""
    return tuple(word for reason, message in events for word in _words(reason, message))


def _words(reason: str, message: str) -> Iterator[str]:
    told = _STEPS.match(message)
    if reason in _UNCOUNTED:
        return
    if told is None:
        yield reason
        return
    yield from (f"{reason} {n}" for n in range(int(told[1]), int(told[2] or told[1]) + 1))


def _in_order(seen: Seen) -> list[Set]:
    return sorted(seen.sets.values(), key=lambda s: s.revision)


def _weights(status: Object, versions: Mapping[str, int]) -> dict[int, int]:
    weights = (status.get("canary") or {}).get("weights") or {}
    found: dict[int, int] = {}
    for side in ("stable", "canary"):
        pod_hash, weight = (
            weights.get(side, {}).get("podTemplateHash", ""),
            weights.get(side, {}).get("weight"),
        )
        if weight and pod_hash in versions:
            found[versions[pod_hash]] = found.get(versions[pod_hash], 0) + weight
    return found


def _marks(seen: Seen, rs: Set) -> Any:
    """The mark of a set's pods, where all of them carry the same."""
    carried = [mark for pod_hash, mark in seen.marks.values() if pod_hash == rs.hash]
    if len(set(carried)) == 1 and len(carried) == rs.current:
        return carried[0]
    return sorted(carried)


def _restarted(rollout: Object) -> bool | None:
    """`None`: nobody has asked."""
    asked = rollout["spec"].get("restartAt")
    return asked and asked == rollout.get("status", {}).get("restartedAt")


def _abort(status: Object) -> Any:
    if not status.get("abort"):
        return None
    reason = status.get("abortReason") or {}
    return {key: reason[key] for key in ("step", "metric") if reason.get(key) not in (None, "")} or True


def experiment(name: str, phase: str | None) -> Run:
    """Its name is that of the Rollout, hash, revision, step and attempt."""
    return Run(name, what("Experiment", name.split("-")[3]), phase or "Pending")


def what(kind: str, step: int | str | None) -> str:
    """What a run is for."""
    return kind if step is None else f"{kind} {step}"
