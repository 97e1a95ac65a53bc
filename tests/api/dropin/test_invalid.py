"""What the peer's definitions let in, ours let in: the controller says what is wrong with it, object by object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.api.dropin import peer
from tests.api.harness import Bench, Object, eventually, rollout, steps

pytestmark = [pytest.mark.api, pytest.mark.usefixtures("argo_crds")]

WRONG: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "deadline": ({"progressDeadlineSeconds": 0}, "spec.progressDeadlineSeconds"),
    "no-strategy": ({"strategy": None}, "spec.strategy"),
    "nothing": ({"strategy": {}}, "spec.strategy"),
    "both": ({"strategy": {"canary": {}, "blueGreen": {"activeService": "web"}}}, "spec.strategy"),
    "no-service": ({"strategy": {"blueGreen": {}}}, "spec.strategy.blueGreen.activeService"),
    "weight": ({"strategy": steps({"setWeight": 101})}, "spec.strategy.canary.steps[0].setWeight"),
    "negative": ({"strategy": steps({"setWeight": -1})}, "spec.strategy.canary.steps[0].setWeight"),
    "empty-step": ({"strategy": steps({})}, "spec.strategy.canary.steps[0]"),
    "duration": (
        {"strategy": steps({"pause": {"duration": "5 minutes"}})},
        "spec.strategy.canary.steps[0].pause.duration",
    ),
    "surge": ({"strategy": {"canary": {"maxSurge": "a quarter"}}}, "spec.strategy.canary.maxSurge"),
    "no-template": ({"template": None}, "spec.template"),
    "no-selector": ({"selector": None}, "spec.selector"),
}


def named(name: str, spec: Mapping[str, Any]) -> Object:
    body = peer.of(rollout(replicas=1))
    wanted = {k: v for k, v in (body["spec"] | spec).items() if v is not None}
    return {**body, "metadata": {**body["metadata"], "name": name}, "spec": wanted}


async def test_a_wrong_rollout_is_stored_and_told(bench: Bench) -> None:
    argo = peer.at(bench)
    async with argo.controller():
        for name, (spec, _) in WRONG.items():
            await argo.create(named(name, spec))
        await argo.create(peer.of(rollout(replicas=1)))

        await argo.reaches("web", "Healthy")
        for name, (_, field) in WRONG.items():
            found = await argo.reaches(name, "Degraded")
            [told] = [c for c in found["status"]["conditions"] if c["type"] == "InvalidSpec"]
            assert f"{field}:" in told["message"], name


async def test_a_wrong_run_ends_in_an_error(bench: Bench) -> None:
    argo = peer.at(bench)
    wrong = {"no-metrics": [], "no-provider": [{"name": "m", "provider": {}}], "no-name": [{"provider": {}}]}
    async with argo.controller():
        for name, metrics in wrong.items():
            await argo.create(
                peer.of({"kind": "AnalysisRun", "metadata": {"name": name}, "spec": {"metrics": metrics}})
            )

        for name in wrong:
            status = (await argo.ends("AnalysisRun", name, "Error"))["status"]
            assert "metrics" in status["message"]


async def test_a_wrong_experiment_has_an_invalid_spec(bench: Bench) -> None:
    argo = peer.at(bench)
    wrong = {"no-templates": {"templates": []}, "no-pods": {"templates": [{"name": "a"}]}}
    async with argo.controller():
        for name, spec in wrong.items():
            await argo.create(peer.of({"kind": "Experiment", "metadata": {"name": name}, "spec": spec}))

        for name in wrong:
            message = await eventually(lambda name=name: _invalid(argo, name))
            assert "spec.templates" in message


async def _invalid(bench: Bench, name: str) -> str | None:
    conditions = (await bench.get("Experiment", name)).get("status", {}).get("conditions", ())
    return next((c["message"] for c in conditions if c["type"] == "InvalidSpec"), None)
