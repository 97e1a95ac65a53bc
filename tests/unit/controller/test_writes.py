"""The smallest merge patch."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rollouts.controller.writes import merge_difference

scalars = st.integers() | st.text(max_size=3) | st.booleans() | st.lists(st.integers(), max_size=2)
objects = st.recursive(
    st.dictionaries(st.sampled_from("abc"), scalars, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), scalars | inner, max_size=3),
    max_leaves=6,
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
