"""Replica counts that argo-rollouts is known to give in these situations, one row each: ours are the same.

Facts of its behaviour (utils/replicaset), in tables of our own. Where it is known to be wrong, `test_replicas` says
what is right.
"""

from __future__ import annotations

import pytest

from rollouts.api.schema import IntOrString
from rollouts.api.strategy import ProgressType, ReplicaProgressThreshold
from rollouts.delivery import replicas
from rollouts.delivery.sets import Sets
from tests.unit.delivery.test_replicas import some

# replicas, weight, surge, unavailable; stable and canary as "asked for/available", older; canary and stable after
PACES: list[tuple[int, int, IntOrString, IntOrString, str, str, str, tuple[int, int]]] = [
    # more is available than asked for: nothing goes on the strength of it
    (10, 100, 3, 0, "7/8", "6/3", "", (6, 7)),
    # up within the surge, rounded up; down by what may be missing, rounded down
    (10, 20, 2, 0, "10/10", "0/0", "", (2, 10)),
    (10, 20, "20%", 0, "10/10", "0/0", "", (2, 10)),
    (10, 20, "20%", 0, "10/10", "2/2", "", (2, 8)),
    (10, 30, 2, 0, "10/10", "0/0", "", (2, 10)),
    (10, 20, 0, 2, "10/10", "0/0", "", (0, 8)),
    (10, 20, 0, "20%", "10/10", "0/0", "", (0, 8)),
    (10, 30, 0, 2, "10/10", "0/0", "", (0, 8)),
    (10, 50, 2, 1, "10/10", "0/0", "", (2, 9)),
    (10, 10, "0%", "0%", "10/10", "0/0", "", (0, 9)),
    # none and all
    (10, 0, 1, 1, "10/10", "1/1", "", (0, 10)),
    (10, 100, 1, 1, "1/1", "10/10", "", (10, 0)),
    # one replica
    (1, 20, 1, 0, "1/1", "0/0", "", (1, 1)),
    (1, 90, 1, 0, "1/1", "0/0", "", (1, 1)),
    (1, 49, 0, 1, "1/1", "0/0", "", (0, 1)),
    (1, 51, 0, 1, "1/1", "0/0", "", (0, 0)),
    (1, 51, 0, 1, "0/0", "0/0", "", (1, 0)),
    # stable goes up before the canary; what is older goes before either of them goes down
    (10, 30, 1, 0, "1/1", "0/0", "3/3", (1, 7)),
    # (there the pods that are not ready wait for the older ones; nobody misses them, so ours go at once)
    (10, 30, 0, 1, "8/6", "4/2", "3/3", (3, 7)),
    # weights that do not divide
    (10, 5, 0, 1, "10/10", "0/0", "", (0, 9)),
    (10, 5, 0, 1, "9/9", "0/0", "", (1, 9)),
    (3, 99, 0, 2, "3/3", "0/0", "", (0, 1)),
    (3, 99, 0, 2, "1/1", "0/0", "", (2, 1)),
    # stable is not available
    (4, 100, 1, 0, "4/1", "0/0", "", (1, 4)),
    (4, 100, 1, 0, "4/1", "1/1", "", (1, 3)),
    # back to stable
    (4, 0, 1, 0, "0/0", "4/4", "", (4, 1)),
    (4, 0, 1, 0, "1/0", "4/4", "", (4, 1)),
    (4, 0, 1, 0, "1/1", "4/4", "", (3, 1)),
    # a full promotion is a weight of 100 within the same bounds
    (4, 100, 4, 4, "4/4", "0/0", "", (4, 0)),
    (4, 100, 3, 0, "4/4", "0/0", "", (3, 4)),
    # both sides have too many
    (10, 30, 0, 3, "8/5", "4/4", "", (3, 7)),
    (10, 100, 1, 0, "10/2", "10/8", "", (9, 2)),
    # fewer replicas than before, while the canary does not come up
    (4, 100, 2, 0, "4/4", "6/0", "", (2, 4)),
    # and while stable does not, on the way back
    (4, 0, 1, 0, "4/0", "4/4", "", (4, 1)),
]


