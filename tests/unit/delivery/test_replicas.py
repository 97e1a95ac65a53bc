"""Weight to pods, and how far towards a pair one decision may go."""

from __future__ import annotations

import pytest

from rollouts.delivery import replicas
from rollouts.delivery.replicas import Limits, Pair
from rollouts.delivery.sets import Sets
from rollouts.delivery.snapshot import ReplicaSet
from tests import builders

WEIGHTS = (1, 10, 20, 25, 33, 50, 67, 75, 90, 99, 100)
# canary/stable without surge and with surge, by replicas; what argo-rollouts gets wrong is put right
GOLDEN = {
    1: "0/1·1/1 0/1·1/1 0/1·1/1 0/1·1/1 0/1·1/1 1/0·1/1 1/0·1/1 1/0·1/1 1/0·1/1 1/0·1/1 1/0·1/0",
    2: "1/1·1/2 1/1·1/2 1/1·1/2 1/1·1/2 1/1·1/2 1/1·1/1 1/1·2/1 1/1·2/1 1/1·2/1 1/1·2/1 2/0·2/0",
    3: "1/2·1/3 1/2·1/3 1/2·1/3 1/2·1/3 1/2·1/2 2/1·2/2 2/1·2/1 2/1·3/1 2/1·3/1 2/1·3/1 3/0·3/0",
    4: "1/3·1/4 1/3·1/4 1/3·1/4 1/3·1/3 1/3·2/3 2/2·2/2 3/1·3/2 3/1·3/1 3/1·4/1 3/1·4/1 4/0·4/0",
    5: "1/4·1/5 1/4·1/5 1/4·1/4 1/4·1/4 2/3·2/4 3/2·3/3 3/2·4/2 4/1·4/1 4/1·5/1 4/1·5/1 5/0·5/0",
    10: "1/9·1/10 1/9·1/9 2/8·2/8 3/7·3/8 3/7·3/7 5/5·5/5 7/3·7/3 8/2·8/3 9/1·9/1 9/1·10/1 10/0·10/0",
}
TABLE = [
    (count, weight, surge == 1, tuple(int(n) for n in pair.split("/")))
    for count, row in GOLDEN.items()
    for weight, cell in zip(WEIGHTS, row.split(), strict=True)
    for surge, pair in enumerate(cell.split("·"))
]


@pytest.mark.parametrize(("count", "weight", "surge", "expected"), TABLE)
def test_golden_pairs(count: int, weight: int, surge: bool, expected: tuple[int, int]) -> None:
    assert replicas.for_weight(count, weight, surge=surge) == Pair(*expected)


@pytest.mark.parametrize(("count", "weight"), [(2, 75), (5, 90), (10, 95), (25, 98), (50, 99)])
def test_a_canary_is_never_forgotten_for_want_of_surge(count: int, weight: int) -> None:
    assert replicas.for_weight(count, weight, surge=False) == Pair(count - 1, 1)


@pytest.mark.parametrize("surge", [False, True])
def test_no_replicas_are_no_pods(surge: bool) -> None:
    assert replicas.for_weight(0, 50, surge=surge) == Pair(0, 0)


@pytest.mark.parametrize(
    ("count", "surge", "unavailable", "expected"),
    [
        (10, "25%", "25%", (3, 2)),  # surge rounds up, unavailable rounds down
        (4, "25%", "25%", (1, 1)),
        (2, "25%", "25%", (1, 0)),
        (2, 0, "25%", (0, 1)),  # both would be zero
        (1, "1%", "1%", (1, 0)),
        (3, 0, 5, (0, 3)),  # never more than there are
        (0, "25%", "25%", (0, 0)),
    ],
)
def test_limits(count: int, surge: int | str, unavailable: int | str, expected: tuple[int, int]) -> None:
    bounds = replicas.limits(count, surge, unavailable)

    assert (bounds.surge, bounds.unavailable) == expected


