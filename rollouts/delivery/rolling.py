"""`rollingUpdate` and `recreate`, as Deployments know them, in terms of a canary: one without steps.

Decides only how they are read; `recreate` has sizes of its own. Called by `view`, and by whoever reads a
strategy without a snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator

from rollouts.api.rollout import RolloutSpec
from rollouts.api.strategy import (
    CanaryStrategy,
    RecreateStrategy,
    RollingUpdateStrategy,
    RolloutAnalysis,
    RolloutStrategy,
    StrategyType,
)


def as_canary(strategy: RolloutStrategy) -> CanaryStrategy | None:
    """The canary that the strategy is; None for blue-green."""
    if strategy.canary is not None:
        return strategy.canary
    if recreate := recreated(strategy):
        return CanaryStrategy(max_surge=0, max_unavailable="100%", analysis=recreate.analysis)
    if rolling := rolled(strategy):
        return CanaryStrategy(
            max_surge=rolling.max_surge, max_unavailable=rolling.max_unavailable, analysis=rolling.analysis
        )
    return None


def rolled(strategy: RolloutStrategy) -> RollingUpdateStrategy | None:
    is_named = strategy.type is StrategyType.ROLLING_UPDATE
    return strategy.rolling_update or (RollingUpdateStrategy() if is_named else None)


def recreated(strategy: RolloutStrategy) -> RecreateStrategy | None:
    return strategy.recreate or (RecreateStrategy() if strategy.type is StrategyType.RECREATE else None)


def chosen(strategy: RolloutStrategy) -> tuple[str, ...]:
    """Names of the strategies that are asked for; exactly one is right."""
    given = {
        "canary": strategy.canary,
        "blueGreen": strategy.blue_green,
        "rollingUpdate": rolled(strategy),
        "recreate": recreated(strategy),
    }
    return tuple(name for name, value in given.items() if value is not None)


def path(strategy: RolloutStrategy) -> str:
    """Where the strategy stands in the spec."""
    return ".".join(("spec.strategy", *chosen(strategy)[:1]))


def analyses(spec: RolloutSpec) -> Iterator[RolloutAnalysis]:
    """Every analysis that a spec asks for."""
    canary, blue_green = as_canary(spec.strategy), spec.strategy.blue_green
    found: list[RolloutAnalysis | None] = []
    if canary:
        found += [canary.analysis, *(step.analysis for step in canary.steps)]
    if blue_green:
        found += [blue_green.pre_promotion_analysis, blue_green.post_promotion_analysis]
    found.append(spec.bake.analysis if spec.bake else None)
    return (analysis for analysis in found if analysis)
