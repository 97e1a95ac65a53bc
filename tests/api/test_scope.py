"""Which objects a controller serves: instance ids, namespaces, the API group; and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rollouts import sandbox
from rollouts.api.meta import Names
from rollouts.controller import records
from rollouts.controller.cache import Change, Key
from rollouts.controller.sweep import sweep
from tests.api.harness import Bench, Object, eventually, rollout, service, steps

pytestmark = pytest.mark.api

INSTANCE = "argo-rollouts.rollouts.dev/controller-instance-id"
ARGO = "argoproj.io"


def labelled(body: Object, instance_id: str) -> Object:
    return {**body, "metadata": {**body["metadata"], "labels": {INSTANCE: instance_id}}}


async def test_each_controller_serves_the_objects_of_its_instance_id_only(bench: Bench) -> None:
    await bench.create(rollout("plain", replicas=1))
    await bench.create(labelled(rollout("blue", replicas=1), "blue"))
    await bench.create(labelled(rollout("green", replicas=1), "green"))

    async with bench.controller():
        await bench.reaches("plain", "Healthy")
        assert "status" not in await bench.get("Rollout", "blue")
    async with bench.controller(instance_id="blue"):
        await bench.reaches("blue", "Healthy")
        assert "status" not in await bench.get("Rollout", "green")


async def test_services_of_another_instances_rollout_are_left_alone(bench: Bench) -> None:
    blue = labelled(rollout("web", blueGreen={"activeService": "web"}), "blue")
    await bench.create(service("web"))
    async with bench.controller(instance_id="blue"):
        await bench.create(blue)
        await bench.reaches("web", "Healthy")
    taken = await bench.get("Service", "web")

    async with bench.controller() as requests:
        await bench.create(rollout("other", replicas=1))
        await bench.reaches("other", "Healthy")
        assert requests.writes("services") == []

    assert (await bench.get("Service", "web"))["spec"] == taken["spec"]


async def test_other_namespaces_are_left_alone(bench: Bench, kube: object) -> None:
    del kube
    elsewhere = replace(bench, namespace="default")
    await elsewhere.create(rollout("not-ours"))
    async with bench.controller():
        await bench.create(rollout(replicas=1))
        await bench.reaches("web", "Healthy")
        assert "status" not in await elsewhere.get("Rollout", "not-ours")
    await elsewhere.delete("Rollout", "not-ours")


async def test_the_group_of_argo_rollouts_is_served_under_its_names(bench: Bench, argo_crds: None) -> None:
    del argo_crds
    argo = replace(bench, group=ARGO)

    async with argo.controller():
        await argo.create(service("web"))
        strategy = steps({"setWeight": 50}, {"pause": {}})
        strategy["canary"]["stableService"] = "web"
        await argo.create({**rollout(replicas=2, **strategy), "apiVersion": f"{ARGO}/v1alpha1"})
        await argo.reaches("web", "Healthy")
        await argo.set_image("web", "web:2")
        found = await argo.reaches("web", "Paused")
        assert await argo.replicas("web") == {"1": 1, "2": 1}
        taken = await argo.get("Service", "web")

        # The peer's plugin promotes like this.
        await argo.steer("web", pauseConditions=None)
        await argo.reaches("web", "Healthy")

    assert found["status"]["observedGeneration"] == "2"
    assert taken["metadata"]["annotations"] == {"argo-rollouts.argoproj.io/managed-by-rollouts": "web"}
    for replica_set in await argo.list("ReplicaSet"):
        assert replica_set["metadata"]["ownerReferences"][0]["apiVersion"] == "argoproj.io/v1alpha1"


async def test_existing_sets_are_adopted_without_a_write_to_them(bench: Bench) -> None:
    """A controller that lost all it knew finds its sets by template, not by name."""
    async with bench.controller():
        await bench.create(rollout(replicas=2))
        found = await bench.reaches("web", "Healthy")
    forgotten = dict.fromkeys(found["status"])
    await bench.steer("web", **forgotten)
    before = await bench.list("ReplicaSet")

    async with bench.controller() as requests:
        await bench.reaches("web", "Healthy")
        assert requests.writes("replicasets") == []

    assert [s["metadata"]["uid"] for s in await bench.list("ReplicaSet")] == [
        s["metadata"]["uid"] for s in before
    ]


async def test_two_controllers_that_both_believe_to_lead_do_no_harm(bench: Bench) -> None:
    async with bench.controller(), bench.controller():
        await bench.create(rollout(replicas=4, **steps({"setWeight": 25}, {"pause": {}}, {"setWeight": 50})))
        await bench.reaches("web", "Healthy")
        await bench.set_image("web", "web:2")
        await bench.reaches("web", "Paused", currentStepIndex=1)
        assert await bench.replicas("web") == {"1": 3, "2": 1}
        await bench.steer("web", pauseConditions=None)
        await bench.reaches("web", "Healthy", currentRevision=2)

    assert await bench.replicas("web") == {"1": 0, "2": 4}


async def test_a_sweep_finds_what_a_watch_did_not_tell(bench: Bench) -> None:
    store = records.rollouts(Names(), "")
    told: list[Change[records.KnownRollout | records.Malformed]] = []
    await bench.create(rollout("seen"))
    await bench.create(rollout("ghost"))
    await sweep(bench.kube, store, bench.namespace)
    store.listen(told.append)

    await bench.delete("Rollout", "ghost")
    await bench.create(rollout("unseen"))
    await sweep(bench.kube, store, bench.namespace)

    assert {record.key.name for record in store} == {"seen", "unseen"}
    assert {(c.key, c.new is None) for c in told} == {
        (Key(bench.namespace, "ghost"), True),
        (Key(bench.namespace, "unseen"), False),
    }


async def test_a_long_list_is_read_in_chunks(bench: Bench) -> None:
    store = records.services(Names())
    for i in range(12):
        await bench.create(service(f"s-{i}"))

    pages = [page async for page in bench.kube.pages(store.resource, bench.namespace, page_size=5)]

    assert [len(page.items) for page in pages] == [5, 5, 2]


async def test_the_api_server_may_be_away_for_a_while(bench: Bench, cluster: sandbox.Sandbox) -> None:
    async with bench.controller():
        await bench.create(rollout(replicas=1))
        await bench.reaches("web", "Healthy")

        cluster.restart(sandbox.Component.API_SERVER)
        await eventually(lambda: _answers(bench), seconds=60)
        await bench.set_image("web", "web:2")
        await bench.becomes("Rollout", "web", _is_at_the_second_revision, seconds=120)


async def _answers(bench: Bench) -> bool:
    return bool(await bench.find("Rollout", "web"))


def _is_at_the_second_revision(found: Object) -> bool:
    return bool(found["status"]["currentRevision"] == 2 and found["status"]["phase"] == "Healthy")
