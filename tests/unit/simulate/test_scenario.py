"""A scenario as people write it, and what is said about one that is wrong."""

from __future__ import annotations

from datetime import timedelta

import pytest

from analysis.model import Phase
from rollouts.errors import SpecError
from rollouts.simulate import lives, scenario
from rollouts.simulate.scenario import Action, Deed, PodBehaviour, Reading, Scenario


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def test_every_part_is_read() -> None:
    told = scenario.read(
        {
            "pods": [{"version": 2, "readyAfter": "8s", "crashAfter": "20m"}],
            "metrics": [{"name": "errors", "values": [{"value": 0.1}, {"after": "2m", "outcome": "Error"}]}],
            "actions": [{"at": "5m", "do": "promote"}, {"at": 60, "do": "scale", "replicas": 3}],
        }
    )

    assert told == Scenario(
        pods=(PodBehaviour(2, timedelta(seconds=8), crash_after=minutes(20)),),
        readings=(
            Reading("errors", value=0.1),
            Reading("errors", minutes(2), outcome=Phase.ERROR),
        ),
        actions=(Action(minutes(1), Deed.SCALE, replicas=3), Action(minutes(5), Deed.PROMOTE)),
    )


@pytest.mark.parametrize(
    ("written", "where"),
    [
        ([], "scenario"),
        ({"pod": []}, "pod"),
        ({"pods": {}}, "pods"),
        ({"pods": [{"readyAfter": "soon"}]}, "pods[0].readyAfter"),
        ({"metrics": [{"values": []}]}, "metrics[0].name"),
        ({"metrics": [{"name": "m", "values": [{}]}]}, "metrics[0].values[0]"),
        ({"metrics": [{"name": "m", "values": [{"value": 1, "outcome": "Failed"}]}]}, "metrics[0].values[0]"),
        ({"metrics": [{"name": "m", "values": [{"outcome": "Running"}]}]}, "metrics[0].values[0].outcome"),
        ({"actions": [{"at": "1m", "do": "dance"}]}, "actions[0].do"),
        ({"actions": [{"at": "1m", "do": "deploy"}]}, "actions[0].version"),
        ({"actions": [{"at": "1m", "do": "scale"}]}, "actions[0].replicas"),
        ({"actions": [{"do": "abort"}]}, "actions[0].at"),
    ],
)
def test_what_is_wrong_is_told_with_its_path(written: object, where: str) -> None:
    with pytest.raises(SpecError) as told:
        scenario.read(written)

    assert told.value.path == where


def test_the_latest_reading_counts_and_one_for_the_version_goes_first() -> None:
    first, later = Reading("m", value=1), Reading("m", minutes(2), value=2)
    own = Reading("m", version=3, value=3)
    told = Scenario(readings=(first, later, own, Reading("other", value=4)))

    assert told.reading("m", 2, minutes(1)) is first
    assert told.reading("m", 2, minutes(2)) is later
    assert told.reading("m", 3, minutes(9)) is own
    assert told.reading("unknown", 2, minutes(9)) is None


def test_a_container_that_exits_is_waited_for_longer_and_longer() -> None:
    crashing = PodBehaviour(2, ready_after=timedelta(seconds=5), crash_after=timedelta(seconds=15))

    met = [lives.current(crashing, timedelta(seconds=age)) for age in (0, 29, 30, 69, 70)]

    readies = [life.ready.total_seconds() for life in met]
    assert readies == [5, 5, 35, 35, 75]
    assert [life.ends for life in met][:3] == [timedelta(seconds=s) for s in (20, 20, 50)]


def test_the_wait_begins_anew_after_ten_good_minutes() -> None:
    slow = PodBehaviour(2, crash_after=minutes(10))

    assert lives.current(slow, minutes(25)).again == 3 * (minutes(10) + timedelta(seconds=10))
