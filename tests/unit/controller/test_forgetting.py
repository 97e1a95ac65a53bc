"""Of an object that is gone nothing is left in the process, and nothing among its metrics.

The object goes by way of its store, as it does when the API server says so; then everything that can be reached
from the controllers is searched for its name.
"""

from __future__ import annotations

import asyncio
import gc
import json
import types
from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest

from rollouts.api.application import Application, ApplicationSpec
from rollouts.api.meta import Names, ObjectMeta
from rollouts.api.parse import parse
from rollouts.controller import wiring
from rollouts.controller.applications import given
from rollouts.controller.applications.given import GivenValues
from rollouts.controller.cache import Key
from rollouts.controller.configs import Configs
from rollouts.controller.experiments import wiring as experiments
from rollouts.controller.loop import Controller, work
from rollouts.controller.metrics import Metrics
from rollouts.controller.parts import Environment, Part
from rollouts.delivery.snapshot import Config
from rollouts.errors import Rejected, Transient
from rollouts.kube import Kube, Ref, Resource
from rollouts.settings import Settings
from tests import builders

GONE = Key("shop", "gone")
GROUP = "rollouts.dev"
_UNSEARCHED = (type, types.ModuleType, types.FrameType, types.CoroutineType, asyncio.AbstractEventLoop)


class Api:
    """An API server that takes new objects, and refuses every status but those of AnalysisRuns."""

    def __init__(self) -> None:
        self._version = 10

    async def create(self, resource: Resource, body: Mapping[str, Any], *, field_manager: str) -> Any:
        del resource, field_manager
        uid = f"uid of {body['metadata']['name']}"
        return self._answer({**body, "metadata": {**body["metadata"], "uid": uid}})

    async def merge_patch(self, ref: Ref, body: Mapping[str, Any], **_: Any) -> Any:
        if ref.resource.kind != "AnalysisRun":
            raise Rejected("denied by a webhook")
        return self._answer({**OBJECTS[ref.resource.kind], "status": body["status"]})

    async def get(self, ref: Ref, subresource: str = "") -> Any:
        assert not subresource
        metadata = {"namespace": ref.namespace, "name": ref.name, "uid": "uid"}
        return self._answer(OBJECTS.get(ref.resource.kind, {"metadata": metadata, "data": {"a": "eA=="}}))

    def pages(self, resource: Resource, *_: Any, **__: Any) -> Any:
        raise Transient(f"{resource.plural} cannot be listed")

    def _answer(self, body: Mapping[str, Any]) -> Any:
        self._version += 1
        server_side = {"generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"}
        metadata = {**body["metadata"], **server_side, "resourceVersion": str(self._version)}
        return json.loads(json.dumps({**body, "metadata": metadata}))


def _object(kind: str, spec: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = {
        "namespace": GONE.namespace,
        "name": GONE.name,
        "uid": "uid",
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    return {"apiVersion": f"{GROUP}/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


TEMPLATE = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "main", "image": "web:1"}]},
}
SELECTOR = {"matchLabels": {"app": "web"}}
METRIC = {"name": "rate", "initialDelay": "1h", "provider": {"web": {"url": "https://metrics.example.com"}}}
SOURCE = {"repoURL": "https://git.example.com/shop", "path": "."}
SECRET = {"kind": "Secret", "name": "variables"}
OBJECTS = {
    "Rollout": _object(
        "Rollout",
        {
            "selector": SELECTOR,
            "template": TEMPLATE,
            "strategy": {"canary": {}},
        },
    ),
    "AnalysisRun": _object("AnalysisRun", {"metrics": [METRIC]}),
    "Experiment": _object(
        "Experiment", {"templates": [{"name": "new", "selector": SELECTOR, "template": TEMPLATE}]}
    ),
}


def reachable(root: object) -> Iterator[object]:
    """Everything that `root` holds, directly or not; not what its classes and modules hold."""
    met, left = {id(root)}, [root]
    while left:
        one = left.pop()
        yield one
        if isinstance(one, types.FunctionType):
            below: Any = one.__closure__ or ()
        else:
            below = () if isinstance(one, _UNSEARCHED) else gc.get_referents(one)
        if isinstance(one, dict):
            below = [*one, *below]  # the collector does not tell keys that are text
        for each in below:
            if id(each) not in met:
                met.add(id(each))
                left.append(each)


def mentions(root: object) -> list[str]:
    return [text for text in reachable(root) if isinstance(text, str) and GONE.name in text]


async def looked_at(controller: Controller, metrics: Metrics, *, until: int) -> None:
    """Work until the key was looked at so often, and the queue is empty."""
    looks, reconcile = 0, controller.reconcile

    async def counted(key: Key) -> Any:
        nonlocal looks
        looks += 1
        try:
            return await reconcile(key)
        finally:
            if looks >= until:
                controller.queue.close()

    async with asyncio.timeout(5):
        await work(
            Controller(controller.name, controller.queue, counted, workers=1, store=controller.store), metrics
        )
    controller.queue._closed = False


@pytest.mark.parametrize("kind", sorted(OBJECTS))
async def test_nothing_is_kept_of_an_object_that_is_gone(kind: str) -> None:
    metrics = Metrics()
    environment = Environment(Settings(), Names(), cast("Kube", Api()), metrics, lambda: builders.START)
    stores = wiring.new_stores(environment)
    parts: tuple[Part, ...] = (wiring.part(environment, stores), experiments.part(environment, stores))
    controller = next(c for part in parts for c in part.controllers if c.store.resource.kind == kind)
    try:
        controller.store.put(OBJECTS[kind])
        await looked_at(controller, metrics, until=1)
        assert GONE.name.encode() in metrics.exposition()

        for store in {s for part in parts for s in part.stores}:
            for record in store:  # what it owns goes with it
                store.drop(record.key, 1_000)
            store._tombstones.clear()  # of those there is a limit
        controller.queue.add(GONE)
        await looked_at(controller, metrics, until=1)

        assert mentions((parts, stores)) == []
        assert GONE.name.encode() not in metrics.exposition()
    finally:
        for part in parts:
            if part.close:
                await part.close()


async def test_what_a_rollout_read_is_kept_for_those_that_read_it_still() -> None:
    configs, shared, other = (
        Configs(cast("Kube", Api()), Names(), lambda _: None),
        Config("ConfigMap", "c"),
        "o",
    )
    try:
        for rollout in (GONE, Key(GONE.namespace, other)):
            configs.follow(rollout, [shared])
            await configs.wanted(rollout, ())

        configs.follow(GONE, None)

        assert mentions(configs) == []
        assert other in {text for text in reachable(configs) if isinstance(text, str)}
    finally:
        await configs.close()


async def test_secrets_of_an_application_are_not_kept_for_longer_than_they_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(given, "_SECONDS", 0.0)
    values, spec = (
        GivenValues(cast("Kube", Api())),
        {"source": SOURCE, "postBuild": {"substituteFrom": [SECRET]}},
    )
    for name in (GONE.name, "other"):
        metadata = ObjectMeta(name=name, namespace=GONE.namespace, uid=f"uid of {name}")
        await values.of(Application(metadata, parse(ApplicationSpec, spec, "spec")))

    assert mentions(values._known) == []
