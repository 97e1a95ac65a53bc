"""The verbs of the command line, on a real API server with the controller beside them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.api.harness import Bench, eventually, rollout, steps
from tests.api.test_experiments import experiment, pods

pytestmark = pytest.mark.api


@dataclass(frozen=True, slots=True)
class Answer:
    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Shell:
    """The program in a process of its own, in the test's namespace."""

    bench: Bench

    async def __call__(self, *words: str) -> Answer:
        process = await self.start(*words)
        out, err = await process.communicate()
        assert process.returncode is not None
        return Answer(process.returncode, out.decode(), err.decode())

    async def start(self, *words: str) -> asyncio.subprocess.Process:
        where = ("-n", self.bench.namespace, "--kubeconfig", str(self.bench.kubeconfig))
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "rollouts", *where, *words),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )


@pytest.fixture
def shell(bench: Bench) -> Shell:
    return Shell(bench)


async def paused(bench: Bench) -> None:
    """A canary of revision 2 that waits at its pause step."""
    await bench.create(rollout(**steps({"setWeight": 40}, {"pause": {}}, {"setWeight": 60}, {"pause": {}})))
    await bench.reaches("web", "Healthy")
    await bench.set_image("web", "web:2")
    await bench.reaches("web", "Paused")


async def test_a_release_is_steered_word_by_word(bench: Bench, shell: Shell) -> None:
    async with bench.controller():
        await paused(bench)

        promoted = await shell("promote", "web")
        await bench.reaches("web", "Paused", currentStepIndex=3)
        aborted = await shell("abort", "web")
        await bench.reaches("web", "Degraded", abort=True)
        told = await shell("status", "web")
        retried = await shell("retry", "web")
        await bench.reaches("web", "Paused", currentStepIndex=1)
        full = await shell("promote", "web", "--full")
        healthy = await shell("status", "web", "--timeout", "60s")

    assert promoted == Answer(0, "rollout 'web' promoted (was at step 1/4)\n", "")
    assert aborted == Answer(0, "rollout 'web' aborted\n", "")
    assert told.code == 1
    assert "see: rollouts get web" in told.err
    assert retried == Answer(0, "rollout 'web' retried\n", "")
    assert full.code == 0
    assert healthy.code == 0
    assert healthy.out.splitlines()[-1] == "Healthy"


async def test_a_person_holds_an_update_and_lets_it_go(bench: Bench, shell: Shell) -> None:
    async with bench.controller():
        await bench.create(rollout(**steps({"setWeight": 40})))
        await bench.reaches("web", "Healthy")

        assert (await shell("pause", "web")).code == 0
        assert (await shell("set", "image", "web", "main=web:2")).out == "rollout 'web' image updated\n"
        await bench.reaches("web", "Paused")
        waiting = await shell("status", "web", "--timeout", "1s")
        resumed = await shell("resume", "web")
        await bench.reaches("web", "Healthy")

    assert waiting.code == 3
    assert "after 1s; see: rollouts get web" in waiting.err
    assert resumed == Answer(0, "rollout 'web' resumed\n", "")


async def test_undo_goes_back_and_history_shows_it(bench: Bench, shell: Shell) -> None:
    async with bench.controller():
        await bench.create(rollout())
        await bench.reaches("web", "Healthy")
        await bench.set_image("web", "web:2")
        await bench.reaches("web", "Healthy")

        undone = await shell("undo", "web")
        await bench.reaches("web", "Healthy")
        history = await shell("history", "web", "-o", "json")
        again = await shell("undo", "web", "--to-revision", "9")

    assert undone == Answer(0, "rollout 'web' undone to revision 1\n", "")
    revisions = json.loads(history.out)["revisions"]
    assert [(r["revision"], r["roles"], r["images"]) for r in revisions] == [
        (3, ["stable"], ["web:1"]),
        (2, [], ["web:2"]),
    ]
    assert again.code == 1
    assert "rollout web has no revision 9; it has 3, 2" in again.err


async def test_restart_replaces_the_pods_of_the_same_revision(bench: Bench, shell: Shell) -> None:
    async def uids() -> set[str]:
        pods = [p for p in await bench.list("Pod") if "deletionTimestamp" not in p["metadata"]]
        return {p["metadata"]["uid"] for p in pods}

    async with bench.controller():
        await bench.create(rollout(replicas=2))
        await bench.reaches("web", "Healthy")
        before = await uids()

        restarted = await shell("restart", "web")

        async def replaced() -> bool:
            now = await uids()
            return len(now) == 2 and not now & before

        await eventually(replaced, seconds=60)

    assert restarted == Answer(0, "rollout 'web' restarts\n", "")


