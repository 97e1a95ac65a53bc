"""What happens next, from what is seen: apply, judge, put back, heal, prune."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from rollouts.api.application import Application, SyncPolicy, SyncPolicyAutomated
from rollouts.api.application_status import ApplicationReason, ApplicationStatus, HealthStatus, SyncStatus
from rollouts.gitops import plan
from rollouts.gitops.actions import ApplyObjects, KeepGood, Plan, PruneObjects
from rollouts.gitops.snapshot import DeclaredSet, Snapshot, SourceFailure, SourceView, Tokens
from tests.unit.gitops.builders import (
    NOW,
    A,
    B,
    C,
    Object,
    after,
    application,
    applied,
    config_map,
    rollout,
    snapshot,
    with_manager,
)

OLD, NEW = config_map(color="blue"), config_map(color="red")
EXTRA = config_map("extra")
SETS: dict[str, list[Object]] = {A: [OLD], B: [NEW, EXTRA], C: []}


def ready(status: ApplicationStatus) -> tuple[str, str]:
    found = next(c for c in status.conditions if c.type == "Ready")
    return found.status, found.reason


def applied_names(decided: Plan) -> list[str]:
    assert isinstance(decided.action, ApplyObjects)
    return [c.manifest.key.name for c in decided.action.changes]


def running_at_a(**policy: Any) -> Application:
    """A is deployed and good."""
    app = application(
        sync_policy=SyncPolicy(SyncPolicyAutomated(**{"prune": True, "self_heal": True, **policy}))
    )
    empty = snapshot(SETS, git=A, live_objects=[], app=app)
    recorded = after(empty, plan.decide(empty).status)
    there = snapshot(SETS, git=A, live_objects=[applied(OLD)], app=recorded)
    return after(there, plan.decide(there).status)


def see(app: Application, *, git: str, live: list[Object], **more: Any) -> tuple[Snapshot, Plan]:
    s = snapshot(SETS, git=git, live_objects=live, app=app, **more)
    return s, plan.decide(s)


def test_new_objects_are_recorded_before_they_are_applied() -> None:
    _, decided = see(application(), git=A, live=[])

    assert decided.action is None
    assert decided.again
    assert [e.id for e in decided.status.inventory.entries] == ["prod_settings__ConfigMap"]


def test_recorded_objects_are_applied_as_one() -> None:
    s, decided = see(application(), git=A, live=[])

    _, decided = see(after(s, decided.status), git=A, live=[])

    assert applied_names(decided) == ["settings"]
    assert isinstance(decided.action, ApplyObjects)
    assert decided.action.as_one


def test_what_is_applied_and_healthy_is_kept_and_called_good() -> None:
    s, decided = see(application(), git=A, live=[])

    _, decided = see(after(s, decided.status), git=A, live=[applied(OLD)])

    assert isinstance(decided.action, KeepGood)
    status = decided.status
    assert status.last_good_revision == status.running_revision == A
    assert ready(status) == ("True", "ReconciliationSucceeded")
    assert status.sync.status is SyncStatus.SYNCED
    assert [e.reason for e in decided.events] == ["RevisionPromoted"]


def test_a_good_revision_that_is_in_place_leaves_nothing_to_do() -> None:
    app = running_at_a()

    _, decided = see(app, git=A, live=[applied(OLD)])

    assert decided.action is None
    assert decided.status == app.status
    assert not decided.again


def test_a_commit_that_changes_no_object_is_only_named() -> None:
    app = running_at_a()
    same = {**SETS, "main@sha1:" + "d" * 39 + "a": [OLD]}
    name = "main@sha1:" + "d" * 39 + "a"

    s = snapshot(same, git=name, live_objects=[applied(OLD)], app=app)
    decided = plan.decide(s)

    assert decided.action is None
    assert decided.status.desired_revision == decided.status.running_revision == name
    assert decided.events == ()


def test_objects_of_the_last_good_revision_stay_until_the_new_one_is_promoted() -> None:
    app = running_at_a()
    sets = {**SETS, B: [rollout()]}
    there = applied(rollout(), status={"observedGeneration": "1", "phase": "Progressing"})
    s = snapshot(sets, git=B, live_objects=[applied(OLD)], app=app)
    recorded = after(s, plan.decide(s).status)

    waiting = plan.decide(snapshot(sets, git=B, live_objects=[applied(OLD), there], app=recorded))

    assert waiting.action is None or isinstance(waiting.action, ApplyObjects)
    assert ready(waiting.status)[0] == "Unknown"

    promoted = {"observedGeneration": "1", "phase": "Healthy", "stableRS": "x", "currentPodHash": "x"}
    done = _marked(rollout(), promoted)
    good = snapshot(sets, git=B, live_objects=[applied(OLD), done], app=recorded)
    decided = plan.decide(good)
    assert isinstance(decided.action, KeepGood)
    settled = snapshot(sets, git=B, live_objects=[applied(OLD), done], app=after(good, decided.status))
    pruning = plan.decide(settled).action
    assert isinstance(pruning, PruneObjects)
    assert [o.key.name for o in pruning.objects] == ["settings"]


def test_a_refused_commit_is_quarantined_and_tried_again_later() -> None:
    app = running_at_a()
    s, _ = see(app, git=B, live=[applied(OLD)])

    refused = plan.rejected(s, "ConfigMap extra: denied by policy")

    assert refused.status.quarantine[0].retry_at == NOW + timedelta(seconds=30)
    assert ready(refused.status) == ("False", "ApplyRejected")
    assert {c.type for c in refused.status.conditions} == {"Ready", "Reconciling"}
    s, decided = see(after(s, refused.status), git=B, live=[applied(OLD)])
    assert decided.action is None
    later = NOW + timedelta(seconds=31)
    s, recorded = see(after(s, decided.status), git=B, live=[applied(OLD)], now=later)
    assert ready(recorded.status) == ("False", "ApplyRejected")
    _, again = see(after(s, recorded.status), git=B, live=[applied(OLD)], now=later)
    assert applied_names(again) == ["settings", "extra"]


def test_a_failed_revision_is_put_back_as_a_whole() -> None:
    app = _failed_at_b()
    live = [applied(NEW), applied(EXTRA)]

    s, back = see(app, git=B, live=live)

    assert applied_names(back) == ["settings"]
    assert isinstance(back.action, ApplyObjects)
    assert not back.action.as_one
    s, restored = see(app, git=B, live=[applied(OLD), applied(EXTRA)])
    assert restored.status.quarantine[0].restored_at == NOW
    assert restored.status.running_revision == A
    assert "RolledBack" in [e.reason for e in restored.events]
    _, cleaned = see(after(s, restored.status), git=B, live=[applied(OLD), applied(EXTRA)])
    assert isinstance(cleaned.action, PruneObjects)
    assert [o.key.name for o in cleaned.action.objects] == ["extra"]


def test_a_quarantined_revision_is_out_of_sync_not_ready_and_healthy() -> None:
    s, restored = see(_failed_at_b(), git=B, live=[applied(OLD)])

    _, decided = see(after(s, restored.status), git=B, live=[applied(OLD)])

    status = decided.status
    assert (status.sync.status, status.sync.reason) == (SyncStatus.OUT_OF_SYNC, "RevisionQuarantined")
    assert ready(status) == ("False", "RevisionQuarantined")
    assert status.health.status is HealthStatus.HEALTHY
    assert (status.desired_revision, status.running_revision) == (B, A)
    assert decided.action is None
    assert decided.requeue_at is None


def test_a_retry_is_answered_once() -> None:
    s, restored = see(_failed_at_b(), git=B, live=[applied(OLD)])
    app = after(s, restored.status)

    s, again = see(app, git=B, live=[applied(OLD)], tokens=Tokens(retry="1"))

    assert applied_names(again) == ["settings", "extra"]
    assert again.status.last_handled_retry_at == "1"


def test_objects_that_stay_unhealthy_time_out() -> None:
    sets = {**SETS, B: [_pod()]}
    app = running_at_a()
    s = snapshot(sets, git=B, live_objects=[applied(OLD)], app=app)
    recorded = after(s, plan.decide(s).status)
    live = [applied(OLD), applied(_pod(), status={"phase": "Pending"})]

    s = snapshot(sets, git=B, live_objects=live, app=recorded)
    waiting = plan.decide(s)
    assert waiting.requeue_at == NOW + timedelta(minutes=5)

    late = NOW + timedelta(minutes=5)
    decided = plan.decide(snapshot(sets, git=B, live_objects=live, app=after(s, waiting.status), now=late))

    entry = decided.status.quarantine[0]
    assert entry.reason == "HealthTimeout"
    assert "Pod prod/late" in entry.message


def test_a_rollout_that_takes_its_time_does_not_time_out() -> None:
    sets = {**SETS, B: [rollout()]}
    app = running_at_a()
    s = snapshot(sets, git=B, live_objects=[applied(OLD)], app=app)
    recorded = after(s, plan.decide(s).status)
    paused = _marked(rollout(), {"observedGeneration": "1", "phase": "Paused", "message": "CanaryPauseStep"})

    tomorrow = NOW + timedelta(days=1)
    decided = plan.decide(
        snapshot(sets, git=B, live_objects=[applied(OLD), paused], app=recorded, now=tomorrow)
    )

    assert decided.status.quarantine == ()
    assert decided.requeue_at is None
    assert decided.status.running_revision == A


def test_an_empty_commit_is_refused_unless_it_is_allowed() -> None:
    _, refused = see(running_at_a(), git=C, live=[applied(OLD)])
    assert "would prune all 1" in refused.status.quarantine[0].message

    _, allowed = see(running_at_a(allow_empty=True), git=C, live=[applied(OLD)])
    assert isinstance(allowed.action, KeepGood)


def test_drift_is_healed_where_the_policy_says_so() -> None:
    drifted = applied(OLD)
    drifted["data"]["color"] = "by hand"

    _, healing = see(running_at_a(), git=A, live=[drifted])
    assert applied_names(healing) == ["settings"]

    _, watching = see(running_at_a(self_heal=False), git=A, live=[drifted])
    assert watching.action is None
    assert ready(watching.status) == ("False", "OutOfSync")
    assert "settings" in next(c.message for c in watching.status.conditions)


def test_an_object_that_somebody_keeps_changing_is_healed_ever_more_rarely() -> None:
    drifted = applied(OLD)
    drifted["data"]["color"] = "by another"
    s, _ = see(running_at_a(), git=A, live=[drifted])
    key = next(iter(s.live))
    healings = s.healings
    for _ in range(6):
        healings = plan.healed(healings, [key], NOW)

    decided = plan.decide(replace(s, healings=healings))

    assert decided.action is None
    assert decided.requeue_at == NOW + timedelta(seconds=8)


def test_a_difference_that_the_api_server_found_to_be_none_is_left_alone() -> None:
    drifted = applied(OLD)
    drifted["data"]["color"] = "defaulted"
    s, healing = see(running_at_a(), git=A, live=[drifted])
    assert isinstance(healing.action, ApplyObjects)

    equal = frozenset({healing.action.changes[0].fingerprint})

    assert plan.decide(replace(s, equal=equal)).action is None


def test_a_set_that_cannot_be_applied_is_missing_even_where_nothing_else_is_declared() -> None:
    s, _ = see(application(), git=A, live=[])
    refused = replace(s, declared=DeclaredSet(refusal="a.yaml:1: the API server has no kind Foo"))

    decided = plan.decide(refused)

    assert decided.status.health.status == "Missing"
    assert "no kind Foo" in decided.status.quarantine[0].message


def test_an_object_of_another_application_is_refused() -> None:
    foreign = applied(EXTRA)
    foreign["metadata"]["labels"] = {
        key: value.replace("shop", "other") for key, value in foreign["metadata"]["labels"].items()
    }
    s, _ = see(running_at_a(), git=B, live=[applied(OLD), foreign])
    key = next(k for k in s.live if k.name == "extra")

    decided = plan.decide(replace(s, claimed={key: "prod/other"}))

    assert "belongs to Application prod/other" in decided.status.quarantine[0].message


def test_an_object_that_another_application_declares_by_now_is_not_pruned() -> None:
    app = running_at_a()
    s, _ = see(app, git=A, live=[applied(OLD), applied(EXTRA)])
    key = next(k for k in s.live if k.name == "extra")

    assert isinstance(plan.decide(s).action, PruneObjects)
    assert plan.decide(replace(s, claimed={key: "prod/other"})).action is None


def test_a_protected_object_is_not_pruned_and_stays_in_the_inventory() -> None:
    kept = {**EXTRA, "metadata": {**EXTRA["metadata"], "annotations": {"rollouts.dev/prune": "disabled"}}}

    _, decided = see(running_at_a(), git=A, live=[applied(OLD), applied(kept)])

    assert decided.action is None
    assert [e.id for e in decided.status.inventory.entries] == [
        "prod_extra__ConfigMap",
        "prod_settings__ConfigMap",
    ]
    assert ready(decided.status)[0] == "True"


def test_what_could_not_be_deleted_stays_in_the_inventory_and_is_said() -> None:
    s, _ = see(running_at_a(), git=A, live=[applied(OLD), applied(EXTRA)])

    decided = plan.pruned(s, (), "ConfigMap extra cannot be deleted: forbidden")

    assert len(decided.status.inventory.entries) == 2
    assert ready(decided.status) == ("False", "ReconciliationFailed")


def test_definitions_and_namespaces_come_first_and_are_waited_for() -> None:
    definition: Object = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.org"},
        "spec": {"group": "example.org"},
    }
    sets = {A: [OLD, definition]}
    s = snapshot(sets, git=A, live_objects=[])
    recorded = after(s, plan.decide(s).status)

    first = plan.decide(snapshot(sets, git=A, live_objects=[], app=recorded))
    assert applied_names(first) == ["things.example.org"]

    pending = plan.decide(snapshot(sets, git=A, live_objects=[applied(definition)], app=recorded))
    assert pending.action is None

    established = applied(definition, status={"conditions": [{"type": "Established", "status": "True"}]})
    then = plan.decide(snapshot(sets, git=A, live_objects=[established], app=recorded))
    assert applied_names(then) == ["settings"]


def test_without_automated_sync_nothing_happens_until_it_is_asked_for() -> None:
    app = application(sync_policy=SyncPolicy())

    s, waiting = see(app, git=A, live=[])
    assert waiting.action is None
    assert ready(waiting.status) == ("False", "OutOfSync")

    s, asked = see(after(s, waiting.status), git=A, live=[], tokens=Tokens(sync="1"))
    assert asked.status.last_handled_sync_at == "1"
    _, doing = see(after(s, asked.status), git=A, live=[])
    assert applied_names(doing) == ["settings"]


def test_a_hand_edit_of_kubectl_is_named_in_the_event_of_its_correction() -> None:
    drifted = applied(OLD)
    drifted["data"]["more"] = "1"

    _, decided = see(
        running_at_a(), git=A, live=[with_manager(drifted, "kubectl-edit", {"f:data": {"f:more": {}}})]
    )

    assert isinstance(decided.action, ApplyObjects)
    assert decided.action.changes[0].fields == "data.more"


def _failed_at_b() -> Application:
    """A was good, B was applied and then failed."""
    app = running_at_a()
    s, recorded = see(app, git=B, live=[applied(OLD)])
    s, _ = see(after(s, recorded.status), git=B, live=[applied(OLD)])
    failed = plan.rejected(s, "policy")
    entry = replace(failed.status.quarantine[0], reason="AnalysisFailed", retry_at=None)  # type: ignore[arg-type]
    return after(s, replace(failed.status, quarantine=(entry,)))


def _marked(body: Object, status: Object) -> Object:
    """As applied with the mark of its revision."""
    marked = {
        **body,
        "metadata": {**body["metadata"], "annotations": {"rollout.rollouts.dev/git-revision": B}},
    }
    return applied(marked, status=status)


def _pod() -> Object:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "late", "namespace": "prod"}, "spec": {}}


def test_a_source_that_cannot_be_had_is_looked_at_again_by_itself() -> None:
    """A poll rings when Git answers again; nobody does for what is fetched while rendering."""
    s = snapshot({A: [config_map()]}, git=A, live_objects=[])
    trouble = SourceFailure(ApplicationReason.GIT_OPERATION_FAILED, "no answer")

    decided = plan.decide(replace(s, source=SourceView(failure=trouble)))

    assert decided.requeue_at == NOW + timedelta(seconds=30)
