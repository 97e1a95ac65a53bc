"""Properties of the replica arithmetic, for any numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rollouts.delivery import replicas
from rollouts.delivery.replicas import Limits, Pair
from rollouts.delivery.sets import Sets, available
from rollouts.delivery.snapshot import ReplicaSet
from tests import builders


def each(sets: Sets, change: Callable[[ReplicaSet], ReplicaSet]) -> Sets:
    stable = change(sets.stable) if sets.stable is not None else None
    return Sets(change(sets.current), stable, tuple(change(rs) for rs in sets.others))


counts = st.integers(0, 12)
weights = st.integers(0, 100)


@st.composite
def replica_sets(draw: st.DrawFn, name: str) -> ReplicaSet:
    size = draw(counts)
    return ReplicaSet(
        name=name,
        uid=name,
        resource_version="1",
        created_at=builders.START,
        pod_template_hash=name,
        template_digest=name,
        revision=1,
        replicas=size,
        current_replicas=size,
        available_replicas=draw(st.integers(0, 14)),
        observed=draw(st.booleans()),
    )


@st.composite
def situations(draw: st.DrawFn) -> tuple[Sets, Limits, Pair]:
    others = tuple(draw(replica_sets(f"other{i}")) for i in range(draw(st.integers(0, 2))))
    sets = Sets(draw(replica_sets("current")), draw(st.none() | replica_sets("stable")), others)
    bounds = replicas.limits(draw(counts), draw(st.integers(0, 3)), draw(st.integers(0, 3)))
    target = replicas.for_weight(bounds.replicas, draw(weights), surge=bounds.surge > 0)
    return sets, bounds, target if sets.stable else Pair(bounds.replicas, 0)


@given(st.integers(1, 300), weights, st.booleans())
def test_a_pair_has_all_pods_and_both_sides_where_two_are_possible(n: int, weight: int, surge: bool) -> None:
    pair = replicas.for_weight(n, weight, surge=surge)

    assert n <= pair.canary + pair.stable <= n + surge
    if 0 < weight < 100 and n + surge > 1:
        assert pair.canary > 0
        assert pair.stable > 0
    if weight in (0, 100):
        assert (pair.canary, pair.stable) == ((0, n) if weight == 0 else (n, 0))


@given(st.integers(1, 300), st.integers(1, 98))
def test_more_weight_is_never_fewer_canaries(n: int, weight: int) -> None:
    less, more = (replicas.for_weight(n, w, surge=False) for w in (weight, weight + 1))

    assert less.canary <= more.canary


@given(situations())
def test_no_growth_beyond_the_surge(situation: tuple[Sets, Limits, Pair]) -> None:
    sets, bounds, target = situation

    assert replicas.toward(sets, target, bounds).total <= max(bounds.most, sets.total)


@given(situations())
def test_no_removal_below_what_must_be_available(situation: tuple[Sets, Limits, Pair]) -> None:
    """Whatever subset of the writes is carried out, and counts that are old hold nothing up."""
    sets, bounds, target = situation
    planned = {rs.name: rs for rs in replicas.toward(sets, target, bounds)}

    left = sum(min(available(rs), planned[rs.name].replicas) for rs in sets)

    assert left >= min(sets.available, bounds.fewest)


@given(situations())
def test_what_has_been_written_is_not_written_again(situation: tuple[Sets, Limits, Pair]) -> None:
    """Until the ReplicaSet controller has seen the new sizes there is nothing more to do."""
    sets, bounds, target = situation
    before = {rs.name: rs.replicas for rs in sets}
    planned = replicas.toward(sets, target, bounds)
    written = each(planned, lambda rs: rs if rs.replicas == before[rs.name] else replace(rs, observed=False))

    assert replicas.toward(written, target, bounds) == written


@given(situations())
def test_everything_ready_ends_at_the_target(situation: tuple[Sets, Limits, Pair]) -> None:
    sets, bounds, target = situation
    for _ in range(100):
        sets = each(
            sets,
            lambda rs: replace(
                rs, available_replicas=rs.replicas, current_replicas=rs.replicas, observed=True
            ),
        )
        planned = replicas.toward(sets, target, bounds)
        if planned == sets:
            break
        sets = planned

    stable = sets.stable.replicas if sets.stable else 0
    assert (sets.current.replicas, stable) == (target.canary, target.stable)
    assert not any(rs.replicas for rs in sets.others)
