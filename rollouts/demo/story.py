"""The story: releases good and bad, what the controller makes of them, and what on-call does.

Every claim is checked against the API server and against where the requests really went.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from rollouts.demo import manifests
from rollouts.demo.controller import ControllerProcess
from rollouts.demo.manifests import BLUE_GREEN, CANARY, Release
from rollouts.demo.screen import Screen
from rollouts.demo.state import State, read, until
from rollouts.demo.team import Team
from rollouts.errors import RolloutsError
from rollouts.kube import Kube, resources

_WAIT_SECONDS = 90.0
_POLLS = 4


@dataclass(frozen=True, slots=True)
class Check:
    """One assertion and how it came out."""

    text: str
    passed: bool
    detail: str = ""


@dataclass(slots=True)
class Stage:
    """What the chapters act on."""

    screen: Screen
    kube: Kube
    team: Team
    controller: ControllerProcess
    kubeconfig: Path
    traffic_url: str
    repository_url: str
    secret: str
    checks: list[Check] = field(default_factory=list)

    async def expect(
        self, text: str, condition: Callable[[State], bool], *, seconds: float = _WAIT_SECONDS
    ) -> None:
        """Wait for `condition`, showing the cluster; record how it came out."""
        passed = await until(self.kube, condition, seconds=seconds, seen=self._see)
        self.record(text, passed=passed, detail="" if passed else f"not within {seconds:.0f} s")

    def _see(self, state: State) -> None:
        self.screen.show(state)
        if self.controller.has_died():
            raise RolloutsError(f"the controller has ended; its log is in {self.controller.log}")

    async def holds(self, text: str, condition: Callable[[State], bool]) -> None:
        """`condition` is true now."""
        self.record(text, passed=condition(await read(self.kube)))

    def record(self, text: str, *, passed: bool, detail: str = "") -> None:
        self.checks.append(Check(text, passed, detail))
        self.screen.check(text, passed=passed)

    async def run(self, *words: str) -> int:
        """A command as on-call types it."""
        self.screen.remark(f"$ kubectl rollouts {' '.join(words)} -n {manifests.NAMESPACE}")
        arguments = (*words, "-n", manifests.NAMESPACE, "--kubeconfig", str(self.kubeconfig))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "rollouts",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        for line in output.decode().splitlines():
            self.screen.remark(f"    {line}")
        return process.returncode or 0

    async def served(self, service: str) -> dict[str, int]:
        """Requests so far by pod template hash, from the traffic model."""
        async with httpx.AsyncClient(trust_env=False) as client:
            totals = (await client.get(f"{self.traffic_url}/served")).json()
        return _by_hash(totals, service)


async def tell(stage: Stage) -> tuple[Check, ...]:
    """Play all chapters in order."""
    await _first_deploy(stage)
    await _good_commit(stage)
    bad = await _bad_commit(stage)
    await _not_retried(stage, bad)
    await _fix(stage)
    await _on_call(stage)
    return tuple(stage.checks)


async def _first_deploy(stage: Stage) -> None:
    stage.screen.chapter(
        1,
        "First deploy",
        "The team pushes; the Application pulls, applies and waits until everything is healthy.",
    )
    commit = stage.team.push(Release("v1", "hello"), "Open the shop")
    await stage.kube.create(
        resources.APPLICATION,
        manifests.application(stage.repository_url, stage.secret),
        field_manager="rollouts-demo",
    )
    await stage.expect("v1 is deployed: Synced, Healthy, last good", lambda s: _is_good(s, commit, "v1"))


async def _good_commit(stage: Stage) -> None:
    stage.screen.chapter(
        2,
        "A good commit is promoted",
        "web goes 20 % -> analysis -> 60 % -> 100 %; api comes up beside the old one, is analysed and switched.",
    )
    commit = stage.team.push(Release("v2", "hello again"), "Say hello again")
    await stage.expect("v2 is promoted and last good", lambda s: _is_good(s, commit, "v2"))
    await stage.holds(
        "both analyses were Successful",
        lambda s: (
            all(s.rollout(n).get("phase") == "Healthy" for n in (CANARY, BLUE_GREEN)) and _succeeded(s) >= 2
        ),
    )
    await stage.holds(
        "the active Service of api selects the new pods",
        lambda s: s.selects(BLUE_GREEN) == s.rollout(BLUE_GREEN).get("stableRS"),
    )


async def _bad_commit(stage: Stage) -> str:
    stage.screen.chapter(
        3,
        "A bad commit is put back, all of it",
        "web v3 fails 20 % of its requests; the same commit changes the config and adds an object.",
    )
    before = await stage.served(CANARY)
    release = Release("v3", "HELLO!!", error_rate="0.2", added_object=True)
    commit = stage.team.push(release, "Shout, and add promotions")
    await stage.expect("Prometheus sees the errors: web is aborted", lambda s: _was_aborted(s, commit))
    await stage.expect(
        "the revision is quarantined and Git is left ahead", lambda s: _is_quarantined(s, commit)
    )
    await stage.expect("the whole last good revision is back", lambda s: _runs(s, "v2", "hello again"))
    stage.screen.remark("What on-call reads in `kubectl get application shop`:")
    stage.screen.remark(f"    {_ready_message(await read(stage.kube))}")
    await _traffic_went_to_stable(stage, before)
    return commit


async def _traffic_went_to_stable(stage: Stage, before: dict[str, int]) -> None:
    stable = (await read(stage.kube)).rollout(CANARY).get("stableRS", "")
    served = {h: n - before.get(h, 0) for h, n in (await stage.served(CANARY)).items() if h}
    share = 100 * sum(n for h, n in served.items() if h != stable) / max(1, sum(served.values()))
    stage.record(f"users hardly met it: {share:.1f} % of the requests reached v3", passed=0 < share < 30)


async def _not_retried(stage: Stage, bad: str) -> None:
    stage.screen.chapter(
        4,
        "It is not deployed again",
        "Polls, a drift edit, a killed controller and an unrelated commit; none of them lifts the quarantine.",
    )
    runs = len((await read(stage.kube)).analysis_runs)
    for _ in range(_POLLS):
        await stage.run("app", "sync", manifests.APPLICATION)
    stage.screen.remark("kill -9 the controller and start it again")
    stage.controller.kill()
    stage.controller.start()
    stage.team.note("The shop is closed on Sundays.")
    await _edit_by_hand(stage)
    await stage.expect(
        "the hand edit is healed to the last good value",
        lambda s: _runs(s, "v2", "hello again") and "edited" not in _config(s),
    )
    await stage.holds(
        "the bad revision is still quarantined", lambda s: _quarantine(s).get("revision", "").endswith(bad)
    )
    await stage.holds("no analysis was started again", lambda s: len(s.analysis_runs) == runs)


async def _edit_by_hand(stage: Stage) -> None:
    stage.screen.remark(f"$ kubectl patch configmap {manifests.CONFIG} (greeting: broken, edited: by hand)")
    ref = resources.CONFIG_MAP.ref(manifests.CONFIG, manifests.NAMESPACE)
    await stage.kube.merge_patch(ref, {"data": {"greeting": "broken by hand"}}, field_manager="kubectl-edit")


async def _fix(stage: Stage) -> None:
    stage.screen.chapter(
        5, "A fix is promoted", "New content in Git: the quarantine of v3 does not touch it."
    )
    commit = stage.team.push(
        Release("v4", "hello, fixed", added_object=True), "Fix the errors, keep the promotions"
    )
    await stage.expect("v4 is promoted and last good", lambda s: _is_good(s, commit, "v4"))
    await stage.expect("the added object is there now", lambda s: manifests.ADDED in s.config_maps)


async def _on_call(stage: Stage) -> None:
    stage.screen.chapter(
        6,
        "On-call decides",
        "v5 waits at 20 % for a person, who first aborts it, then retries and promotes it.",
    )
    commit = stage.team.push(Release("v5", "hello, five", added_object=True, gate=True), "Wait for a person")
    await stage.expect("web waits at its gate", lambda s: _waits(s, commit))
    code = await stage.run("abort", CANARY)
    stage.record("abort is accepted", passed=code == 0)
    await stage.expect(
        "v4 serves everything again", lambda s: _runs(s, "v4", "hello, fixed") and _is_quarantined(s, commit)
    )
    code = await stage.run("app", "retry", manifests.APPLICATION)
    stage.record("retry is accepted", passed=code == 0)
    await stage.expect("web waits at its gate again", lambda s: _waits(s, commit))
    code = await stage.run("promote", CANARY)
    stage.record("promote is accepted", passed=code == 0)
    await stage.expect("v5 is promoted and last good", lambda s: _is_good(s, commit, "v5"))


def _is_good(state: State, commit: str, version: str) -> bool:
    app = state.app
    return (
        (app.get("sync") or {}).get("status") == "Synced"
        and (app.get("health") or {}).get("status") == "Healthy"
        and all(str(app.get(f, "")).endswith(commit) for f in ("lastGoodRevision", "runningRevision"))
        and all(state.version(n) == version for n in (CANARY, BLUE_GREEN))
    )


def _was_aborted(state: State, commit: str) -> bool:
    aborted = state.rollout(CANARY).get("abort") is True
    return aborted or _quarantine(state).get("revision", "").endswith(commit)


def _is_quarantined(state: State, commit: str) -> bool:
    ahead = str(state.app.get("desiredRevision", "")).endswith(commit)
    return ahead and _quarantine(state).get("revision", "").endswith(commit)


def _runs(state: State, version: str, greeting: str) -> bool:
    """All pods of both, the config, and the set of objects are those of one release."""
    added = manifests.ADDED in state.config_maps
    return (
        all(
            state.version(n) == version and state.rollout(n).get("phase") == "Healthy"
            for n in (CANARY, BLUE_GREEN)
        )
        and _config(state).get("greeting") == greeting
        and added == (version not in ("v1", "v2"))
    )


def _waits(state: State, commit: str) -> bool:
    paused = state.rollout(CANARY).get("phase") == "Paused"
    return paused and str(state.app.get("attemptedRevision", "")).endswith(commit)


def _config(state: State) -> dict[str, Any]:
    return dict(state.config_maps.get(manifests.CONFIG, {}).get("data") or {})


def _quarantine(state: State) -> dict[str, Any]:
    """The newest quarantined revision; empty when there is none."""
    entries = state.app.get("quarantine") or [{}]
    return dict(entries[0])


def _ready_message(state: State) -> str:
    conditions = state.app.get("conditions") or ()
    return next((str(c.get("message", "")) for c in conditions if c["type"] == "Ready"), "")


def _succeeded(state: State) -> int:
    return sum((r.get("status") or {}).get("phase") == "Successful" for r in state.analysis_runs)


def _by_hash(totals: Any, service: str) -> dict[str, int]:
    hashes = totals.get(f"{manifests.NAMESPACE}/{service}", {}).get("hashes", {})
    return {pod_template_hash: sum(codes.values()) for pod_template_hash, codes in hashes.items()}
