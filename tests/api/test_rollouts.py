"""Rollouts on a real API server with simulated pods: from a spec to pods, Services and a status."""

from __future__ import annotations

import itertools

import pytest

from rollouts.errors import NotFound
from tests.api.harness import Bench, Object, eventually, rollout, service, steps

pytestmark = pytest.mark.api

PAUSE: Object = {"pause": {}}
HASH = "rollouts-pod-template-hash"
_GARBAGE_SECONDS = 90
"""The garbage collector looks for new kinds every 30 s only."""


def weight(percent: int) -> Object:
    return {"setWeight": percent}


def conditions(found: Object) -> dict[str, str]:
    return {c["type"]: c["status"] for c in found["status"]["conditions"]}


async def test_a_first_deployment_becomes_healthy(bench: Bench) -> None:
    async with bench.controller():
        await bench.create(rollout(replicas=3))
        found = await bench.reaches("web", "Healthy")

    status = found["status"]
    assert (status["replicas"], status["availableReplicas"]) == (3, 3)
    assert status["stableRS"] == status["currentPodHash"]
    assert conditions(found)["Healthy"] == "True"


async def test_a_replica_set_is_named_labelled_and_owned_as_the_peer_does_it(bench: Bench) -> None:
    async with bench.controller():
        created = await bench.create(rollout(replicas=2))
        found = await bench.reaches("web", "Healthy")

    (replica_set,) = await bench.list("ReplicaSet")
    pod_hash = found["status"]["currentPodHash"]
    assert replica_set["metadata"]["name"] == f"web-{pod_hash}"
    assert replica_set["metadata"]["labels"] == {"app": "web", HASH: pod_hash}
    assert replica_set["metadata"]["annotations"] == {
        "rollout.rollouts.dev/revision": "1",
        "rollout.rollouts.dev/desired-replicas": "2",
    }
    assert replica_set["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "rollouts.dev/v1alpha1",
            "kind": "Rollout",
            "name": "web",
            "uid": created["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    assert replica_set["spec"]["selector"] == {"matchLabels": {"app": "web", HASH: pod_hash}}


async def test_a_canary_stops_at_its_pause_and_goes_on_when_promoted(bench: Bench) -> None:
    async with bench.controller():
        await bench.create(rollout(replicas=4, **steps(weight(25), PAUSE, weight(50), PAUSE)))
        await bench.reaches("web", "Healthy")

        await bench.set_image("web", "web:2")
        await bench.reaches("web", "Paused", currentStepIndex=1)
        assert await bench.replicas("web") == {"1": 3, "2": 1}

        await bench.steer("web", pauseConditions=None)
        await bench.reaches("web", "Paused", currentStepIndex=3)
        assert await bench.replicas("web") == {"1": 2, "2": 2}

        await bench.steer("web", pauseConditions=None)
        await bench.reaches("web", "Healthy")

    assert await bench.replicas("web") == {"1": 0, "2": 4}


async def test_an_abort_goes_back_to_stable_and_a_retry_starts_again(bench: Bench) -> None:
    async with bench.controller():
        await bench.create(rollout(replicas=4, **steps(weight(50), PAUSE)))
        await bench.reaches("web", "Healthy")
        await bench.set_image("web", "web:2")
        await bench.reaches("web", "Paused")

        await bench.steer("web", abort=True)
        aborted = await bench.reaches("web", "Degraded")
        await eventually(lambda: _are(bench, {"1": 4, "2": 0}))
        assert aborted["status"]["abort"] is True
        assert aborted["status"]["abortReason"]["reason"] == "Aborted"

        await bench.steer("web", abort=False)
        await bench.reaches("web", "Paused", currentStepIndex=1)

    assert await bench.replicas("web") == {"1": 2, "2": 2}


async def test_blue_green_switches_its_services(bench: Bench) -> None:
    blue_green = {
        "blueGreen": {
            "activeService": "web",
            "previewService": "web-preview",
            "autoPromotionEnabled": False,
            "scaleDownDelaySeconds": 1,
        }
    }
    async with bench.controller():
        await bench.create(service("web"))
        await bench.create(service("web-preview"))
        await bench.create(rollout(replicas=2, **blue_green))
        first = (await bench.reaches("web", "Healthy"))["status"]["currentPodHash"]

        await bench.set_image("web", "web:2")
        second = (await bench.reaches("web", "Paused"))["status"]["currentPodHash"]
        assert await _selected(bench) == {"web": first, "web-preview": second}

        await bench.steer("web", pauseConditions=None)
        await bench.reaches("web", "Healthy")
        assert await _selected(bench) == {"web": second, "web-preview": second}
        await eventually(lambda: _are(bench, {"1": 0, "2": 2}))


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
async def test_deletion_leaves_nothing_behind(bench: Bench, propagation: str) -> None:
    async with bench.controller():
        await bench.create(rollout(replicas=2))
        await bench.reaches("web", "Healthy")

        await bench.delete("Rollout", "web", propagation)
        await eventually(lambda: _is_gone(bench, "Rollout"), seconds=_GARBAGE_SECONDS)
        await eventually(lambda: _is_gone(bench, "ReplicaSet"), seconds=_GARBAGE_SECONDS)
        await eventually(lambda: _is_gone(bench, "Pod"), seconds=_GARBAGE_SECONDS)


async def test_a_rollout_recreated_under_its_name_starts_afresh(bench: Bench) -> None:
    async with bench.controller():
        await bench.create(rollout(replicas=2))
        first = await bench.reaches("web", "Healthy")
        await bench.delete("Rollout", "web")
        await eventually(lambda: _is_gone(bench, "ReplicaSet"), seconds=_GARBAGE_SECONDS)

        await bench.create(rollout(replicas=1))
        second = await bench.reaches("web", "Healthy")

    assert first["metadata"]["uid"] != second["metadata"]["uid"]
    assert await bench.replicas("web") == {"1": 1}


async def test_each_fact_is_told_once_and_in_order(bench: Bench) -> None:
    async with bench.controller():
        await bench.create(rollout(replicas=2, **steps(weight(50), PAUSE)))
        await bench.reaches("web", "Healthy")
        await bench.set_image("web", "web:2")
        await bench.reaches("web", "Paused")
        await bench.steer("web", pauseConditions=None)
        await bench.reaches("web", "Healthy")
        told = await bench.events("web")

    once = ["RolloutPaused", "RolloutResumed"]
    assert [told.count(reason) for reason in once] == [1, 1]
    assert told.count("RolloutUpdated") == told.count("NewReplicaSetCreated") == 2
    assert told.count("RolloutCompleted") == 2
    assert told.index("RolloutPaused") < told.index("RolloutResumed")


async def test_a_rollout_that_is_wrong_is_told_so_once_and_disturbs_no_other(bench: Bench) -> None:
    wrong = rollout("wrong")
    wrong["spec"]["selector"] = {"matchLabels": {"app": "another"}}
    async with bench.controller() as requests:
        await bench.create(wrong)
        await bench.create(rollout())
        await bench.reaches("web", "Healthy")
        found = await bench.reaches("wrong", "Degraded")

        assert conditions(found)["InvalidSpec"] == "True"
        assert await bench.events("wrong") == ["InvalidSpec"]
        assert len(requests.writes("rollouts/wrong/status")) == 1

        labels = {"metadata": {"labels": {"app": "another"}}}
        await bench.patch("Rollout", "wrong", {"spec": {"template": labels}})
        await bench.reaches("wrong", "Healthy")


async def test_pods_that_the_api_server_refuses_are_told_and_disturb_no_running_pod(bench: Bench) -> None:
    async with bench.controller():
        await bench.create(rollout(replicas=2))
        await bench.reaches("web", "Healthy")

        bad = {"spec": {"containers": [{"name": "Not_A_Name", "image": "web:2"}]}}
        await bench.patch("Rollout", "web", {"spec": {"template": bad}})
        found = await bench.reaches("web", "Degraded")
        assert "Not_A_Name" in found["status"]["message"]
        assert await bench.replicas("web") == {"1": 2}
        assert (await bench.events("web")).count("InvalidSpec") == 1

        good = {"spec": {"containers": [{"name": "main", "image": "web:2"}]}}
        await bench.patch("Rollout", "web", {"spec": {"template": good}})
        await bench.reaches("web", "Healthy", currentRevision=2)


async def test_a_missing_template_is_named_and_its_creation_is_noticed(bench: Bench) -> None:
    analysis = {"analysis": {"templates": [{"templateName": "absent"}]}}
    async with bench.controller():
        await bench.create(rollout(**steps(weight(50), analysis)))
        found = await bench.reaches("web", "Degraded")
        assert "absent" in found["status"]["message"]

        await bench.create(
            {
                "apiVersion": "rollouts.dev/v1alpha1",
                "kind": "AnalysisTemplate",
                "metadata": {"name": "absent"},
                "spec": {"metrics": [{"name": "m", "provider": {"prometheus": {"query": "up"}}}]},
            }
        )
        await bench.reaches("web", "Healthy")


async def test_a_name_taken_by_somebody_else_leads_to_another_hash(bench: Bench) -> None:
    async with bench.controller():
        await bench.create(rollout(replicas=1))
        first = (await bench.reaches("web", "Healthy"))["status"]["currentPodHash"]
        await bench.delete("Rollout", "web")
        await eventually(lambda: _is_gone(bench, "ReplicaSet"), seconds=_GARBAGE_SECONDS)
        template = {"metadata": {"labels": {"app": "other"}}, "spec": rollout()["spec"]["template"]["spec"]}
        await bench.create(
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "metadata": {"name": f"web-{first}"},
                "spec": {
                    "replicas": 0,
                    "selector": {"matchLabels": {"app": "other"}},
                    "template": template,
                },
            }
        )

        await bench.create(rollout(replicas=1))
        found = await bench.reaches("web", "Healthy")

    assert found["status"]["collisionCount"] == 1
    assert found["status"]["currentPodHash"] != first


async def test_nothing_of_ours_or_of_kopf_lingers_on_objects(bench: Bench) -> None:
    async with bench.controller():
        await bench.create(service("web"))
        await bench.create(rollout(blueGreen={"activeService": "web"}))
        await bench.reaches("web", "Healthy")

    for kind in ("Rollout", "ReplicaSet", "Service"):
        for found in await bench.list(kind):
            metadata = found["metadata"]
            managers = {m["manager"] for m in metadata["managedFields"]}
            assert "finalizers" not in metadata
            assert not any("kopf" in key for key in metadata.get("annotations", {}))
            assert managers <= {"tests", "rollouts-delivery", "kube-controller-manager"}


async def test_an_idle_rollout_is_written_by_nobody_on_resync(bench: Bench) -> None:
    async with bench.controller(resync_seconds=1) as requests:
        await bench.create(rollout())
        found = await bench.reaches("web", "Healthy")
        await eventually(lambda: _lists(requests.seen, "rollouts", 2))
        before = len(requests.writes())
        await eventually(lambda: _lists(requests.seen, "rollouts", 5))

        assert len(requests.writes()) == before
        assert (await bench.get("Rollout", "web"))["metadata"]["resourceVersion"] == (
            found["metadata"]["resourceVersion"]
        )


async def test_a_restarted_controller_has_nothing_to_write(bench: Bench) -> None:
    async with bench.controller():
        await bench.create(rollout(replicas=2, **steps(weight(50), PAUSE)))
        await bench.reaches("web", "Healthy")
        await bench.set_image("web", "web:2")
        await bench.reaches("web", "Paused", replicas=2, availableReplicas=2)

    async with bench.controller(resync_seconds=1) as requests:
        await eventually(lambda: _lists(requests.seen, "rollouts", 3))

    assert requests.writes() == []


async def test_a_change_while_no_controller_ran_is_caught_up_with(bench: Bench) -> None:
    async with bench.controller():
        await bench.create(rollout(replicas=2))
        await bench.reaches("web", "Healthy")
    await bench.set_image("web", "web:2")

    async with bench.controller():
        await bench.reaches("web", "Healthy", currentRevision=2)

    assert await bench.replicas("web") == {"1": 0, "2": 2}


async def test_decisions_that_break_off_between_their_writes_end_in_the_same_place(bench: Bench) -> None:
    boundaries = itertools.count(1)
    breaks = {n * (n + 1) // 2 for n in range(1, 20)}

    def break_off(_: str) -> None:
        if next(boundaries) in breaks:
            raise RuntimeError("broke off here")

    async with bench.controller(break_off):
        await bench.create(rollout(replicas=2, **steps(weight(50))))
        await bench.reaches("web", "Healthy")
        await bench.set_image("web", "web:2")
        await bench.reaches("web", "Healthy", currentRevision=2)
        told = await bench.events("web")

    assert await bench.replicas("web") == {"1": 0, "2": 2}
    assert told.count("NewReplicaSetCreated") <= 2
    assert told.count("RolloutCompleted") == 2


async def _selected(bench: Bench) -> dict[str, str]:
    return {s["metadata"]["name"]: s["spec"]["selector"].get(HASH, "") for s in await bench.list("Service")}


async def _are(bench: Bench, replicas: dict[str, int]) -> bool:
    return await bench.replicas("web") == replicas


async def _is_gone(bench: Bench, kind: str) -> bool:
    try:
        return not await bench.list(kind)
    except NotFound:
        return True


async def _lists(seen: list[tuple[str, str]], plural: str, times: int) -> bool:
    return sum(method == "GET" and f"/{plural}?limit=" in path for method, path in seen) >= times
