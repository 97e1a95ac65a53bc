"""What watches show of a namespace, frame by frame, in the order in which the API server wrote it.

Each watch is in order by itself; the revision of the storage orders them all. Decides nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from rollouts.api import injected
from rollouts.api.meta import (
    CANARY_STEP_INDEX_LABEL,
    POD_TEMPLATE_HASH_LABEL,
    ROLLOUT_TYPE_LABEL,
    SCALE_DOWN_DEADLINE_ANNOTATION,
    Names,
)
from rollouts.kube import Resource, resources
from tests.conformance.scenario import NAME, Object
from tests.conformance.seen import Run, Seen, Set, Workload, experiment, what

T = TypeVar("T")

GROUP = "rollouts.dev"
NAMES = Names(GROUP)
RESOURCES: Mapping[str, Resource] = {
    "Rollout": resources.rollout(GROUP),
    "ReplicaSet": resources.REPLICA_SET,
    "Deployment": resources.DEPLOYMENT,
    "Service": resources.SERVICE,
    "AnalysisRun": resources.analysis_run(GROUP),
    "Experiment": resources.experiment(GROUP),
    "Event": resources.EVENT,
    "Pod": resources.POD,
}
"""What is filmed; of pods, those that carry a mark."""
MARK = "role"
"""The label by which scenarios mark pods."""


@dataclass(frozen=True, slots=True)
class Frame:
    version: int
    kind: str
    body: Object
    gone: bool = False


@dataclass(slots=True)
class Film:
    """Of one namespace."""

    frames: list[Frame] = field(default_factory=list)
    now: Seen = field(default_factory=lambda: Seen({}))
    more: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, event: str, kind: str, body: Object) -> None:
        if _is_of_an_experiment(body):
            return
        frame = Frame(int(body["metadata"]["resourceVersion"]), kind, body, gone=event == "DELETED")
        self.frames.append(frame)
        self.now = shown(self.now, frame)
        self.more.set()

    @property
    def version(self) -> int:
        """The latest that was shown."""
        return max((frame.version for frame in self.frames), default=0)

    @property
    def versions(self) -> Mapping[str, int]:
        """By hash, as the images of the sets say it."""
        sets = [frame.body for frame in self.frames if frame.kind == "ReplicaSet"]
        return {rs["metadata"]["labels"][POD_TEMPLATE_HASH_LABEL]: _version(rs) for rs in sets}

    async def shows(self, kind: str, version: int) -> None:
        """Until a frame of a kind is so new."""
        while not any(f.kind == kind and f.version >= version for f in reversed(self.frames)):
            self.more.clear()
            await self.more.wait()

    def in_order(self) -> tuple[Frame, ...]:
        return tuple(sorted(self.frames, key=lambda frame: frame.version))

    def observations(self) -> Iterator[Seen]:
        """Everything, after each frame from the one on that shows the Rollout."""
        seen = Seen({})
        for frame in self.in_order():
            seen = shown(seen, frame)
            if seen.rollout:
                yield seen


def shown(seen: Seen, frame: Frame) -> Seen:
    """The whole picture after a frame."""
    body, name = frame.body, frame.body["metadata"]["name"]
    match frame.kind:
        case "Rollout" if name == NAME:
            return replace(seen, rollout=body)
        case "Deployment":
            return replace(seen, workload=Workload(body["spec"]["replicas"], body["metadata"]["generation"]))
        case "ReplicaSet" | "Service" | "AnalysisRun" | "Experiment" | "Pod":
            return _with(seen, frame)
        case _:
            return seen


def _with(seen: Seen, frame: Frame) -> Seen:
    """Of what there are several."""
    match frame.kind:
        case "ReplicaSet":
            return replace(seen, sets=_after(seen.sets, frame, _set))
        case "Service":
            return replace(seen, services=_after(seen.services, frame, _selected))
        case "AnalysisRun" | "Experiment":
            return replace(seen, runs=_after(seen.runs, frame, _run))
        case _:
            return replace(seen, marks=_after(seen.marks, frame, _mark))


def _is_of_an_experiment(body: Object) -> bool:
    """What it does itself is not a Rollout's."""
    return any(owner["kind"] == "Experiment" for owner in body["metadata"].get("ownerReferences") or ())


def _after(known: Mapping[str, T], frame: Frame, read: Callable[[Object], T]) -> Mapping[str, T]:
    name = frame.body["metadata"]["name"]
    left = {key: value for key, value in known.items() if key != name}
    return left if frame.gone else {**left, name: read(frame.body)}


def _version(rs: Object) -> int:
    (container,) = rs["spec"]["template"]["spec"]["containers"]
    return int(container["image"].rpartition(":")[2])


def _mark(body: Object) -> tuple[str, str]:
    labels = body["metadata"]["labels"]
    return labels.get(POD_TEMPLATE_HASH_LABEL, ""), labels[MARK]


def _selected(body: Object) -> str:
    return str(body["spec"].get("selector", {}).get(POD_TEMPLATE_HASH_LABEL, ""))


def _set(body: Object) -> Set:
    metadata, status = body["metadata"], body.get("status") or {}
    annotations = metadata.get("annotations") or {}
    return Set(
        hash=metadata["labels"][POD_TEMPLATE_HASH_LABEL],
        replicas=body["spec"]["replicas"],
        current=status.get("replicas", 0),
        available=status.get("availableReplicas", 0),
        revision=int(annotations[NAMES.revision_annotation]),
        leaving=SCALE_DOWN_DEADLINE_ANNOTATION in annotations,
        apart=injected.away_from(body["spec"]["template"]),
    )


def _run(body: Object) -> Run:
    if body["kind"] == "Experiment":
        return experiment(body["metadata"]["name"], (body.get("status") or {}).get("phase"))
    labels = body["metadata"]["labels"]
    step = labels.get(CANARY_STEP_INDEX_LABEL)
    phase = (body.get("status") or {}).get("phase") or "Running"
    return Run(body["metadata"]["name"], what(labels[ROLLOUT_TYPE_LABEL], step), phase)
