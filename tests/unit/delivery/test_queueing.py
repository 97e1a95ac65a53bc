"""Updates that wait for others: nothing of them begins, and what must not wait does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rollouts.api.meta import Names, ObjectMeta
from rollouts.api.rollout_status import PauseCondition, PauseReason, Phase, RolloutDuration, RolloutStatus
from rollouts.api.strategy import BlueGreenStrategy, CanaryStrategy
from rollouts.api.webhook import Webhook, WebhookType
from rollouts.delivery import queueing
from tests.builders import START, blue_green, canary, pause, rollout, set_weight, window
from tests.fakes import FakeCluster


def queued(strategy: CanaryStrategy | BlueGreenStrategy | None = None, **fields: object) -> FakeCluster:
    subject = rollout(strategy or canary(set_weight(50), pause()), **fields)  # type: ignore[arg-type]
    cluster = FakeCluster(subject, services=("active",))
    cluster.run()
    cluster.told.clear()
    cluster.admitted = False
    cluster.deploy("v2")
    cluster.run()
    return cluster


@pytest.mark.parametrize("strategy", [canary(), canary(set_weight(50), pause()), blue_green()])
def test_nothing_of_a_queued_update_begins(strategy: CanaryStrategy | BlueGreenStrategy) -> None:
    cluster = queued(strategy)

    assert cluster.sizes() == {"v1": 4}
    assert cluster.of("v2") is None
    assert cluster.status.queued_at == cluster.now
    assert cluster.status.phase is Phase.PROGRESSING
    assert cluster.status.message.startswith("queued: ")
    assert "RolloutQueued" in cluster.reasons()
    progressing = next(c for c in cluster.status.conditions if c.type == "Progressing")
    assert (progressing.status, progressing.reason) == ("True", "RolloutQueued")


def test_a_queued_update_writes_nothing_while_it_waits_and_has_no_deadline() -> None:
    cluster = queued(progress_deadline_abort=True, progress_deadline_seconds=60)
    writes = cluster.writes

    cluster.tick(3600)

    assert cluster.writes == writes
    assert not cluster.status.abort


def test_the_end_of_the_wait_is_written_before_there_are_pods() -> None:
    cluster = queued()
    cluster.admitted = True

    decided = cluster.decide()
    assert decided.actions == ()
    assert decided.status.queued_at is None

    cluster.run()
    assert cluster.sizes() == {"v1": 2, "v2": 2}
    assert cluster.reasons().count("RolloutDequeued") == 1


def test_an_update_that_has_begun_is_not_queued_any_more() -> None:
    cluster = FakeCluster(rollout(canary(set_weight(50), pause())))
    cluster.run()
    cluster.deploy("v2")
    cluster.run()
    before = cluster.sizes()

    cluster.admitted = False
    cluster.run()

    assert (cluster.sizes(), cluster.status.queued_at) == (before, None)


def test_a_newer_version_keeps_the_place_of_the_one_it_overtakes() -> None:
    cluster = queued()
    since = cluster.status.queued_at
    cluster.tick(60)

    cluster.deploy("v3")
    cluster.run()

    assert cluster.status.queued_at == since


def test_full_promotion_waits_for_nobody() -> None:
    cluster = queued()

    cluster.promote_full()
    cluster.run()

    assert cluster.status.phase is Phase.HEALTHY
    assert (cluster.sizes(), cluster.status.queued_at) == ({"v2": 4}, None)


def test_an_abort_of_a_queued_update_ends_the_wait() -> None:
    cluster = queued()

    cluster.abort()
    cluster.run()

    assert (cluster.status.phase, cluster.status.queued_at) == (Phase.DEGRADED, None)


def test_a_retry_takes_its_place_in_line() -> None:
    cluster = queued()
    cluster.abort()
    cluster.run()

    cluster.retry()
    cluster.run()

    assert cluster.status.queued_at is not None
    assert cluster.sizes() == {"v1": 4}


def test_a_fast_rollback_and_going_back_to_stable_wait_for_nobody() -> None:
    cluster = FakeCluster(rollout(canary(set_weight(50), pause()), rollback_window=window(1)))
    for version in ("v1", "v2"):
        cluster.deploy(version)
        cluster.run()
        cluster.promote_full()
        cluster.tick(60)
    cluster.admitted = False

    cluster.deploy("v1")
    cluster.run()

    assert cluster.sizes() == {"v1": 4}
    queued_one = queued()
    queued_one.deploy("v1")
    queued_one.run()
    assert (queued_one.status.phase, queued_one.status.queued_at) == (Phase.HEALTHY, None)


def test_no_webhook_is_asked_before_the_update_begins() -> None:
    hooks = tuple(
        Webhook(kind.value, "http://gate/", kind)
        for kind in (WebhookType.CONFIRM_ROLLOUT, WebhookType.ROLLBACK)
    )
    cluster = queued(canary(set_weight(50), webhooks=hooks))
    assert cluster.calls == ()

    cluster.admitted = True
    cluster.run()
    assert len(cluster.calls) == 2


def test_scaling_is_served_while_an_update_waits() -> None:
    cluster = queued()

    cluster.edit(replicas=6)
    cluster.run()

    assert cluster.sizes() == {"v1": 6}


GOING_ON = RolloutStatus(phase=Phase.PROGRESSING, stable_rs="a", current_pod_hash="b")
TIMED = (PauseCondition(PauseReason.CANARY_PAUSE_STEP, START),)
GATE = (PauseCondition(PauseReason.WEBHOOK_GATE, START),)
BY_PERSON = RolloutDuration(rollout_started_at=START, manual_pause_started_at=START)


@pytest.mark.parametrize(
    ("status", "holds"),
    [
        (GOING_ON, True),
        (replace(GOING_ON, stable_rs=""), False),
        (replace(GOING_ON, stable_rs="b"), False),
        (replace(GOING_ON, abort=True), False),
        (replace(GOING_ON, queued_at=START), False),
        (replace(GOING_ON, phase=Phase.DEGRADED), False),
        (replace(GOING_ON, phase=Phase.PAUSED), False),
        (replace(GOING_ON, phase=Phase.PAUSED, pause_conditions=TIMED), True),
        (replace(GOING_ON, phase=Phase.PAUSED, pause_conditions=TIMED, duration=BY_PERSON), False),
        (replace(GOING_ON, phase=Phase.PAUSED, pause_conditions=GATE), False),
    ],
)
def test_what_holds_a_slot(status: RolloutStatus, holds: bool) -> None:
    assert queueing.is_going_on(status) is holds


@pytest.mark.parametrize(("text", "number"), [("", 0), ("7", 7), ("-3", -3), ("high", 0), ("9" * 40, 0)])
def test_a_priority_is_a_number(text: str, number: int) -> None:
    names = Names()
    metadata = ObjectMeta("web", annotations={names.update_priority_annotation: text})

    assert queueing.priority(metadata, names) == number
