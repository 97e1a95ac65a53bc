"""A pause that nobody answers in time: aborted or promoted at exactly that instant."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rollouts.api.rollout_status import Phase
from rollouts.api.strategy import OnTimeout
from tests.builders import START, blue_green, canary, pause, rollout, set_weight
from tests.fakes import FakeCluster


def waiting(strategy: object, **fields: object) -> FakeCluster:
    cluster = FakeCluster(rollout(strategy, **fields), services=("active",))  # type: ignore[arg-type]
    cluster.run()
    cluster.told.clear()
    cluster.deploy("v2")
    cluster.run()
    assert cluster.status.phase is Phase.PAUSED
    return cluster


def test_a_pause_that_nobody_answers_is_aborted_and_says_so() -> None:
    cluster = waiting(canary(set_weight(50), pause(timeout=600)))
    assert cluster.decide().requeue_at == START + timedelta(seconds=600)

    cluster.tick(599)
    assert cluster.status.phase is Phase.PAUSED
    cluster.tick(1)

    assert cluster.sizes() == {"v1": 4}
    why = cluster.status.abort_reason
    assert why is not None
    assert (why.reason, why.step, why.revision) == ("PauseTimeout", 1, 2)
    assert "step 2/2 (pause): nobody has promoted it within 10m" in why.message


def test_a_pause_that_nobody_answers_may_go_on_instead() -> None:
    cluster = waiting(canary(set_weight(50), pause(timeout=600, then=OnTimeout.PROMOTE)))

    cluster.tick(600)

    assert cluster.status.phase is Phase.HEALTHY
    assert cluster.sizes() == {"v2": 4}
    assert any("nobody has answered" in event.message for event in cluster.told)


def test_somebody_who_answers_in_time_is_obeyed() -> None:
    cluster = waiting(canary(set_weight(50), pause(timeout=600)))

    cluster.tick(500)
    cluster.promote()
    cluster.tick(100)

    assert cluster.status.phase is Phase.HEALTHY


def test_nothing_runs_out_while_a_person_holds_the_update() -> None:
    cluster = waiting(canary(set_weight(50), pause(timeout=600)))
    cluster.edit(paused=True)

    cluster.tick(3600)

    assert cluster.status.phase is Phase.PAUSED
    assert not cluster.status.abort


def test_a_retry_waits_the_whole_time_again() -> None:
    cluster = waiting(canary(set_weight(50), pause(timeout=600)))
    cluster.tick(600)
    cluster.retry()
    cluster.run()

    cluster.tick(599)
    assert cluster.status.phase is Phase.PAUSED
    cluster.tick(1)
    assert cluster.status.abort


def test_the_event_names_revision_step_and_what_happens_when() -> None:
    cluster = waiting(canary(set_weight(50), pause(timeout=600)))

    [told] = [event.message for event in cluster.told if event.reason == "RolloutPaused"]
    assert told == (
        "Revision 2 paused at step 2 of 2 until somebody promotes, aborted at 2026-01-01T12:10:00Z "
        "(CanaryPauseStep)"
    )


@pytest.mark.parametrize(("then", "serves"), [(OnTimeout.ABORT, "v1"), (OnTimeout.PROMOTE, "v2")])
def test_the_manual_promotion_of_blue_green_runs_out_too(then: OnTimeout, serves: str) -> None:
    strategy = blue_green(
        auto_promotion_enabled=False, promotion_timeout=timedelta(minutes=5), on_promotion_timeout=then
    )
    cluster = waiting(strategy)
    cluster.tick(299)
    assert cluster.selected("active") == "v1"

    cluster.tick(1)

    assert cluster.selected("active") == serves
    why = cluster.status.abort_reason
    assert (why.reason if why else "") == ("PauseTimeout" if then is OnTimeout.ABORT else "")


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        (canary(pause(5, timeout=10)), "spec.strategy.canary.steps[0].pause.timeout"),
        (blue_green(promotion_timeout=timedelta(minutes=1)), "spec.strategy.blueGreen.promotionTimeout"),
    ],
)
def test_a_timeout_that_nothing_waits_for_is_refused(strategy: object, message: str) -> None:
    cluster = FakeCluster(rollout(strategy), services=("active",))  # type: ignore[arg-type]
    cluster.run()

    assert cluster.status.message.startswith("InvalidSpec")
    assert message in cluster.status.message
