"""Services of a Rollout on a real API server: whose they are, and that they are given back."""

from __future__ import annotations

import pytest

from tests.api.harness import Bench, Object, rollout, service

pytestmark = pytest.mark.api

HASH = "rollouts-pod-template-hash"
MANAGED_BY = "argo-rollouts.rollouts.dev/managed-by-rollouts"


async def test_services_are_given_back_when_the_rollout_is_deleted(bench: Bench) -> None:
    async with bench.controller():
        await bench.create(service("web"))
        await bench.create(rollout(blueGreen={"activeService": "web"}))
        await bench.reaches("web", "Healthy")
        taken = await bench.get("Service", "web")
        assert taken["metadata"]["annotations"][MANAGED_BY] == "web"

        await bench.delete("Rollout", "web")
        await bench.becomes("Service", "web", _is_free)


async def test_a_service_that_the_spec_names_no_more_is_given_back(bench: Bench) -> None:
    async with bench.controller():
        await bench.create(service("web"))
        await bench.create(service("web-2"))
        await bench.create(rollout(blueGreen={"activeService": "web"}))
        await bench.reaches("web", "Healthy")

        strategy = {"blueGreen": {"activeService": "web-2"}}
        await bench.patch("Rollout", "web", {"spec": {"strategy": strategy}})
        await bench.becomes("Service", "web", _is_free)
        await bench.reaches("web", "Healthy")

    taken = await bench.get("Service", "web-2")
    assert taken["metadata"]["annotations"][MANAGED_BY] == "web"


async def test_a_service_orphaned_while_no_controller_ran_is_given_back(bench: Bench) -> None:
    async with bench.controller():
        await bench.create(service("web"))
        await bench.create(rollout(blueGreen={"activeService": "web"}))
        await bench.reaches("web", "Healthy")
    await bench.delete("Rollout", "web")

    async with bench.controller():
        await bench.becomes("Service", "web", _is_free)


async def test_a_second_rollout_on_a_service_is_told_and_takes_over_when_the_first_is_gone(
    bench: Bench,
) -> None:
    async with bench.controller():
        await bench.create(service("web"))
        await bench.create(rollout("web", blueGreen={"activeService": "web"}))
        await bench.reaches("web", "Healthy")
        rival = rollout("rival", blueGreen={"activeService": "web"})
        rival["spec"]["selector"] = {"matchLabels": {"app": "web"}}
        rival["spec"]["template"]["metadata"]["labels"] = {"app": "web"}
        await bench.create(rival)
        refused = await bench.reaches("rival", "Degraded")
        assert "Rollout web uses this Service too" in refused["status"]["message"]
        await bench.set_image("web", "web:2")
        await bench.reaches("web", "Healthy")

        await bench.delete("Rollout", "web")
        await bench.reaches("rival", "Healthy")


def _is_free(found: Object) -> bool:
    return HASH not in found["spec"]["selector"] and MANAGED_BY not in found["metadata"].get(
        "annotations", {}
    )
