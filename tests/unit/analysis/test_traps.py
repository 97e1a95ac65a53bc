"""What people who know the peer only from its documentation get wrong, by name; we do as its code does, or say more."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from analysis import condition, judge, parse, schedule
from analysis.errors import SpecError
from analysis.model import Phase
from tests.unit.analysis.make import START, at, measured, metric, results, seconds

S, F, I, E, RUNNING = Phase.SUCCESSFUL, Phase.FAILED, Phase.INCONCLUSIVE, Phase.ERROR, Phase.RUNNING  # noqa: E741


def judged(result: object, success: str | None = None, failure: str | None = None) -> Phase:
    return condition.evaluate_result(result, success, failure).phase


def after(history: str, **fields: object) -> Phase:
    subject = metric(**fields)
    return judge.assess_metric(subject, measured(subject, history)).phase


def terminated(history: str, **fields: object) -> Phase:
    subject = metric(**fields)
    return judge.assess_metric(subject, measured(subject, history), terminating=True).phase


def refused(**fields: object) -> str:
    with pytest.raises(SpecError) as caught:
        parse.metrics([{"name": "m", "provider": {"prometheus": {}}, **fields}])
    return str(caught.value.path)


def next_after(history: str, **fields: object) -> float:
    subject = metric(**fields)
    found = schedule.next_measurement(subject, measured(subject, history), START)
    assert found is not None
    return (found - at(60 * (len(history) - 1))).total_seconds()


LONG = {"interval": seconds(3600), "failure_limit": 9, "inconclusive_limit": 9}
TRAPS: dict[str, tuple[Callable[[], object], object]] = {
    # measurements
    "no condition is a success, not Inconclusive as the documentation says": (lambda: judged([0.0]), S),
    "one condition decides both ways": (
        lambda: (judged([0.5], "result[0] > 0.9"), judged([0.5], None, "result[0] > 0.9")),
        (F, S),
    ),
    "with both, what is neither is Inconclusive": (
        lambda: judged([0.92], "result[0] >= 0.95", "result[0] < 0.9"),
        I,
    ),
    "with both true, failure wins": (lambda: judged([0.5], "result[0] > 0.1", "result[0] > 0.1"), F),
    "an empty vector is an Error, not a failure": (lambda: judged([], "result[0] >= 0.95"), E),
    "len and default make no data a decision": (
        lambda: (judged([], "len(result) == 0"), judged(None, "default(result, 1) == 1")),
        (S, S),
    ),
    "NaN compares as false with everything, so the side of the condition decides": (
        lambda: (judged([math.nan], "result[0] >= 0.95"), judged([math.nan], None, "result[0] < 0.95")),
        (F, S),
    ),
    "isNaN asks": (lambda: judged([math.nan], "isNaN(result[0]) || result[0] >= 0.95"), S),
    "a vector is a list, also with one sample": (lambda: judged([1.0], "result >= 0.95"), E),
    "a number as text is not a number": (
        lambda: (judged("7", "result > 5"), judged("7", "asInt(result) > 5")),
        (E, S),
    ),
    # limits
    "failureLimit 3 tolerates three, one example of the documentation fails at the third": (
        lambda: (after("FFF", failure_limit=3), after("FFFF", failure_limit=3)),
        (RUNNING, F),
    ),
    "failureLimit 0 is the default and tolerates none": (lambda: after("SSF"), F),
    "failures count in all, not in a row": (lambda: after("FSSSF", failure_limit=1), F),
    "inconclusiveLimit tolerates as many as it says": (
        lambda: (after("I", inconclusive_limit=1), after("II", inconclusive_limit=1)),
        (RUNNING, I),
    ),
    "errors count in a row only, four are tolerated": (
        lambda: (after("EEEESEEEE"), after("EEEEE")),
        (RUNNING, E),
    ),
    "errors are not counted by count": (
        lambda: (after("SEES", count=3), after("SEESS", count=3)),
        (RUNNING, S),
    ),
    "an error breaks successes in a row": (lambda: after("SSES", consecutive_success_limit=3), RUNNING),
    "count reached without enough successes in a row is Inconclusive": (
        lambda: after("SFSFS", count=5, failure_limit=2, consecutive_success_limit=2),
        I,
    ),
    "and Failed only when failures are switched off": (
        lambda: after("SFSFS", count=5, failure_limit=-1, consecutive_success_limit=2),
        F,
    ),
    "enough successes in a row end it before count": (
        lambda: after("SS", count=50, consecutive_success_limit=2),
        S,
    ),
    "failureLimit -1 alone would decide nothing": (
        lambda: refused(failureLimit=-1),
        "metrics[0].failureLimit",
    ),
    # how long
    "neither count nor interval is one measurement": (lambda: after("S", interval=None), S),
    "count 0 is no count": (
        lambda: (after("S" * 99, count=0), after("S", interval=None, count=0)),
        (RUNNING, S),
    ),
    "an interval alone never ends": (lambda: after("S" * 99), RUNNING),
    "count without interval is refused": (lambda: refused(count=2), "metrics[0].interval"),
    "limits that count can never reach are refused": (
        lambda: refused(count=2, interval="1m", failureLimit=3),
        "metrics[0].count",
    ),
    # when
    "after an error it is ten seconds, whatever the interval": (
        lambda: (
            next_after("E", **LONG),
            next_after("E", interval=seconds(1)),
            next_after("E", interval=None),
        ),
        (10, 10, 10),
    ),
    "the interval runs from the end of a measurement": (lambda: next_after("S", **LONG), 3600),
    # the end
    "ended early is a success": (lambda: (terminated("SS", count=9), terminated("", count=9)), (S, S)),
    "ended early with too many failures is not": (lambda: terminated("SF", count=9), F),
    "successes in a row do not matter when it is ended early": (
        lambda: terminated("S", consecutive_success_limit=5),
        S,
    ),
}


@pytest.mark.parametrize("name", TRAPS)
def test_trap(name: str) -> None:
    ask, expected = TRAPS[name]
    assert ask() == expected


@pytest.mark.parametrize(
    ("histories", "phase"),
    [
        (("SS", "F"), F),
        (("I", "SS"), I),
        (("I", "EEEEE"), E),
        (("F", "EEEEE"), F),
        (("F", "I"), F),
        (("SS", "S"), RUNNING),
        (("SS", "SS"), S),
    ],
)
def test_trap_the_worst_metric_decides_and_failed_is_worse_than_error(
    histories: tuple[str, str], phase: Phase
) -> None:
    metrics = [metric(name, count=2) for name in ("a", "b")]
    found = results(*(measured(m, history) for m, history in zip(metrics, histories, strict=True)))
    assert judge.assess_run(metrics, found).phase is phase
    assert judge.assess_run(list(reversed(metrics)), found).phase is phase


@pytest.mark.parametrize("history", ["F", "I", "EEEEE"])
def test_trap_a_dry_run_never_decides(history: str) -> None:
    guards, tries = metric("guards", count=1), metric("tries", dry_run=True)
    found = results(measured(guards, "S"), measured(tries, history))
    assert judge.assess_run([guards, tries], found).phase is S