@pytest.mark.parametrize("row", PACES)
def test_one_pace(row: tuple[int, int, IntOrString, IntOrString, str, str, str, tuple[int, int]]) -> None:
    count, weight, surge, missing, stable, canary, older, after = row
    bounds = replicas.limits(count, surge, missing)
    target = replicas.for_weight(count, weight, surge=bounds.surge > 0)
    others = (some("older", *_sizes(older)),) if older else ()

    planned = replicas.pace(
        Sets(some("v2", *_sizes(canary)), some("v1", *_sizes(stable)), others), target, bounds
    )

    assert planned.stable is not None
    assert (planned.current.replicas, planned.stable.replicas) == after


def _sizes(words: str) -> tuple[int, int]:
    size, ready = words.split("/")
    return int(size), int(ready)


# replicas and surge, then "weight:canary/stable"
PAIRS: list[tuple[int, int, str]] = [
    (0, 0, "0:0/0 50:0/0 100:0/0"),
    (0, 1, "0:0/0 50:0/0 100:0/0"),
    (1, 0, "0:0/1 1:0/1 49:0/1 50:1/0 99:1/0 100:1/0"),
    (1, 1, "0:0/1 1:1/1 49:1/1 50:1/1 99:1/1 100:1/0"),
    (2, 0, "0:0/2 1:1/1 50:1/1 99:1/1 100:2/0"),
    (2, 1, "0:0/2 1:1/2 50:1/1 99:2/1 100:2/0"),
    (3, 0, "10:1/2 25:1/2 33:1/2 34:1/2 49:1/2 50:2/1"),
    (3, 1, "10:1/3 25:1/3 33:1/2 34:1/2 49:2/2 50:2/2"),
    (10, 0, "0:0/10 1:1/9 14:1/9 15:2/8 16:2/8 99:9/1 100:10/0"),
    (10, 1, "0:0/10 1:1/10 18:2/9 19:2/9 20:2/8 23:2/8 24:3/8 25:3/8 99:10/1 100:10/0"),
]


@pytest.mark.parametrize(("count", "surge", "row"), PAIRS)
def test_pairs(count: int, surge: int, row: str) -> None:
    weights = [int(cell.partition(":")[0]) for cell in row.split()]
    pairs = [replicas.for_weight(count, weight, surge=surge > 0) for weight in weights]

    shown = [f"{weight}:{pair.canary}/{pair.stable}" for weight, pair in zip(weights, pairs, strict=True)]
    assert " ".join(shown) == row


@pytest.mark.parametrize(
    ("count", "weight", "maximum", "pods"),
    [
        (10, 0, 100, 0),
        (10, 20, 100, 2),
        (10, 25, 100, 3),
        (10, 33, 100, 4),
        (10, 99, 100, 10),
        (10, 100, 100, 10),
        (4, 200, 100, 8),  # setCanaryScale may ask for more than all
        (23, 100_000_000, 100_000_000, 23),
    ],
)
def test_pods_of_a_share(count: int, weight: int, maximum: int, pods: int) -> None:
    assert replicas.for_share(count, weight, maximum) == pods


PERCENT, PODS = ProgressType.PERCENT, ProgressType.PODS


@pytest.mark.parametrize(
    ("threshold", "available", "desired", "expected"),
    [
        (ReplicaProgressThreshold(PERCENT, 90), 9, 10, True),
        (ReplicaProgressThreshold(PERCENT, 90), 8, 10, False),
        (ReplicaProgressThreshold(PERCENT, 90), 0, 0, True),
        (ReplicaProgressThreshold(PERCENT, 100), 100, 10, True),
        (ReplicaProgressThreshold(PODS, 9), 9, 10, True),
        (ReplicaProgressThreshold(PODS, 8), 7, 10, False),
        (None, 10, 10, True),
        (None, 9, 10, False),
    ],
)
def test_a_threshold(
    threshold: ReplicaProgressThreshold | None, available: int, desired: int, expected: bool
) -> None:
    assert replicas.enough(threshold, available, desired) is expected
