"""An Application and a cluster, through any row of commits, verdicts, refusals, hand edits and restarts.

The decisions are the product's, the cluster is a dictionary. Safety holds after every step; once nothing
happens any more, the cluster holds the target set and no further decision asks for anything.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rollouts.api.application import SyncPolicy, SyncPolicyAutomated
from rollouts.api.application_status import ApplicationStatus, CommitState, OperationPhase
from rollouts.api.git_host import CommitStatus, GitProvider, Revert, Rollback
from rollouts.gitops import comparison, plan, revision
from rollouts.gitops.actions import ApplyObjects, KeepGood, PruneObjects
from rollouts.gitops.hosting import commit_status, reverting
from rollouts.gitops.resources import inventory
from rollouts.gitops.revision import Candidate
from rollouts.gitops.snapshot import DeclaredSet, Snapshot, SourceView, Tokens, Unrenderable
from tests.unit.gitops.builders import (
    NAMES,
    NOW,
    Object,
    application,
    applied,
    config_map,
    declared,
    rollout,
    seen,
)

CONTENTS = 5
PASSES = 30


def objects(content: int) -> list[Object]:
    """The set with this number: a Rollout, its config, and for odd ones one object more."""
    extra = [config_map(f"extra-{content}")] if content % 2 else []
    return [rollout(image=f"web:{content}"), config_map(release=str(content)), *extra]


class Applications(RuleBasedStateMachine):
    self_heal = True

    def __init__(self) -> None:
        super().__init__()
        self.now: datetime = NOW
        self.status = ApplicationStatus()
        self.cluster: dict[tuple[str, str], Object] = {}
        self.version = 1
        self.commits = 0
        self.git: tuple[str, int | None] | None = None
        self.promoted: set[str] = set()
        self.refusing = False
        self.retry = ""
        self.final: set[str] = set()

    # What people, Git, delivery and the world do.

    @rule(content=st.integers(0, CONTENTS - 1))
    def push(self, content: int) -> None:
        self.commits += 1
        self.git = f"main@sha1:{self.commits:040x}", content
        self.settle()

    @rule()
    def push_nonsense(self) -> None:
        self.commits += 1
        self.git = f"main@sha1:{self.commits:040x}", None
        self.settle()

    @precondition(lambda self: self.in_delivery())
    @rule(good=st.booleans())
    def verdict(self, good: bool) -> None:
        """Delivery promotes the Rollout as it is now, or aborts it."""
        body = self.cluster["Rollout", "web"]
        generation = str(body["metadata"]["generation"])
        status = {"observedGeneration": generation, "currentPodHash": "new"}
        if good:
            self.promoted.add(self.image(body))
            body["status"] = {**status, "phase": "Healthy", "stableRS": "new"}
        else:
            why = {"reason": "AnalysisFailed", "message": "bad"}
            body["status"] = {
                **status,
                "phase": "Degraded",
                "stableRS": "old",
                "abort": True,
                "abortReason": why,
            }
        self.settle()

    @rule(refusing=st.booleans())
    def admission(self, refusing: bool) -> None:
        self.refusing = refusing
        self.settle()

    @precondition(lambda self: self.cluster)
    @rule(data=st.data(), delete=st.booleans())
    def edit_by_hand(self, data: st.DataObject, delete: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.cluster)))
        if delete:
            del self.cluster[key]
        else:
            body = self.cluster[key]
            self.store({**body, "metadata": {**body["metadata"], "labels": {}}})
        self.settle()

    @rule(seconds=st.sampled_from([1, 60, 3600]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        self.settle()

    @precondition(lambda self: self.git is not None)
    @rule()
    def ask_for_a_retry(self) -> None:
        self.retry = str(int(self.retry or "0") + 1)
        assert self.git is not None
        self.final.discard(f"digest-{self.git[1]}")
        self.settle()

    # How the controller answers.

    def settle(self) -> None:
        """Decide and do until nothing more is asked for."""
        for _ in range(PASSES):
            if not self.step():
                return
        raise AssertionError("it does not come to rest")

    def step(self) -> bool:
        if self.git is None:
            return False  # Git has not been asked yet.
        s = self.snapshot()
        decided = plan.decide(s)
        match decided.action:
            case ApplyObjects() as action:
                decided = self.apply(s, action) or decided
            case PruneObjects() as action:
                gone = tuple(found.key for found in action.objects)
                assert self.image(self.cluster["Rollout", "web"]) in self.promoted, "pruned too early"
                for key in gone:
                    del self.cluster[key.kind, key.name]
                decided = plan.pruned(s, gone, "")
            case KeepGood(good):
                assert s.target is not None
                assert good.digest == s.target.digest
        if decided.writes_status:
            self.status = decided.status
            for entry in decided.status.quarantine:
                if entry.digest and entry.retry_at is None:
                    self.final.add(entry.digest)
        return decided.again

    def apply(self, s: Snapshot, action: ApplyObjects) -> Any:
        assert s.target is not None
        assert s.target.converge, "what failed first is left as it is"
        assert s.target.digest not in self.final, "a quarantined set is never applied"
        if self.refusing and action.as_one:
            return plan.rejected(s, "denied by policy")
        for change in action.changes:
            self.store(dict(change.body))
        return None

    def store(self, body: Object) -> None:
        """A write: delivery has not seen a new spec yet, and knows an old stable one at once."""
        key = body["kind"], body["metadata"]["name"]
        self.version += 1
        old = self.cluster.get(key)
        metadata = {
            k: v for k, v in body["metadata"].items() if k not in ("managedFields", "resourceVersion")
        }
        stored = applied({**body, "metadata": {**metadata, "labels": metadata.get("labels") or {}}})
        if body["metadata"].get("labels") == {}:
            stored["metadata"]["managedFields"] = []
        stored["metadata"]["resourceVersion"] = str(self.version)
        is_same = old is not None and old["spec"] == stored["spec"] if "spec" in stored else True
        stored["metadata"]["generation"] = old["metadata"]["generation"] + (not is_same) if old else 1
        stored["status"] = old.get("status", {}) if old and is_same else {}
        if body["kind"] == "Rollout" and self.image(stored) in self.promoted:
            generation = str(stored["metadata"]["generation"])
            stored["status"] = {
                "observedGeneration": generation,
                "phase": "Healthy",
                "stableRS": "new",
                "currentPodHash": "new",
            }
        self.cluster[key] = stored

    def snapshot(self) -> Snapshot:
        policy = SyncPolicy(SyncPolicyAutomated(prune=True, self_heal=self.self_heal))
        app = application(self.status, sync_policy=policy)
        source = SourceView()
        if self.git:
            name, content = self.git
            source = (
                SourceView(unrenderable=Unrenderable(name, "x.yaml:1: nonsense"))
                if content is None
                else SourceView(Candidate(name, f"digest-{content}"))
            )
        tokens = Tokens(retry=self.retry if self.retry != self.status.last_handled_retry_at else "")
        state = plan.begin(revision.from_status(self.status), source, tokens, spec=app.spec, now=self.now)
        target = revision.target(state)
        wanted = objects(int(target.digest.removeprefix("digest-"))) if target else []
        return Snapshot(
            app,
            NAMES,
            self.now,
            state,
            source,
            tokens,
            target=target,
            declared=DeclaredSet(tuple(declared(o) for o in wanted)),
            inventory=inventory.parse(self.status.inventory),
            live={found.key: found for found in map(seen, self.cluster.values())},
        )

    def in_delivery(self) -> bool:
        body = self.cluster.get(("Rollout", "web"))
        return body is not None and body["status"].get("phase") not in ("Healthy", "Degraded")

    @staticmethod
    def image(body: Object) -> str:
        return str(body["spec"]["template"]["spec"]["containers"][0]["image"])

    # What must be true at any time.

    @invariant()
    def the_git_host_hears_the_truth(self) -> None:
        """Of success only where all is promoted; of a revert only for what is refused for good."""
        told = commit_status.due(application(self.status, commit_status=CommitStatus(GitProvider.GITHUB)))
        if told and told.state is CommitState.SUCCESS:
            assert told.revision == self.status.last_good_revision
        asked = reverting.due(application(self.status, rollback=Rollback(Revert.BRANCH)))
        if asked:
            assert self.git is not None
            assert (asked.bad, asked.entry.digest) == (self.git[0], f"digest-{self.git[1]}")
            assert asked.entry.digest in self.final
            assert asked.good_digest != asked.entry.digest

    @invariant()
    def a_decision_at_rest_asks_for_nothing(self) -> None:
        before = self.status
        assert not self.step()
        assert self.status == before

    @invariant()
    def the_last_good_revision_was_promoted(self) -> None:
        if self.status.last_good_digest:
            content = self.status.last_good_digest.removeprefix("digest-")
            assert f"web:{content}" in self.promoted

    @invariant()
    def nothing_in_the_cluster_is_unknown(self) -> None:
        known = {e.id for e in self.status.inventory.entries}
        for kind, name in self.cluster:
            group = "rollouts.dev" if kind == "Rollout" else ""
            assert f"prod_{name}_{group}_{kind}" in known

    @invariant()
    def what_is_settled_is_what_the_cluster_holds(self) -> None:
        s = self.snapshot()
        if s.target is None or not comparison.is_settled(s.revisions):
            return
        wanted = {(o["kind"], o["metadata"]["name"]) for o in objects(int(s.target.digest[-1]))}
        assert wanted == set(self.cluster)
        assert self.image(self.cluster["Rollout", "web"]) == f"web:{s.target.digest[-1]}"

    @invariant()
    def one_attempt_is_open_only_for_what_git_says(self) -> None:
        operation = self.status.operation_state
        if operation and operation.phase is OperationPhase.RUNNING and self.git and self.git[1] is not None:
            assert operation.sync_result.revision == self.git[0]


class WithoutSelfHeal(Applications):
    """Nobody edits by hand, and nothing but the revisions themselves may bring the cluster about."""

    self_heal = False
    edit_by_hand = None  # type: ignore[assignment]


_SETTINGS = settings(max_examples=150, stateful_step_count=25, deadline=None)
Applications.TestCase.settings = _SETTINGS
WithoutSelfHeal.TestCase.settings = _SETTINGS
TestApplications = Applications.TestCase
TestWithoutSelfHeal = WithoutSelfHeal.TestCase
