"""Rollouts that Argo Rollouts left in the middle of an update go on from there, with the same pods."""

from __future__ import annotations

import pytest

from rollouts.api.podtemplate import pod_template_hash
from tests.api.dropin import peer
from tests.api.harness import Bench, Object, eventually, service, steps

pytestmark = [pytest.mark.api, pytest.mark.usefixtures("argo_crds")]

PAUSE: Object = {"pause": {}}
SINCE = "2026-01-01T12:00:00Z"


def weight(percent: int) -> Object:
    return {"setWeight": percent}


async def _pods(bench: Bench, count: int) -> set[str] | None:
    found = await bench.list("Pod")
    ready = [p for p in found if any(c.get("type") == "Ready" for c in p["status"].get("conditions") or ())]
    return {p["metadata"]["uid"] for p in found} if len(ready) == len(found) == count else None


async def test_a_paused_canary_stays_paused_with_its_pods(bench: Bench) -> None:
    argo = peer.at(bench)
    waiting = {
        "currentStepIndex": 1,
        "controllerPause": True,
        "pauseConditions": [{"reason": "CanaryPauseStep", "startTime": SINCE}],
        "duration": {"rolloutStartedAt": SINCE, "manualPauseStartedAt": SINCE},
    }
    canary = steps(weight(25), PAUSE, weight(50), PAUSE)
    await peer.leave(argo, sizes={"web:1": 3, "web:2": 1}, stable="web:1", status=waiting, **canary)
    pods = await eventually(lambda: _pods(argo, 4))

    async with argo.controller() as requests:
        found = await argo.reaches("web", "Paused", currentStepIndex=1)
        assert requests.writes("replicasets") == []
        assert requests.writes("analysisruns") == []
        assert await argo.events("web") == []
        status = found["status"]
        assert status["pauseConditions"] == waiting["pauseConditions"]
        assert status["duration"]["rolloutStartedAt"] == SINCE
        assert found["metadata"]["annotations"] == {peer.REVISION: "2"}
        assert await _pods(argo, 4) == pods

        await argo.steer("web", pauseConditions=None)
        await argo.reaches("web", "Paused", currentStepIndex=3)
        assert await argo.replicas("web") == {"1": 2, "2": 2}


async def test_an_aborted_update_stays_aborted(bench: Bench) -> None:
    argo = peer.at(bench)
    aborted = {
        "abort": True,
        "abortedAt": SINCE,
        "currentStepIndex": 0,
        "phase": "Degraded",
        "message": "RolloutAborted: Rollout aborted update to revision 2",
    }
    canary = steps(weight(25), PAUSE)
    await peer.leave(argo, sizes={"web:1": 4, "web:2": 0}, stable="web:1", status=aborted, **canary)
    pods = await eventually(lambda: _pods(argo, 4))

    async with argo.controller() as requests:
        await argo.reaches("web", "Degraded", abort=True, abortedAt=SINCE)
        assert requests.writes("replicasets") == []
        assert await _pods(argo, 4) == pods

        await argo.steer("web", abort=False)
        await argo.reaches("web", "Paused", currentStepIndex=1)


async def test_a_running_analysis_is_waited_for_and_not_started_again(bench: Bench) -> None:
    argo = peer.at(bench)
    newest = pod_template_hash(peer.template("web:2"))
    run = f"web-{newest}-2-1"
    analysing = {
        "currentStepIndex": 1,
        "canary": {"currentStepAnalysisRunStatus": {"name": run, "status": "Running"}},
    }
    canary = steps(weight(25), {"analysis": {"templates": [{"templateName": "never"}]}}, PAUSE)
    metric = {"name": "never", "provider": {"job": {"spec": {"template": {"spec": {"containers": []}}}}}}
    await argo.create(
        peer.of({"kind": "AnalysisTemplate", "metadata": {"name": "never"}, "spec": {"metrics": [metric]}})
    )
    left = await peer.leave(argo, sizes={"web:1": 3, "web:2": 1}, stable="web:1", status=analysing, **canary)
    owner = {"apiVersion": peer.API_VERSION, "kind": "Rollout", "name": "web", "controller": True}
    done = {
        "kind": "AnalysisRun",
        "metadata": {
            "name": run,
            "labels": {"rollout-type": "Step", "step-index": "1", peer.HASH: newest},
            "annotations": {peer.REVISION: "2"},
            "ownerReferences": [{**owner, "uid": left["metadata"]["uid"]}],
        },
        "spec": {"metrics": [metric]},
    }
    await argo.create(peer.of(done))
    await argo.patch("AnalysisRun", run, {"status": {"phase": "Successful"}}, subresource="status")

    async with argo.controller():
        await argo.reaches("web", "Paused", currentStepIndex=2)

    assert [r["metadata"]["name"] for r in await argo.list("AnalysisRun")] == [run]


async def test_a_blue_green_that_waits_for_a_person_stays_where_it_is(bench: Bench) -> None:
    argo = peer.at(bench)
    old, new = (pod_template_hash(peer.template(image)) for image in ("web:1", "web:2"))
    for name, selected in (("active", old), ("preview", new)):
        made = service(name)
        made["spec"]["selector"][peer.HASH] = selected
        made["metadata"]["annotations"] = {"argo-rollouts.argoproj.io/managed-by-rollouts": "web"}
        await argo.create(made)
    waiting = {
        "controllerPause": True,
        "pauseConditions": [{"reason": "BlueGreenPause", "startTime": SINCE}],
        "blueGreen": {"activeSelector": old, "previewSelector": new},
    }
    blue_green = {
        "blueGreen": {
            "activeService": "active",
            "previewService": "preview",
            "autoPromotionEnabled": False,
            "scaleDownDelaySeconds": 1,
        }
    }
    await peer.leave(argo, sizes={"web:1": 4, "web:2": 4}, stable="web:1", status=waiting, **blue_green)
    await eventually(lambda: _pods(argo, 8))

    async with argo.controller() as requests:
        # Ready and available count the pods that users reach.
        found = await argo.reaches("web", "Paused", readyReplicas=4, availableReplicas=4, replicas=8)
        assert requests.writes("replicasets") == []
        assert requests.writes("services") == []
        assert found["status"]["blueGreen"] == waiting["blueGreen"]

        await argo.steer("web", pauseConditions=None)
        found = await argo.reaches("web", "Healthy")
        assert found["status"]["blueGreen"]["activeSelector"] == new
