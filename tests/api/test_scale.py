"""The scale subresource, as an autoscaler reads and writes it."""

from __future__ import annotations

import pytest

from tests.api.harness import Bench, eventually, rollout, steps

pytestmark = pytest.mark.api


async def scale(bench: Bench) -> tuple[int, int]:
    """What is asked for, and what is told."""
    found = await bench.kube.get(bench.resource("Rollout").ref("web", bench.namespace), subresource="scale")
    return found["spec"]["replicas"], found["status"]["replicas"]


async def test_an_autoscaler_shares_out_at_the_weight_and_is_told_of_no_surge(bench: Bench) -> None:
    async with bench.controller():
        strategy = steps({"setWeight": 25}, {"pause": {}})
        strategy["canary"] |= {"maxSurge": "100%", "maxUnavailable": 0}
        await bench.create(rollout(replicas=8, **strategy))
        await bench.reaches("web", "Healthy")
        await bench.set_image("web", "web:2")
        await bench.reaches("web", "Paused")
        assert await scale(bench) == (8, 8)

        await bench.patch("Rollout", "web", {"spec": {"replicas": 4}}, subresource="scale")
        await eventually(lambda: shared(bench, {"1": 3, "2": 1}))
        assert await eventually(lambda: told(bench, (4, 4)))

        await bench.patch("Rollout", "web", {"spec": {"replicas": 12}}, subresource="scale")
        await eventually(lambda: shared(bench, {"1": 9, "2": 3}))


async def shared(bench: Bench, wanted: dict[str, int]) -> bool:
    return await bench.replicas("web") == wanted


async def told(bench: Bench, wanted: tuple[int, int]) -> bool:
    return await scale(bench) == wanted
