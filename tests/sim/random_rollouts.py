"""Rollouts of every kind, drawn from a seed: what can be asked for, not what happens then. Called by `driver`."""

from __future__ import annotations

import random
from datetime import timedelta

from rollouts.api.rollout import Bake, Rollout
from rollouts.api.strategy import CanaryStep, OnTimeout
from rollouts.api.webhook import Webhook, WebhookType
from tests import builders


def rollout(rng: random.Random) -> Rollout:
    makers = (_canary, _blue_green, _rolling_update, _recreate)
    strategy = rng.choices(makers, (50, 35, 5, 10))[0](rng)
    return builders.rollout(
        strategy,
        replicas=rng.choice((0, 1, 1, 2, 3, 4, 5, 10)),
        progress_deadline_abort=rng.random() < 0.5,
        progress_deadline_seconds=120,
        revision_history_limit=rng.choice((0, 1, 10)),
        bake=_bake(rng) if rng.random() < 0.25 else None,
        analyze_initial_deploy=rng.random() < 0.2,
        rollback_window=builders.window(rng.choice((0, 1, 2))) if rng.random() < 0.3 else None,
    )


def _bake(rng: random.Random) -> Bake:
    analysis = builders.analysis("success-rate") if rng.random() < 0.5 else None
    seconds = rng.choice((40, 90)) if analysis is None else rng.choice((None, 40))
    return builders.bake(seconds, analysis)


def _canary(rng: random.Random) -> builders.Strategy:
    surge, unavailable = rng.choice((("25%", "25%"), (1, 0), (0, 1), ("100%", 0), (2, 1), ("10%", "10%")))
    background = builders.background("success-rate", starting_step=rng.choice((None, 1)))
    return builders.canary(
        *(step(rng) for _ in range(rng.randrange(6))),
        max_surge=surge,
        max_unavailable=unavailable,
        analysis=background if rng.random() < 0.2 else None,
        canary_service="canary" if rng.random() < 0.3 else "",
        stable_service="stable" if rng.random() < 0.3 else "",
        webhooks=_webhooks(rng),
    )


def _webhooks(rng: random.Random) -> tuple[Webhook, ...]:
    if rng.random() < 0.7:
        return ()
    kinds = rng.sample(list(WebhookType), rng.randrange(1, 5))
    return tuple(Webhook(kind.value, "http://gate/", kind, retries=rng.choice((0, 2))) for kind in kinds)


def _rolling_update(rng: random.Random) -> builders.Strategy:
    surge, unavailable = rng.choice((("25%", "25%"), (1, 0), (0, 1), ("100%", 0)))
    analysis = builders.background("success-rate") if rng.random() < 0.5 else None
    return builders.rolling_update(max_surge=surge, max_unavailable=unavailable, analysis=analysis)


def _recreate(rng: random.Random) -> builders.Strategy:
    return builders.recreate(analysis=builders.background("success-rate") if rng.random() < 0.5 else None)


def step(rng: random.Random) -> CanaryStep:
    kind = rng.random()
    if kind < 0.55:
        return builders.set_weight(rng.choice((0, 1, 10, 20, 25, 33, 50, 67, 75, 90, 99, 100)))
    if kind < 0.8:
        return builders.pause(rng.choice((None, 10, 60)))
    if kind < 0.85:
        return builders.pause(timeout=60, then=rng.choice(tuple(OnTimeout)))
    if kind < 0.93:
        return builders.analyse("success-rate")
    return builders.experiment(duration=timedelta(seconds=rng.choice((10, 60))))


def _blue_green(rng: random.Random) -> builders.Strategy:
    automatic = rng.random() < 0.6
    timeout = None if automatic or rng.random() < 0.5 else timedelta(seconds=60)
    return builders.blue_green(
        preview_service="preview" if rng.random() < 0.5 else "",
        preview_replica_count=rng.choice((None, None, 1, 2)),
        auto_promotion_enabled=automatic,
        promotion_timeout=timeout,
        on_promotion_timeout=rng.choice(tuple(OnTimeout)),
        auto_promotion_seconds=rng.choice((0, 0, 20)),
        scale_down_delay_seconds=rng.choice((0, 30)),
        abort_scale_down_delay_seconds=rng.choice((0, 30)),
        pre_promotion_analysis=builders.analysis("success-rate") if rng.random() < 0.3 else None,
        post_promotion_analysis=builders.analysis("success-rate") if rng.random() < 0.3 else None,
        webhooks=_webhooks(rng),
    )
