"""Webhooks: gates hold, checks end an update, a rollback hook ends it too; an answer counts once it is written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from rollouts.api.rollout_status import Phase
from rollouts.api.strategy import BlueGreenStrategy, CanaryStrategy
from rollouts.api.webhook import Webhook, WebhookPhase, WebhookType
from tests.builders import blue_green, canary, pause, rollout, set_weight
from tests.fakes import FakeCluster

Says = Callable[[str], bool | None]
"""By name: yes, no, or None for no answer."""


def hook(kind: WebhookType, *, retries: int = 0, name: str = "") -> Webhook:
    return Webhook(name or kind.value, "http://gate/", kind, retries=retries)


def updating(strategy: CanaryStrategy | BlueGreenStrategy) -> FakeCluster:
    """Version 2 has just been deployed."""
    cluster = FakeCluster(rollout(strategy), services=("active",))
    cluster.run()
    cluster.told.clear()
    cluster.deploy("v2")
    cluster.run()
    return cluster


def asked(cluster: FakeCluster) -> list[str]:
    return [call.webhook.name for call in cluster.calls]


def say(cluster: FakeCluster, name: str, *, ok: bool) -> None:
    call = next(call for call in cluster.calls if call.webhook.name == name)
    cluster.now = max(cluster.now, call.at)
    cluster.answer(call, ok=ok)
    cluster.run()


@pytest.mark.parametrize("steps", [(set_weight(50), pause()), ()])
def test_no_pod_of_the_update_before_confirm_rollout_says_yes(steps: tuple[object, ...]) -> None:
    cluster = updating(canary(*steps, webhooks=(hook(WebhookType.CONFIRM_ROLLOUT),)))  # type: ignore[arg-type]

    assert cluster.size("v2") == 0
    assert asked(cluster) == ["confirm-rollout"]
    assert (cluster.status.phase, cluster.status.gated) == (Phase.PROGRESSING, True)

    say(cluster, "confirm-rollout", ok=False)
    assert cluster.size("v2") == 0
    assert cluster.status.phase is Phase.PAUSED
    assert cluster.status.message == "WebhookGate: confirm-rollout (confirm-rollout) says HTTP 403"

    say(cluster, "confirm-rollout", ok=True)
    assert cluster.size("v2") > 0
    assert cluster.reasons().count("RolloutPaused") == 1 + bool(steps)
    assert asked(cluster) == []


def test_the_first_deployment_asks_nobody() -> None:
    cluster = FakeCluster(rollout(canary(webhooks=tuple(hook(kind) for kind in WebhookType))))
    cluster.run()

    assert cluster.status.phase is Phase.HEALTHY
    assert cluster.calls == ()


def test_an_answer_is_written_before_it_has_an_effect() -> None:
    cluster = updating(canary(set_weight(50), pause(), webhooks=(hook(WebhookType.CONFIRM_ROLLOUT),)))
    cluster.answer(cluster.calls[0], ok=True)

    decided = cluster.decide()

    assert decided.actions == ()
    assert decided.status.webhooks[0].phase is WebhookPhase.SUCCESSFUL


def test_refusals_are_asked_again_later_and_later() -> None:
    cluster = updating(canary(webhooks=(hook(WebhookType.CONFIRM_ROLLOUT),)))
    waits = []
    for _ in range(6):
        cluster.answer(cluster.calls[0], ok=False)
        cluster.run()
        waits.append((cluster.calls[0].at - cluster.now).total_seconds())
        cluster.now = cluster.calls[0].at

    assert waits == [1, 2, 4, 8, 10, 10]
    assert cluster.reasons().count("RolloutPaused") == 1


def test_a_refusal_with_the_same_words_writes_nothing() -> None:
    cluster = updating(canary(webhooks=(hook(WebhookType.CONFIRM_ROLLOUT),)))
    say(cluster, "confirm-rollout", ok=False)
    writes = cluster.writes

    for _ in range(5):
        say(cluster, "confirm-rollout", ok=False)

    assert cluster.writes == writes


def test_each_increase_is_confirmed() -> None:
    steps = (set_weight(25), pause(10), set_weight(50), set_weight(0), set_weight(75))
    cluster = updating(canary(*steps, webhooks=(hook(WebhookType.CONFIRM_TRAFFIC_INCREASE),)))

    reached = []
    for _ in range(3):
        assert asked(cluster) == ["confirm-traffic-increase"]
        reached.append((cluster.status.current_step_index, cluster.size("v2")))
        say(cluster, "confirm-traffic-increase", ok=True)
        cluster.tick(10)

    assert reached == [(0, 0), (2, 1), (4, 0)]
    assert cluster.status.phase is Phase.HEALTHY


def test_the_promotion_is_confirmed_with_the_last_weight_in_force() -> None:
    cluster = updating(canary(set_weight(50), webhooks=(hook(WebhookType.CONFIRM_PROMOTION),)))
    assert (cluster.sizes(), cluster.status.step) == ({"v1": 2, "v2": 2}, "1/1")

    say(cluster, "confirm-promotion", ok=False)
    assert (cluster.sizes(), cluster.status.phase) == ({"v1": 2, "v2": 2}, Phase.PAUSED)

    say(cluster, "confirm-promotion", ok=True)
    assert cluster.status.phase is Phase.HEALTHY


def test_at_full_weight_the_set_is_not_stable_before_the_promotion_is_confirmed() -> None:
    cluster = updating(canary(set_weight(100), webhooks=(hook(WebhookType.CONFIRM_PROMOTION),)))

    assert cluster.sizes() == {"v2": 4}
    assert cluster.status.stable_rs == "hash-v1"

    say(cluster, "confirm-promotion", ok=True)
    assert cluster.status.stable_rs == "hash-v2"


def test_a_person_promotes_past_a_gate() -> None:
    cluster = updating(canary(set_weight(50), pause(), webhooks=(hook(WebhookType.CONFIRM_ROLLOUT),)))
    say(cluster, "confirm-rollout", ok=False)

    cluster.promote()
    cluster.run()

    assert cluster.status.webhooks[0].message == "promoted by a person"
    assert cluster.size("v2") == 2


def test_full_promotion_asks_nobody() -> None:
    cluster = updating(canary(set_weight(50), webhooks=(hook(WebhookType.CONFIRM_ROLLOUT),)))
    say(cluster, "confirm-rollout", ok=False)

    cluster.promote_full()
    cluster.run()

    assert cluster.status.phase is Phase.HEALTHY


def test_a_gate_that_is_taken_out_of_the_spec_holds_nothing() -> None:
    strategy = canary(set_weight(50), webhooks=(hook(WebhookType.CONFIRM_ROLLOUT),))
    cluster = updating(strategy)
    say(cluster, "confirm-rollout", ok=False)

    cluster.edit(strategy=rollout(canary(set_weight(50))).spec.strategy)
    cluster.run()

    assert cluster.status.phase is Phase.HEALTHY


def test_a_gate_that_comes_during_a_step_takes_no_weight_back() -> None:
    cluster = updating(canary(set_weight(50), pause(), set_weight(75), pause()))
    assert cluster.size("v2") == 2

    gate = hook(WebhookType.CONFIRM_TRAFFIC_INCREASE)
    strategy = canary(set_weight(50), pause(), set_weight(75), pause(), webhooks=(gate,))
    cluster.edit(strategy=rollout(strategy).spec.strategy)
    cluster.run()
    assert cluster.size("v2") == 2

    cluster.promote()
    cluster.run()
    assert (asked(cluster), cluster.size("v2")) == (["confirm-traffic-increase"], 2)


@pytest.mark.parametrize("kind", [WebhookType.PRE_ROLLOUT, WebhookType.ROLLOUT])
def test_a_check_that_fails_after_its_retries_ends_the_update(kind: WebhookType) -> None:
    cluster = updating(canary(set_weight(50), pause(), webhooks=(hook(kind, retries=2),)))

    for _ in range(2):
        say(cluster, kind.value, ok=False)
        assert not cluster.status.abort
    say(cluster, kind.value, ok=False)

    reason = cluster.status.abort_reason
    assert reason is not None
    assert (reason.reason, reason.webhook, reason.step) == ("WebhookFailed", kind.value, 0)
    assert "failed: 3 calls: HTTP 403" in reason.message
    assert cluster.sizes() == {"v1": 4}
    assert "WebhookFailed" in cluster.reasons()
    assert cluster.calls == ()


def test_a_rollout_hook_is_called_once_a_weight() -> None:
    cluster = updating(
        canary(set_weight(25), pause(5), set_weight(50), webhooks=(hook(WebhookType.ROLLOUT),))
    )

    sizes = []
    for _ in range(2):
        sizes.append(cluster.size("v2"))
        say(cluster, "rollout", ok=True)
        cluster.tick(5)

    assert sizes == [1, 2]
    assert cluster.status.phase is Phase.HEALTHY


def test_without_steps_a_rollout_hook_is_called_before_the_set_is_stable() -> None:
    cluster = updating(canary(webhooks=(hook(WebhookType.ROLLOUT),)))
    assert (cluster.size("v2"), cluster.status.stable_rs) == (4, "hash-v1")

    say(cluster, "rollout", ok=True)
    assert cluster.status.stable_rs == "hash-v2"


def test_a_rollback_hook_ends_the_update_whatever_it_waits_for() -> None:
    cluster = updating(canary(set_weight(50), pause(), webhooks=(hook(WebhookType.ROLLBACK),)))
    cluster.edit(paused=True)
    cluster.run()
    writes = cluster.writes

    for _ in range(3):
        at = cluster.now
        say(cluster, "rollback", ok=False)
        assert cluster.calls[0].at - max(at, cluster.now) == timedelta(seconds=10)
    assert cluster.writes == writes

    say(cluster, "rollback", ok=True)
    assert cluster.status.abort_reason is not None
    assert cluster.status.abort_reason.reason == "WebhookRollback"
    assert cluster.sizes() == {"v1": 4}


def test_an_abort_waits_for_no_webhook() -> None:
    kinds = (WebhookType.CONFIRM_ROLLOUT, WebhookType.ROLLBACK)
    cluster = updating(canary(set_weight(50), webhooks=tuple(hook(kind) for kind in kinds)))

    cluster.abort()
    cluster.run()

    assert cluster.status.phase is Phase.DEGRADED
    assert cluster.calls == ()


@pytest.mark.parametrize(("aborted", "phase"), [(False, "Succeeded"), (True, "Failed")])
def test_post_rollout_is_told_once_how_it_ended(aborted: bool, phase: str) -> None:
    cluster = updating(canary(set_weight(50), pause(), webhooks=(hook(WebhookType.POST_ROLLOUT),)))
    assert cluster.calls == ()

    (cluster.abort if aborted else cluster.promote)()
    cluster.run()

    assert [(call.webhook.name, call.phase) for call in cluster.calls] == [("post-rollout", phase)]
    say(cluster, "post-rollout", ok=False)
    assert cluster.calls == ()
    assert cluster.status.webhooks[0].phase is WebhookPhase.FAILED
    assert cluster.status.phase is (Phase.DEGRADED if aborted else Phase.HEALTHY)


def test_a_retry_asks_again() -> None:
    cluster = updating(canary(set_weight(50), webhooks=(hook(WebhookType.PRE_ROLLOUT),)))
    first = cluster.calls[0].id
    say(cluster, "pre-rollout", ok=False)

    cluster.retry()
    cluster.run()

    assert not cluster.status.abort
    assert cluster.calls[0].id != first


def test_blue_green_asks_in_the_order_of_its_steps() -> None:
    kinds = [kind for kind in WebhookType if kind not in (WebhookType.EVENT, WebhookType.ROLLBACK)]
    cluster = updating(blue_green(webhooks=tuple(hook(kind) for kind in kinds)))

    seen = []
    while cluster.calls:
        (name,) = asked(cluster)
        seen.append((name, cluster.size("v2"), cluster.selected("active")))
        say(cluster, name, ok=False) if name.startswith("confirm") else None
        say(cluster, name, ok=True)

    assert seen == [
        ("confirm-rollout", 0, "v1"),
        ("pre-rollout", 4, "v1"),
        ("rollout", 4, "v1"),
        ("confirm-promotion", 4, "v1"),
        ("confirm-traffic-increase", 4, "v1"),
        ("post-rollout", 4, "v2"),
    ]
    assert cluster.status.stable_rs == "hash-v2"


def test_a_person_is_waited_for_after_the_promotion_is_confirmed() -> None:
    gate = hook(WebhookType.CONFIRM_PROMOTION)
    cluster = updating(blue_green(auto_promotion_enabled=False, webhooks=(gate,)))
    say(cluster, "confirm-promotion", ok=False)
    say(cluster, "confirm-promotion", ok=True)
    assert cluster.status.message == "BlueGreenPause"

    cluster.promote()
    cluster.run()

    assert cluster.selected("active") == "v2"


def test_a_name_that_is_there_twice_is_a_fault() -> None:
    hooks = (hook(WebhookType.ROLLBACK, name="gate"), hook(WebhookType.ROLLOUT, name="gate"))
    cluster = FakeCluster(rollout(canary(webhooks=hooks)))
    cluster.run()

    assert "spec.strategy.canary.webhooks[1].name" in cluster.status.message
