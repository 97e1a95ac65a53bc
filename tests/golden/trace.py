"""Records the life of a Rollout as lines a reviewer can read: what happened, was seen, done, told, left."""

from __future__ import annotations

from typing import Any

from rollouts.delivery import actions
from rollouts.delivery.actions import Plan
from tests import status_linter
from tests.fakes import Behaviour, FakeCluster


class Trace:
    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster
        self.lines: list[dict[str, Any]] = []

    def happens(self, what: str, *, ready: Behaviour = lambda version: True) -> None:
        """Everything that follows from one event, plan by plan, until nothing changes."""
        self.lines.append({"event": what})
        while True:
            before = self.cluster.state()
            while self._decides():
                pass
            self.cluster.replica_set_controller()
            self._decides()
            self.cluster.make_ready(ready)
            if self.cluster.state() == before:
                return

    def _decides(self) -> bool:
        sees = self._sees()
        decided = self.cluster.decide()
        if not decided.actions and decided.status == self.cluster.status:
            return False
        self.cluster.apply(decided)
        status_linter.lint(self.cluster.rollout)
        self.lines.append({"sees": sees, **_shown(decided), "status": self._status()})
        return True

    def _sees(self) -> dict[str, str]:
        """pods available/existing of asked, by version."""
        return {
            rs.hash.removeprefix("hash-"): f"{rs.available}/{len(rs.pods)} of {rs.replicas}"
            for rs in self.cluster.sets.values()
            if rs.replicas or rs.pods
        }

    def _status(self) -> str:
        status = self.cluster.status
        shown = [status.phase or "", status.step, status.message]
        return " | ".join(part for part in shown if part)


def _shown(decided: Plan) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if decided.actions:
        shown["does"] = [_action(action) for action in decided.actions]
    if decided.events:
        shown["tells"] = [f"{event.reason}: {event.message}" for event in decided.events]
    return shown


def _action(action: actions.Action) -> str:  # noqa: PLR0911 - one arm an action
    match action:
        case actions.CreateReplicaSet():
            return f"create ReplicaSet {action.name} revision {action.revision} with {action.replicas} pods"
        case actions.PatchReplicaSet():
            size = [] if action.replicas is None else [f"{action.replicas} pods"]
            marks = [f"{key.rpartition('/')[2]}={value}" for key, value in action.annotations.items()]
            return f"patch ReplicaSet {action.name}: {', '.join(size + marks)}"
        case actions.DeleteReplicaSet():
            return f"delete ReplicaSet {action.name}"
        case actions.SwitchService():
            return f"switch Service {action.name} to {action.pod_template_hash}"
        case actions.CreateAnalysisRun():
            return f"create AnalysisRun {action.name}"
        case actions.TerminateAnalysisRun():
            return f"terminate AnalysisRun {action.name}"
        case actions.DeleteAnalysisRun():
            return f"delete AnalysisRun {action.name}"
        case actions.EvictPod():
            return f"evict Pod {action.name}"
