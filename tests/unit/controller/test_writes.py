"""The smallest merge patch."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rollouts.api.parse import dump
from rollouts.api.rollout_status import CanaryStatus, PauseCondition, PauseReason, Phase, RolloutStatus
from rollouts.controller.writes import merge_difference, model_difference
from tests import builders

scalars = st.integers() | st.text(max_size=3) | st.booleans() | st.lists(st.integers(), max_size=2)
objects = st.recursive(
    st.dictionaries(st.sampled_from("abc"), scalars, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), scalars | inner, max_size=3),
    max_leaves=6,
)

pauses = st.builds(PauseCondition, st.sampled_from(PauseReason), st.just(builders.START))
statuses = st.builds(
    RolloutStatus,
    phase=st.none() | st.sampled_from(Phase),
    message=st.sampled_from(("", "waits")),
    replicas=st.integers(0, 2),
    abort=st.booleans(),
    aborted_at=st.none() | st.just(builders.START),
    current_step_index=st.none() | st.integers(0, 2),
    pause_conditions=st.lists(pauses, max_size=2).map(tuple),
    canary=st.builds(CanaryStatus, current_experiment=st.sampled_from(("", "web-1"))),
)


def merged(old: Any, patch: Any) -> Any:
    """RFC 7386, as the API server does it."""
    if not isinstance(patch, dict):
        return patch
    out = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merged(out.get(key), value)
    return out


@given(objects, objects)
def test_the_patch_makes_the_new_object_of_the_old(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert merged(old, merge_difference(old, new)) == new


@given(objects)
def test_equal_objects_need_no_patch(same: dict[str, Any]) -> None:
    assert merge_difference(same, same) == {}


def test_what_is_gone_is_nulled_and_the_rest_left_out() -> None:
    old = {"phase": "Paused", "pauseConditions": [1], "canary": {"weights": {"canary": 20}, "x": 1}}
    new = {"phase": "Paused", "canary": {"weights": {"canary": 40}, "x": 1}}

    assert merge_difference(old, new) == {"pauseConditions": None, "canary": {"weights": {"canary": 40}}}


@given(statuses, statuses)
def test_the_patch_between_two_statuses_is_that_between_what_is_written_of_them(
    old: RolloutStatus, new: RolloutStatus
) -> None:
    assert model_difference(old, new) == merge_difference(dump(old), dump(new))
