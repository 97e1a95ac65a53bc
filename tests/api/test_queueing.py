"""--max-concurrent-rollouts: the second update waits for the first, through a restart of the controller."""

from __future__ import annotations

import pytest

from tests.api.harness import Bench, Object, rollout, steps

pytestmark = pytest.mark.api


def is_queued(found: Object) -> bool:
    return "queuedAt" in found.get("status", {})


async def test_an_update_waits_until_another_one_has_ended(bench: Bench) -> None:
    async with bench.controller(max_concurrent_rollouts=1):
        for name in ("one", "two"):
            timed = steps({"setWeight": 50}, {"pause": {"duration": "1h"}})
            await bench.create(rollout(name, replicas=2, **timed))
            await bench.reaches(name, "Healthy")
        await bench.set_image("one", "web:2")
        await bench.reaches("one", "Paused")
        await bench.set_image("two", "web:2")
        await bench.becomes("Rollout", "two", is_queued)

    async with bench.controller(max_concurrent_rollouts=1):
        await bench.patch("Rollout", "two", {"metadata": {"annotations": {"rung": "again"}}})
        waiting = await bench.reaches("two", "Progressing")
        assert waiting["status"]["message"].startswith("queued: ")
        assert await bench.replicas("two") == {"1": 2}

        await bench.steer("one", abort=True)
        await bench.reaches("two", "Paused", currentStepIndex=1)
        assert not is_queued(await bench.get("Rollout", "two"))