async def test_get_and_list_show_where_it_stands(bench: Bench, shell: Shell) -> None:
    async with bench.controller():
        await paused(bench)

        listed = await shell("list")
        shown = await shell("get", "web")
        raw = await shell("get", "web", "-o", "json")

    columns = listed.out.splitlines()[1].split()
    assert columns[:5] == ["web", "Paused", "Canary", "1/4", "33"]
    assert "▶ 2  pause until promoted" in shown.out
    assert "Next     rollouts promote web, or: rollouts abort web" in shown.out
    assert "revision 2  canary" in shown.out
    assert json.loads(raw.out)["metadata"]["name"] == "web"


async def test_an_experiment_is_seen_ended_and_run_again(bench: Bench, shell: Shell) -> None:
    async with bench.controller():
        await bench.create(experiment("gc", pods("only"), duration="1h"))
        await bench.ends("Experiment", "gc", "Running")

        shown, listed, early = await asyncio.gather(
            shell("get", "experiment", "gc"), shell("list", "experiments"), shell("retry", "experiment", "gc")
        )
        terminated = await shell("terminate", "experiment", "gc")
        await bench.ends("Experiment", "gc", "Successful")
        retried = await shell("retry", "experiment", "gc")
        await bench.becomes(
            "Experiment", "gc", lambda found: found.get("status", {}).get("phase") == "Running"
        )

    assert "template only  Running  gc-only  1/1 available  web:1" in shown.out
    assert listed.out.splitlines()[1].split()[:4] == ["gc", "Running", "only", "1/1"]
    assert (early.code, "is Running: there is nothing to retry" in early.err) == (1, True)
    assert terminated == Answer(0, "experiment 'gc' terminated\n", "")
    assert retried == Answer(0, "experiment 'gc' retried\n", "")


async def test_a_watch_prints_a_line_for_every_change_and_ends_with_the_object(
    bench: Bench, shell: Shell
) -> None:
    async with bench.controller():
        await paused(bench)
        watch = await shell.start("get", "web", "-w")
        assert watch.stdout is not None

        first = (await asyncio.wait_for(watch.stdout.readline(), 30)).decode()
        await bench.steer("web", promoteFull=True)
        await _line_with(watch.stdout.readline, "Healthy")
        ref = bench.resource("Rollout").ref("web", bench.namespace)
        await bench.kube.delete(ref)
        await _line_with(watch.stdout.readline, "rollout 'web' is gone")

    assert "Paused  step 1/4" in first
    assert await watch.wait() == 0


async def test_a_name_that_is_not_there_suggests_near_ones(bench: Bench, shell: Shell) -> None:
    await bench.create(rollout("checkout"))

    answer = await shell("get", "chekout")

    where = f"namespace {bench.namespace}"
    assert answer == Answer(1, "", f"error: rollout chekout not found in {where}; did you mean checkout?\n")


async def test_a_group_that_is_not_there_says_how_to_install_it(shell: Shell) -> None:
    answer = await shell("list", "--api-group", "nowhere.example")

    assert answer.code == 1
    assert "no rollouts.nowhere.example; install the CRDs (rollouts crds | kubectl apply -f -)" in answer.err


async def test_verbs_refuse_what_makes_no_sense(bench: Bench, shell: Shell) -> None:
    async with bench.controller():
        await bench.create(rollout())
        await bench.reaches("web", "Healthy")

        abort, retry, promote = (
            await shell("abort", "web"),
            await shell("retry", "web"),
            await shell("promote", "web"),
        )

    assert abort.code == 1
    assert "has no update to abort" in abort.err
    assert retry.code == 1
    assert "is not aborted" in retry.err
    assert promote == Answer(0, "rollout 'web' has nothing to promote\n", "")


async def _line_with(readline: Callable[[], object], text: str) -> None:
    async def found() -> bool:
        line = (await readline()).decode()  # type: ignore[misc]
        assert line, f"the watch ended before it said {text}"
        return text in line

    await eventually(found, seconds=60)