def some(
    version: str, size: int, available: int | None = None, *, observed: bool = True, revision: int = 1
) -> ReplicaSet:
    ready = size if available is None else available
    return ReplicaSet(
        name=version,
        uid=version,
        resource_version="1",
        created_at=builders.START,
        pod_template_hash=version,
        template_digest=version,
        revision=revision,
        replicas=size,
        current_replicas=size,
        available_replicas=ready,
        observed=observed,
    )


def after(
    bounds: Limits,
    target: Pair,
    *,
    canary: ReplicaSet,
    stable: ReplicaSet,
    others: tuple[ReplicaSet, ...] = (),
) -> tuple[int, ...]:
    """Sizes after one pace: canary, stable, others."""
    planned = replicas.pace(Sets(canary, stable, others), target, bounds)
    return tuple(rs.replicas for rs in planned)


def test_up_goes_within_the_surge_and_nothing_down_while_the_canary_is_not_ready() -> None:
    target = replicas.for_weight(10, 30, surge=True)

    assert after(Limits(10, 2, 0), target, canary=some("v2", 0), stable=some("v1", 10)) == (2, 10)


def test_without_surge_stable_makes_room_first() -> None:
    target = replicas.for_weight(10, 20, surge=False)

    assert after(Limits(10, 0, 2), target, canary=some("v2", 0), stable=some("v1", 10)) == (0, 8)


def test_surge_and_unavailable_are_used_together() -> None:
    target = replicas.for_weight(10, 50, surge=True)

    assert after(Limits(10, 2, 1), target, canary=some("v2", 0), stable=some("v1", 10)) == (2, 9)


def test_an_abort_brings_stable_up_before_the_canary_goes() -> None:
    bounds, target = Limits(4, 1, 0), Pair(0, 4)

    assert after(bounds, target, canary=some("v2", 4), stable=some("v1", 0)) == (4, 1)
    assert after(bounds, target, canary=some("v2", 4), stable=some("v1", 1, 0)) == (4, 1)
    assert after(bounds, target, canary=some("v2", 4), stable=some("v1", 1)) == (3, 1)


def test_one_decision_uses_the_room_that_it_makes() -> None:
    sets = Sets(some("v2", 0), some("v1", 10), ())

    planned = replicas.toward(sets, replicas.for_weight(10, 20, surge=False), Limits(10, 0, 2))

    assert [rs.replicas for rs in planned] == [2, 8]


def test_superseded_pods_go_before_stable_ones() -> None:
    sizes = after(
        Limits(4, 1, 0), Pair(4, 0), canary=some("v3", 1), stable=some("v1", 2), others=(some("v2", 2),)
    )

    assert sizes == (1, 2, 1)


def test_superseded_pods_that_are_not_ready_go_at_once() -> None:
    sizes = after(
        Limits(4, 1, 0), Pair(1, 4), canary=some("v3", 0), stable=some("v1", 4), others=(some("v2", 1, 0),)
    )

    assert sizes == (0, 4, 0)


def test_counts_that_are_old_are_not_counted_on() -> None:
    sizes = after(Limits(4, 0, 1), Pair(4, 0), canary=some("v2", 2, 2, observed=False), stable=some("v1", 2))

    assert sizes == (2, 2)


def test_a_crash_looping_canary_does_not_hold_up_its_removal() -> None:
    assert after(Limits(4, 1, 0), Pair(0, 4), canary=some("v2", 2, 0), stable=some("v1", 3)) == (1, 3)


def test_a_broken_stable_and_a_superseded_set_make_room_for_the_new_one() -> None:
    sets = Sets(some("v3", 0), some("v1", 1, 0), (some("v2", 1),))

    planned = replicas.toward(sets, Pair(1, 1), Limits(1, 1, 0))

    assert [rs.replicas for rs in planned] == [1, 0, 1]


def test_room_that_is_made_while_there_are_too_many_pods_is_not_taken() -> None:
    """Found by a controller that sees the past."""
    sets = Sets(some("v2", 0), some("v1", 2, 0), (some("v3", 3, 0, observed=False),))

    planned = replicas.toward(sets, Pair(3, 0), Limits(3, 0, 1))

    assert [rs.replicas for rs in planned] == [0, 0, 3]
