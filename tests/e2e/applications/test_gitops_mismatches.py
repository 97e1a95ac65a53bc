"""Where sync and delivery get in each other's way elsewhere: what happens here, by the number of the mismatch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rollouts import sandbox
from rollouts.kube import Ref, resources
from tests.api.harness import Object, eventually
from tests.e2e.applications import shop
from tests.e2e.applications.harness import App, Checkout, config_map
from tests.e2e.applications.shop import Release

pytestmark = pytest.mark.e2e

ROLLOUT = resources.rollout("rollouts.dev")


def deployment(replicas: int, version: str = "1") -> Object:
    labels = {"app": "web"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": f"registry.example.com/web:{version}"}]},
            },
        },
    }


def autoscaler(kind: str, api_version: str) -> Object:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {
            "scaleTargetRef": {"apiVersion": api_version, "kind": kind, "name": "web"},
            "minReplicas": 1,
            "maxReplicas": 10,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
                }
            ],
        },
    }


async def scaled(app: App, ref: Ref, replicas: int) -> None:
    """What an autoscaler does."""
    body = {"spec": {"replicas": replicas}}
    await app.kube.merge_patch(ref, body, field_manager="horizontal-pod-autoscaler", subresource="scale")


async def replicas(app: App, ref: Ref) -> Any:
    return (await app.kube.get(ref))["spec"]["replicas"]


async def test_m6_an_autoscaler_s_replicas_stay_through_commits_and_healing(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    ref = resources.DEPLOYMENT.ref("web", app.bench.namespace)
    first = checkout.push({"web.yaml": shop.text(deployment(2), autoscaler("Deployment", "apps/v1"))})
    await app.create(repository.file_url)

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(first)
        await scaled(app, ref, 5)
        second = checkout.push(
            {"web.yaml": shop.text(deployment(2, "2"), autoscaler("Deployment", "apps/v1"))}
        )
        await app.runs(second)
        assert await replicas(app, ref) == 5
        # Healing another field leaves them alone, too.
        template = {"spec": {"minReadySeconds": 7}}
        await app.kube.merge_patch(ref, template, field_manager="kubectl-edit")

        async def healed() -> bool:
            return not (await app.kube.get(ref))["spec"].get("minReadySeconds")

        await eventually(healed)
        assert await replicas(app, ref) == 5
        assert (await app.status())["sync"]["status"] == "Synced"


async def test_m8_a_deployment_that_a_rollout_has_taken_over_is_not_scaled_up_again(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    release = shop.rollout("web", Release("1"), {"canary": {"steps": [{"setWeight": 50}]}}, replicas=2)
    del release["spec"]["template"], release["spec"]["selector"]
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "scaleDown": "onsuccess"}
    release["spec"]["workloadRef"] = ref
    deployed = resources.DEPLOYMENT.ref("web", app.bench.namespace)

    first = checkout.push({"web.yaml": shop.text(deployment(2), release)})
    await app.create(repository.file_url)
    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(first)

        async def is_down() -> bool:
            return await replicas(app, deployed) == 0

        await eventually(is_down)
        second = checkout.push({"web.yaml": shop.text(deployment(2, "2"), release)})
        await app.runs(second)
        assert await replicas(app, deployed) == 0
        assert (await app.status())["sync"]["status"] == "Synced"
        told = [message for reason, message in await app.events() if reason == "DriftCorrected"]
        assert told == []


async def test_m13_what_people_do_to_a_rollout_is_not_drift_and_m15_what_it_makes_is_not_compared(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    def push(version: str) -> str:
        steps = [{"setWeight": 50}, {"pause": {}}, {"setWeight": 75}]
        return checkout.push(
            {"web.yaml": shop.text(shop.rollout("web", Release(version), {"canary": {"steps": steps}}, 2))}
        )

    ref = ROLLOUT.ref("web", app.bench.namespace)
    await app.create(repository.file_url)
    first = push("1")
    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(first)
        second = push("2")

        async def is_paused() -> bool:
            return (await app.kube.get(ref))["status"].get("phase") == "Paused"

        await eventually(is_paused)
        await app.kube.merge_patch(ref, {"spec": {"paused": True}}, field_manager="kubectl-rollouts")
        await app.annotate(refresh="hard-look")

        async def is_handled() -> bool:
            return (await app.status()).get("lastHandledReconcileAt") == "hard-look"

        await eventually(is_handled)
        assert (await app.kube.get(ref))["spec"]["paused"] is True
        promoted = {"spec": {"paused": False}, "status": {"pauseConditions": None}}
        await app.kube.merge_patch(ref, {"spec": promoted["spec"]}, field_manager="kubectl-rollouts")
        await app.kube.merge_patch(
            ref, {"status": promoted["status"]}, field_manager="kubectl-rollouts", subresource="status"
        )
        status = await app.runs(second)
        told = [message for reason, message in await app.events() if reason == "DriftCorrected"]

    assert told == []
    assert {e["id"] for e in status["inventory"]["entries"]} == {
        f"{app.bench.namespace}_web_rollouts.dev_Rollout"
    }
    assert [r["kind"] for r in status["resources"]] == ["Rollout"]


async def test_p6_what_the_server_writes_otherwise_is_not_out_of_sync_for_ever(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    odd = deployment(1)
    container = odd["spec"]["template"]["spec"]["containers"][0]
    container["resources"] = {"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {"cpu": 2}}
    container["ports"] = [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}]
    container["env"] = [{"name": "EMPTY", "value": ""}, {"name": "PLAIN"}]
    commit = checkout.push({"web.yaml": shop.text(odd)})
    await app.create(repository.file_url)
    ref = resources.DEPLOYMENT.ref("web", app.bench.namespace)

    async with app.bench.controller(git_cache_dir=tmp_path / "git") as requests:
        await app.runs(commit)
        requests.seen.clear()
        await app.annotate(refresh="again")

        async def is_handled() -> bool:
            return (await app.status()).get("lastHandledReconcileAt") == "again"

        await eventually(is_handled)
        written = [path for verb, path in requests.seen if verb != "GET" and path.endswith(ref.path)]

    assert written == []
    assert (await app.status())["sync"]["status"] == "Synced"


async def test_p11_a_commit_that_deletes_too_much_waits_for_a_person(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    names = ("a", "b", "c", "d")
    await app.create(
        repository.file_url, syncPolicy={"automated": {"prune": True, "selfHeal": True, "pruneLimit": "25%"}}
    )
    first = checkout.push({f"{name}.yaml": config_map(name) for name in names})
    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(first)
        checkout.push({"a.yaml": None, "b.yaml": None})
        told = await app.says("Ready", "False", "ReconciliationFailed")
        assert "pruneLimit (25%)" in told["message"]
        assert await app.config("a") == {}
        await app.annotate(sync="now")

        async def is_gone() -> bool:
            return await app.config("a") is None and await app.config("b") is None

        await eventually(is_gone)
