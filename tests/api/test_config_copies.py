"""copyConfig on a real API server: content is part of a revision, and an abort brings it back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.harness import Bench, Object, eventually, rollout, steps

pytestmark = pytest.mark.api


def reading(name: str) -> Object:
    """A Rollout whose pods read a ConfigMap and a Secret."""
    body = rollout(name, replicas=2, **steps({"setWeight": 50}, {"pause": {}}))
    template = body["spec"]["template"]
    template["spec"]["volumes"] = [{"name": "v", "configMap": {"name": "app"}}]
    template["spec"]["containers"][0]["envFrom"] = [{"secretRef": {"name": "keys"}}]
    body["spec"] |= {"copyConfig": True, "revisionHistoryLimit": 0}
    return body


def config(kind: str, name: str, **data: str) -> Object:
    field = {"data": data} if kind == "ConfigMap" else {"stringData": data}
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **field}


async def copies(bench: Bench, kind: str) -> dict[str, Any]:
    label = "rollout.rollouts.dev/config-copy"
    found = [o for o in await bench.list(kind) if label in (o["metadata"].get("labels") or {})]
    return {o["metadata"]["name"]: o for o in found}


async def read_by(bench: Bench, pod_hash: str) -> str:
    """The ConfigMap that the pods of a set read."""
    found = await bench.get("ReplicaSet", f"web-{pod_hash}")
    return str(found["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"])


async def test_a_change_of_content_is_an_update_and_an_abort_brings_the_old_one_back(bench: Bench) -> None:
    await bench.create(config("ConfigMap", "app", level="1"))
    await bench.create(config("Secret", "keys", token="one"))
    async with bench.controller() as requests:
        await bench.create(reading("web"))
        first = await bench.reaches("web", "Healthy")
        stable = first["status"]["stableRS"]
        before = await read_by(bench, stable)
        (secret,) = (await copies(bench, "Secret")).values()
        assert secret["immutable"] is True
        assert secret["data"] == {"token": "b25l"}

        await bench.patch("ConfigMap", "app", {"metadata": {"labels": {"a": "b"}}})
        await bench.patch("ConfigMap", "app", {"data": {"level": "2"}})
        paused = await bench.reaches("web", "Paused")
        after = await read_by(bench, paused["status"]["currentPodHash"])
        assert (await copies(bench, "ConfigMap"))[after]["data"] == {"level": "2"}
        assert await bench.replicas("web") == {"1": 1, "2": 1}

        await bench.steer("web", abort=True)
        await bench.reaches("web", "Degraded")
        assert await read_by(bench, stable) == before
        assert (await copies(bench, "ConfigMap"))[before]["data"] == {"level": "1"}

        await bench.patch("ConfigMap", "app", {"data": {"level": "3"}})
        await bench.reaches("web", "Paused")
        await bench.steer("web", pauseConditions=None)
        await bench.reaches("web", "Healthy")
        # level 1 and 2 have gone with their sets, and so has nothing that is read
        left = await eventually(lambda: _only(bench, 1))
        assert [o["data"] for o in left.values()] == [{"level": "3"}]
        assert len(await copies(bench, "Secret")) == 1
        before_idle = len(requests.writes())

    async with bench.controller() as again:
        await bench.reaches("web", "Healthy")
        await bench.patch("Rollout", "web", {"spec": {"replicas": 3}})
        await bench.reaches("web", "Healthy", replicas=3)
        assert again.writes("configmaps") == []
    assert before_idle > 0


async def test_a_template_of_an_old_revision_brings_its_content_back(bench: Bench) -> None:
    await bench.create(config("ConfigMap", "app", level="1"))
    await bench.create(config("Secret", "keys", token="one"))
    body = reading("web")
    body["spec"] |= {"strategy": {"canary": {}}, "revisionHistoryLimit": 5}
    async with bench.controller():
        await bench.create(body)
        first = (await bench.reaches("web", "Healthy"))["status"]["stableRS"]
        await bench.patch("ConfigMap", "app", {"data": {"level": "2"}})
        await bench.becomes("Rollout", "web", lambda web: _stable_of(web) not in ("", first))

        old = (await bench.get("ReplicaSet", f"web-{first}"))["spec"]["template"]
        del old["metadata"]["labels"]["rollouts-pod-template-hash"]
        await bench.patch("Rollout", "web", {"spec": {"template": old}})
        await bench.becomes("Rollout", "web", lambda web: _stable_of(web) == first)

        name = await read_by(bench, first)
        assert (await copies(bench, "ConfigMap"))[name]["data"] == {"level": "1"}
        assert len(await copies(bench, "ConfigMap")) == 2


def _stable_of(rollout: Object) -> str:
    """Empty while it is not healthy."""
    status = rollout["status"]
    return str(status["stableRS"]) if status["phase"] == "Healthy" else ""


async def _only(bench: Bench, count: int) -> dict[str, Any] | None:
    found = await copies(bench, "ConfigMap")
    return found if len(found) == count else None
