"""Hooks and waves: what runs when, what waits for what, what a failure means, what runs only once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rollouts.api.application_status import (
    ApplicationStatus,
    FailureReason,
    HookPhase,
    HookType,
    OperationPhase,
)
from rollouts.gitops import plan, revision
from rollouts.gitops.actions import ApplyObjects, KeepGood, Plan, PruneObjects, RunHooks
from rollouts.gitops.resources import hooks, order
from tests.unit.gitops.builders import (
    NOW,
    OWNER,
    A,
    B,
    Object,
    after,
    application,
    applied,
    config_map,
    declared,
    snapshot,
)

RUNNING: Object = {"status": {}}
COMPLETE: Object = {"status": {"conditions": [{"type": "Complete", "status": "True"}]}}
FAILED: Object = {"status": {"conditions": [{"type": "Failed", "status": "True", "message": "exit 1"}]}}


def job(name: str, hook: str, *, wave: str = "", policy: str = "") -> Object:
    annotations = {"argocd.argoproj.io/hook": hook}
    annotations |= {"argocd.argoproj.io/sync-wave": wave} if wave else {}
    annotations |= {"argocd.argoproj.io/hook-delete-policy": policy} if policy else {}
    metadata = {"name": name, "namespace": "prod", "annotations": annotations}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": {}}}


def waved(name: str, wave: str) -> Object:
    body = config_map(name)
    return {**body, "metadata": {**body["metadata"], "annotations": {"argocd.argoproj.io/sync-wave": wave}}}


class World:
    """The objects of one revision, the cluster, and the status, decided on again and again."""

    def __init__(self, *objects: Object, timeout: timedelta = timedelta(minutes=5)) -> None:
        self.objects = list(objects)
        self.app = application(timeout=timeout)
        self.cluster: dict[tuple[str, str], Object] = {}
        self.now = NOW
        self.created: list[str] = []

    @property
    def status(self) -> ApplicationStatus:
        return self.app.status

    def look(self) -> Plan:
        s = snapshot(
            {A: self.objects}, git=A, live_objects=list(self.cluster.values()), app=self.app, now=self.now
        )
        decided = plan.decide(s)
        match decided.action:
            case ApplyObjects(changes):
                for change in changes:
                    self.put(applied(dict(change.body)))
            case RunHooks(bodies, remove):
                for found in remove:
                    del self.cluster[found.key.kind, found.key.name]
                for body in bodies:
                    self.put({**applied(dict(body)), **RUNNING})
            case PruneObjects() as action:
                raise AssertionError(f"nothing is to be pruned here: {action}")
        self.app = after(s, decided.status) if decided.writes_status else self.app
        return decided

    def put(self, body: Object) -> None:
        self.created.append(body["metadata"]["name"])
        self.cluster[body["kind"], body["metadata"]["name"]] = body

    def settle(self) -> None:
        """Until nothing more happens by itself."""
        for _ in range(50):
            before = (self.app, dict(self.cluster))
            if not self.look().again and (self.app, self.cluster) == before:
                return
        raise AssertionError("it does not come to rest")

    def ends(self, name: str, how: Object) -> None:
        self.cluster["Job", name] = {**self.cluster["Job", name], **how}
        self.settle()

    @property
    def names(self) -> set[str]:
        return {name for _, name in self.cluster}

    @property
    def good(self) -> bool:
        return self.status.last_good_revision == A


def test_nothing_is_applied_before_the_presync_hook_has_succeeded() -> None:
    world = World(job("migrate", "PreSync"), config_map())

    world.settle()
    assert world.names == {"migrate"}
    world.ends("migrate", COMPLETE)

    assert world.names == {"migrate", "settings"}
    assert world.good


def test_a_postsync_hook_runs_when_all_is_healthy_and_the_revision_is_good_after_it() -> None:
    world = World(config_map(), job("smoke", "PostSync"))

    world.settle()
    assert world.created == ["settings", "smoke"]
    assert not world.good
    world.ends("smoke", COMPLETE)

    assert world.good


@pytest.mark.parametrize("hook", ["PreSync", "Sync", "PostSync"])
def test_a_hook_that_fails_quarantines_the_revision(hook: str) -> None:
    world = World(config_map(), job("check", hook))

    world.settle()
    world.ends("check", FAILED)

    (entry,) = world.status.quarantine
    assert entry.reason is FailureReason.HOOK_FAILED
    assert entry.message == f"{hook} hook Job prod/check failed: exit 1"
    assert ("settings" in world.names) == (hook != "PreSync")


def test_a_syncfail_hook_runs_when_the_revision_has_failed_only() -> None:
    failing = World(job("check", "PreSync"), job("tell", "SyncFail"))
    failing.settle()
    assert "tell" not in failing.names
    failing.ends("check", FAILED)

    fine = World(config_map(), job("tell", "SyncFail"))
    fine.settle()

    assert "tell" in failing.names
    assert failing.created.count("tell") == 1
    assert fine.names == {"settings"}
    assert fine.good


def test_hooks_run_once_for_an_attempt_however_often_one_looks() -> None:
    world = World(job("migrate", "PreSync"), config_map(), job("smoke", "PostSync"))
    world.settle()
    world.ends("migrate", COMPLETE)
    world.ends("smoke", COMPLETE)
    for _ in range(5):
        world.look()

    assert world.created == ["migrate", "settings", "smoke"]
    operation = world.status.operation_state
    assert operation is not None
    assert {(h.name, h.hook_phase) for h in operation.hooks} == {
        ("migrate", HookPhase.SUCCEEDED),
        ("smoke", HookPhase.SUCCEEDED),
    }


def test_a_hook_left_by_an_earlier_attempt_is_replaced() -> None:
    world = World(job("migrate", "PreSync"), config_map())
    old = applied(job("migrate", "PreSync"))
    annotations = {**old["metadata"]["annotations"], "application.rollouts.dev/hook-of": "earlier"}
    world.put({**old, **COMPLETE, "metadata": {**old["metadata"], "annotations": annotations}})

    world.settle()

    assert world.created == ["migrate", "migrate"]
    assert not world.good


def test_a_hook_that_is_to_go_when_it_has_succeeded_goes_and_does_not_come_back() -> None:
    world = World(job("migrate", "PreSync", policy="HookSucceeded"), config_map())
    world.settle()
    world.ends("migrate", COMPLETE)

    assert world.names == {"settings"}
    assert world.created == ["migrate", "settings"]
    assert world.good


def test_a_hook_is_under_the_timeout() -> None:
    world = World(job("migrate", "PreSync"), config_map(), timeout=timedelta(seconds=30))
    world.settle()
    world.now += timedelta(seconds=31)
    world.settle()

    (entry,) = world.status.quarantine
    assert entry.reason is FailureReason.HEALTH_TIMEOUT
    assert "PreSync hook Job prod/migrate still runs after 0:00:30" in entry.message


def test_hooks_of_a_wave_wait_for_the_wave_before() -> None:
    world = World(job("second", "PreSync", wave="2"), job("first", "PreSync", wave="-1"), config_map())
    world.settle()
    assert world.names == {"first"}
    world.ends("first", COMPLETE)
    assert world.names == {"first", "second"}
    world.ends("second", COMPLETE)

    assert world.good


def test_a_wave_waits_for_the_health_of_the_one_before() -> None:
    database = waved("unused", "1")
    claim: Object = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "prod"},
        "spec": {"size": 1},
    }
    world = World(claim, database)

    world.settle()
    assert world.names == {"data"}
    world.cluster["PersistentVolumeClaim", "data"]["status"] = {"phase": "Bound"}
    world.settle()

    assert world.names == {"data", "unused"}
    assert world.good


def test_a_sync_hook_stands_between_the_waves() -> None:
    world = World(waved("a", "0"), job("between", "Sync", wave="1"), waved("b", "1"), waved("c", "2"))

    world.settle()
    assert world.names == {"a", "b", "between"}
    world.ends("between", COMPLETE)

    assert world.names == {"a", "b", "between", "c"}
    assert world.good


def test_an_unhealthy_wave_does_not_keep_later_ones_from_being_healed() -> None:
    claim: Object = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "prod"},
        "spec": {"size": 1},
    }
    world = World(claim, waved("later", "1"))
    world.settle()
    world.cluster["PersistentVolumeClaim", "data"]["status"] = {"phase": "Bound"}
    world.settle()
    world.cluster["PersistentVolumeClaim", "data"]["status"] = {"phase": "Lost"}
    del world.cluster["ConfigMap", "later"]
    world.settle()

    assert world.names == {"data", "later"}


@pytest.mark.parametrize(
    ("annotations", "types"),
    [
        ({"argocd.argoproj.io/hook": "PreSync,PostSync"}, {HookType.PRE_SYNC, HookType.POST_SYNC}),
        ({"rollouts.dev/hook": "Sync"}, {HookType.SYNC}),
        ({"argocd.argoproj.io/hook": "Skip"}, set()),
        ({"helm.sh/hook": "pre-install, pre-upgrade"}, {HookType.PRE_SYNC}),
        ({"helm.sh/hook": "post-upgrade"}, {HookType.POST_SYNC}),
        ({"helm.sh/hook": "test"}, set()),
        ({"helm.sh/hook": "pre-delete"}, set()),
        ({"argocd.argoproj.io/hook": "PostSync", "helm.sh/hook": "pre-install"}, {HookType.POST_SYNC}),
    ],
)
def test_hooks_of_argo_cd_and_of_helm(annotations: dict[str, str], types: set[HookType]) -> None:
    body = config_map()
    body["metadata"]["annotations"] = annotations

    objects, (hook,) = hooks.split([declared(body)])

    assert objects == ()
    assert hook.types == types


def test_a_hook_may_leave_its_name_to_us() -> None:
    body = job("", "PreSync")
    body["metadata"] = {**body["metadata"], "generateName": "migrate-"}
    del body["metadata"]["name"]

    first, again = declared_unnamed(body), declared_unnamed(body)

    assert first.key.name.startswith("migrate-")
    assert first.key == again.key
    assert "generateName" not in first.body["metadata"]


def declared_unnamed(body: Object) -> Any:
    from rollouts.gitops.resources import manifests

    return manifests.manifest(body, "hook.yaml:1")


@pytest.mark.parametrize(("text", "wave"), [("3", 3), ("-2", -2), ("", 0), ("soon", 0), ("1" * 40, 0)])
def test_a_wave_is_a_number(text: str, wave: int) -> None:
    assert order.wave(declared(waved("a", text))) == wave


def test_a_rollback_runs_no_hooks() -> None:
    world = World(job("migrate", "PreSync"), config_map())
    world.settle()
    world.ends("migrate", COMPLETE)
    state = revision.from_status(world.status)
    failed = revision.desire(state, revision.Candidate(B, "other"), automatic=True, now=NOW)
    failed = revision.fail(failed, FailureReason.ABORTED, "aborted", NOW)
    world.app = replace(world.app, status=revision.into_status(world.status, failed))
    world.created.clear()
    world.cluster.clear()

    s = snapshot({A: world.objects}, git=A, live_objects=[], app=world.app)
    rollback = replace(s, revisions=failed, target=revision.target(failed))
    decided = plan.decide(rollback)

    assert isinstance(decided.action, ApplyObjects)
    assert [c.manifest.key.kind for c in decided.action.changes] == ["ConfigMap"]


def test_what_is_kept_and_labelled_is_not_a_leftover_if_it_is_a_hook() -> None:
    world = World(job("migrate", "PreSync"), config_map())
    world.settle()
    world.ends("migrate", COMPLETE)
    assert world.cluster["Job", "migrate"]["metadata"]["labels"] == OWNER

    world.objects = [config_map()]
    decided = world.look()

    assert not isinstance(decided.action, PruneObjects | KeepGood)
    operation = world.status.operation_state
    assert operation is not None
    assert operation.phase is OperationPhase.SUCCEEDED
