"""A linter for every status in a test: fields that contradict each other, or are missing, are a failure."""

from __future__ import annotations

from rollouts.api.meta import Condition, ConditionType
from rollouts.api.parse import dump, parse
from rollouts.api.rollout import Rollout
from rollouts.api.rollout_status import Phase, RolloutStatus


def lint(rollout: Rollout) -> None:
    """Fails on the first thing in the status that a person or a client could not make sense of."""
    status = rollout.status
    assert status.phase is not None, "no phase"
    assert status.observed_generation == str(rollout.metadata.generation)
    conditions = {condition.type: condition for condition in status.conditions}
    assert len(conditions) == len(status.conditions), "a condition twice"
    for condition in status.conditions:
        _lint_condition(condition)
    assert parse(RolloutStatus, dump(status), "status") == status, "the status does not survive JSON"
    if _truth(conditions, ConditionType.INVALID_SPEC) == "True":
        assert status.phase is Phase.DEGRADED
        assert _truth(conditions, ConditionType.HEALTHY) != "True"
        return
    _lint_phase(rollout, conditions)
    _lint_update(rollout, conditions)
    _lint_counts(rollout, conditions)


def _lint_condition(condition: Condition) -> None:
    assert condition.status in ("True", "False", "Unknown")
    assert condition.reason, f"{condition.type} without reason"
    assert condition.message, f"{condition.type} without message"
    assert condition.last_transition_time is not None
    assert condition.last_update_time is not None
    assert condition.last_transition_time <= condition.last_update_time


def _lint_phase(rollout: Rollout, conditions: dict[str, Condition]) -> None:
    status = rollout.status
    progressing = conditions[ConditionType.PROGRESSING]
    paused = rollout.spec.paused or bool(status.pause_conditions)
    failed = progressing.reason in ("RolloutAborted", "ProgressDeadlineExceeded")
    assert (status.phase is Phase.DEGRADED) == failed
    assert failed == (progressing.status == "False")
    if not failed:
        assert (status.phase is Phase.PAUSED) == paused
    assert (status.phase is Phase.HEALTHY) == (progressing.reason == "NewReplicaSetAvailable") or paused
    assert (status.phase is Phase.HEALTHY) == (_truth(conditions, "Healthy") == "True")
    assert (_truth(conditions, ConditionType.PAUSED) == "True") == paused
    assert bool(status.message) == (status.phase is not Phase.HEALTHY), "what is not healthy says why"


def _lint_update(rollout: Rollout, conditions: dict[str, Condition]) -> None:
    status = rollout.status
    promoted = status.stable_rs == status.current_pod_hash
    assert (_truth(conditions, ConditionType.COMPLETED) == "True") == promoted
    assert status.abort == (status.aborted_at is not None) == (status.abort_reason is not None)
    assert not (status.abort and status.pause_conditions)
    assert not (status.abort and promoted)
    assert not (promoted and status.promote_full)
    if not rollout.spec.paused:
        assert status.controller_pause == bool(status.pause_conditions)
    steps = rollout.spec.strategy.canary.steps if rollout.spec.strategy.canary else ()
    if steps:
        assert status.current_step_index is not None
        assert 0 <= status.current_step_index <= len(steps)
        assert status.step == f"{status.current_step_index}/{len(steps)}"
        assert not promoted or status.current_step_index == len(steps)
    else:
        assert (status.current_step_index, status.step) == (None, "")
    duration = status.duration
    assert duration is not None
    assert duration.rollout_started_at is not None
    if duration.finished_at is not None:
        assert duration.completion_status is not None
        assert duration.rollout_started_at <= duration.finished_at
        assert duration.manual_pause_started_at is None
    if status.phase is Phase.HEALTHY:
        assert duration.finished_at is not None
        assert status.last_progress_at is None


def _lint_counts(rollout: Rollout, conditions: dict[str, Condition]) -> None:
    status = rollout.status
    enough = status.available_replicas >= rollout.spec.replicas
    assert (_truth(conditions, ConditionType.AVAILABLE) == "True") == enough
    assert status.updated_replicas <= status.replicas
    assert status.available_replicas <= status.ready_replicas
    assert status.selector
    weights = status.canary.weights
    if rollout.spec.strategy.blue_green is None:
        assert weights is not None
        canary = rollout.spec.strategy.canary
        routing = canary.traffic_routing if canary else None
        most = (routing.max_traffic_weight if routing else None) or 100
        assert (
            weights.canary.weight + weights.stable.weight + sum(w.weight for w in weights.additional) == most
        )
    else:
        assert weights is None


def _truth(conditions: dict[str, Condition], kind: str) -> str:
    found = conditions.get(kind)
    return found.status if found else "absent"
