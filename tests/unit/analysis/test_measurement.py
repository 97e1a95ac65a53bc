"""No data, too few samples and comparisons: what one measurement asks and what it says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from analysis import judge, measurement, parse, schedule
from analysis.answer import Answer
from analysis.errors import ProviderError, SpecError
from analysis.model import EVIDENCE, Measurement, Metric, MetricResult, Phase
from analysis.providers import ProviderResult
from tests.unit.analysis.make import START, at, seconds

S, F, UNSURE, E, P = Phase.SUCCESSFUL, Phase.FAILED, Phase.INCONCLUSIVE, Phase.ERROR, Phase.PENDING


@dataclass
class Answering:
    """A provider that knows the answer to each query."""

    answers: Mapping[str, object]
    asked: list[str] = field(default_factory=list)

    def query(self, spec: Mapping[str, object], deadline: float) -> ProviderResult:
        assert deadline > 0
        query = str(spec["query"])
        self.asked.append(query)
        value = self.answers[query]
        return ProviderResult(value, str(value))

    def metadata(self, spec: Mapping[str, object]) -> Mapping[str, str]:
        return {"query": str(spec["query"])}


def metric(**fields: Any) -> Metric:
    spec = {"name": "errors", "interval": "30s", "provider": {"prometheus": {"query": "errors"}}, **fields}
    return parse.metric(spec, "metrics[0]")


def take(
    subject: Metric, answers: Mapping[str, object], elapsed: float = 0, last: Measurement | None = None
) -> Answer:
    return measurement.take(
        subject, {"prometheus": Answering(answers)}, 5, elapsed=seconds(elapsed), last=last
    )


NOTHING: Sequence[object] = (None, [], (), [math.nan], math.nan, [[], math.nan])


@pytest.mark.parametrize("value", NOTHING)
@pytest.mark.parametrize(
    ("policy", "phase"), [("fail", F), ("inconclusive", UNSURE), ("pass", S), ("retry", P)]
)
def test_no_data_is_what_on_no_data_says(value: object, policy: str, phase: Phase) -> None:
    found = take(metric(onNoData=policy, successCondition="result[0] < 1"), {"errors": value})
    assert (found.phase, found.message) == (phase, "the provider returned no data")


def test_without_on_no_data_the_conditions_decide_as_in_the_peer() -> None:
    assert take(metric(successCondition="result[0] < 1"), {"errors": []}).phase is E
    assert take(metric(successCondition="len(result) == 0"), {"errors": []}).phase is S


@pytest.mark.parametrize("value", [0, [0.0], "", False, [math.nan, 1.0], {}])
def test_zero_and_some_numbers_are_data(value: object) -> None:
    assert take(metric(onNoData="fail"), {"errors": value}).phase is S


def test_too_few_samples_wait_for_more() -> None:
    subject = metric(minSamples=100, samplesQuery="requests", successCondition="result[0] < 1")
    few = take(subject, {"requests": [99.0], "errors": [5.0]})
    assert (few.phase, few.message) == (P, "99 samples, minSamples is 100")
    assert take(subject, {"requests": [], "errors": [5.0]}).phase is P
    assert take(subject, {"requests": [100.0], "errors": [5.0]}).phase is F


def history(subject: Metric, *phases: Phase) -> MetricResult:
    result: MetricResult | None = None
    for index, phase in enumerate(phases):
        one = Measurement(phase, message="no data", started_at=at(30 * index), finished_at=at(30 * index))
        result = judge.record(subject, result, one)
    assert result is not None
    return result


def test_waiting_is_not_counted_and_ends_at_the_limit() -> None:
    subject = metric(onNoData="retry", noDataLimit=2, count=3)
    waiting = history(subject, P, P)
    assert (waiting.count, waiting.inconclusive, waiting.consecutive_no_data) == (0, 0, 2)
    assert judge.assess_metric(subject, waiting).phase is Phase.RUNNING
    assert schedule.next_measurement(subject, waiting, START) == at(60)
    verdict = judge.assess_metric(subject, history(subject, P, P, P))
    assert verdict == (UNSURE, "consecutiveNoData (3) > noDataLimit (2): no data")
    assert history(subject, P, P, S).consecutive_no_data == 0
    assert judge.assess_metric(subject, history(subject, P, P, S, P, P)).phase is Phase.RUNNING


def compared(**fields: Any) -> Metric:
    comparison = {"canary": "new", "control": "old", "totalQuery": "total {{comparison.variant}}", **fields}
    provider = {"prometheus": {"query": "bad {{comparison.variant}}"}}
    return metric(provider=provider, comparison=comparison, count=20)


def answers(new: tuple[float, float], old: tuple[float, float]) -> dict[str, object]:
    return {"bad new": [new[0]], "total new": [new[1]], "bad old": [old[0]], "total old": [old[1]]}


def looks(subject: Metric, *seen: Mapping[str, object]) -> list[Answer]:
    """What a run says at each look, every 30 s."""
    found: list[Answer] = []
    last: Measurement | None = None
    for index, one in enumerate(seen, 1):
        answer = take(subject, one, 30 * index, last)
        last = Measurement(answer.phase, metadata=answer.metadata)
        found.append(answer)
    return found


def test_a_bad_canary_fails_with_its_reason() -> None:
    bad = [answers((8 * n, 200 * n), (8 * n, 800 * n)) for n in (1, 2, 3)]
    found = looks(compared(), *bad)
    assert found[0].phase is S
    assert found[-1].phase is F
    assert found[-1].message.startswith("canary is worse by +3 points, 95 % sure")
    assert (found[-1].value, found[-1].metadata["score"]) == ("0", "0")


def test_cumulative_answers_are_looked_at_as_what_is_new() -> None:
    """A look that failed loses nothing: the next one brings what both would have brought."""
    subject = compared()
    each = [answers((n, 200 * n), (4 * n, 800 * n)) for n in (1, 2, 3)]
    assert looks(subject, *each)[-1].message == looks(subject, each[0], each[2])[-1].message


def test_the_message_of_the_verdict_is_the_reason() -> None:
    subject = compared()
    answer = take(subject, answers((90, 200), (8, 800)), 30)
    one = Measurement(answer.phase, answer.value, answer.message, at(30), at(31), metadata=answer.metadata)
    verdict = judge.assess_metric(subject, judge.record(subject, None, one))
    assert verdict.message.startswith("failed (1) > failureLimit (0): canary is worse by +44 points")


def test_only_the_newest_measurement_keeps_the_evidence() -> None:
    subject = compared()
    result: MetricResult | None = None
    for answer in looks(subject, *[answers((n, 200 * n), (4 * n, 800 * n)) for n in (1, 2, 3)]):
        one = Measurement(answer.phase, finished_at=at(0), metadata=answer.metadata)
        result = judge.record(subject, result, one)
    assert result is not None
    assert [EVIDENCE in m.metadata for m in result.measurements] == [False, False, True]
    assert all("pValue" in m.metadata for m in result.measurements)


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        (answers((0, 0), (4, 800)), "the canary has 0 of at least 1 samples"),
        ({**answers((0, 9), (4, 8)), "total old": []}, "the control has 0 of at least 1 samples"),
        ({**answers((0, 9), (4, 8)), "total old": [math.nan]}, "the control has 0 of at least 1 samples"),
    ],
)
def test_a_side_without_traffic_waits(seen: Mapping[str, object], message: str) -> None:
    found = take(compared(), seen, 30)
    assert (found.phase, found.message) == (P, message)


def test_no_series_of_errors_is_no_error() -> None:
    found = take(compared(), {**answers((0, 200), (4, 800)), "bad new": []}, 30)
    assert found.phase is S
    assert "canary 0 of 200 (0 %)" in found.message


def test_min_samples_hold_for_both_sides() -> None:
    spec = {"name": "m", "interval": "30s", "minSamples": "300", "onNoData": "pass"}
    subject = parse.metric(
        {
            **spec,
            "provider": {"prometheus": {"query": "bad {{comparison.variant}}"}},
            "comparison": {"canary": "new", "control": "old", "totalQuery": "total {{comparison.variant}}"},
        },
        "m",
    )
    found = take(subject, answers((90, 200), (4, 800)), 30)
    assert (found.phase, found.message) == (S, "the canary has 200 of at least 300 samples")


def test_evidence_survives_a_look_without_data() -> None:
    bad = answers((5, 100), (4, 400))
    none = answers((0, 0), (0, 0))
    first, waiting = looks(compared(), bad, none)
    assert waiting.metadata[EVIDENCE] == first.metadata[EVIDENCE]


def test_windows_and_offsets_are_filled_in() -> None:
    query = "x{{ comparison.variant }}[{{comparison.window}}] offset {{comparison.offset}}"
    subject = metric(
        provider={"prometheus": {"query": query, "headers": [{"key": "a", "value": "b"}]}},
        comparison={
            "canary": "new",
            "control": "new",
            "test": "Distribution",
            "lookback": "1m",
            "controlOffset": "24h",
        },
    )
    provider = Answering({"xnew[150s] offset 0s": [1.0, 2.0], "xnew[150s] offset 86400s": [1.0, 2.5]})
    found = measurement.take(subject, {"prometheus": provider}, 5, elapsed=seconds(90), last=None)
    assert found.phase is S
    assert provider.asked == ["xnew[150s] offset 0s", "xnew[150s] offset 86400s"]


def distribution(values: list[float]) -> Metric:
    del values
    return metric(
        provider={"prometheus": {"query": "p95 {{comparison.variant}}"}},
        comparison={"canary": "new", "control": "old", "test": "Distribution", "minimumEffect": "0.1"},
        count=4,
    )


def test_slower_is_found_in_samples() -> None:
    control = [0.2 + 0.001 * n for n in range(30)]
    subject = distribution(control)
    slow = take(subject, {"p95 new": [v * 1.3 for v in control], "p95 old": control}, 30)
    alike = take(subject, {"p95 new": [*control, math.nan], "p95 old": control}, 30)
    assert (slow.phase, alike.phase) == (F, S)
    assert slow.message.startswith("canary is worse by +30")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ([1.0, 2.0], "query returns 2 values; aggregate to one, for example with sum()"),
        (["a"], "query must return a count of 0 or more, got ['a']"),
        ([-1.0], "query must return a count of 0 or more, got [-1.0]"),
        ([math.inf], "query must return a count of 0 or more, got [inf]"),
    ],
)
def test_counts_must_be_counts(value: object, problem: str) -> None:
    with pytest.raises(ProviderError) as caught:
        take(compared(), {**answers((0, 9), (4, 8)), "bad new": value}, 30)
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"canary": ""}, "comparison.canary: is missing"),
        ({"totalQuery": ""}, "comparison.totalQuery: is missing"),
        ({"test": "Distribution"}, "comparison.totalQuery: has no use for distributions"),
        (
            {"test": "Guess"},
            'comparison.test: "Guess" cannot be read; write one of Proportion, Rate, Distribution',
        ),
        ({"confidence": "95"}, "comparison.confidence: 95 is not between 0.5 and 1"),
        ({"confidence": "very"}, 'comparison.confidence: "very" cannot be read'),
        ({"minimumEffect": "-1"}, "comparison.minimumEffect: -1 is negative"),
        ({"control": "new"}, "comparison.control: is the canary itself"),
        (
            {"totalQuery": "x{{comparison.what}}"},
            "{{comparison.what}} does not exist; there are {{comparison.variant}}",
        ),
        ({"lookback": "-1s"}, "comparison.lookback: is negative"),
    ],
)
def test_what_could_never_be_compared_is_refused(fields: dict[str, str], problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        compared(**fields)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"successCondition": "result[0] > 1"}, "successCondition: contradicts comparison"),
        ({"provider": {"prometheus": {"query": "up"}}}, "both sides would be the same"),
        ({"interval": None}, "comparison.lookback: is missing, and there is no interval"),
        ({"comparison": None}, "and there is no comparison"),
        ({"comparison": "yes"}, "comparison: is not an object"),
        (
            {"comparison": None, "provider": {"prometheus": {"query": "up"}}, "minSamples": 3},
            "samplesQuery: is missing",
        ),
        (
            {"onNoData": "shrug"},
            'onNoData: "shrug" cannot be read; write one of fail, inconclusive, pass, retry',
        ),
        ({"noDataLimit": -1}, "noDataLimit: -1 is negative"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(fields: dict[str, Any], problem: str) -> None:
    spec = {
        "name": "m",
        "interval": "30s",
        "provider": {"prometheus": {"query": "bad {{comparison.variant}}"}},
        "comparison": {"canary": "new", "control": "old", "totalQuery": "total {{comparison.variant}}"},
    }
    with pytest.raises(SpecError) as caught:
        parse.metric({**spec, **fields}, "m")
    assert problem in str(caught.value)


def test_the_first_look_comes_when_there_is_something_to_see() -> None:
    assert compared().initial_delay == seconds(30)
    assert compared(lookback="5m").initial_delay is None
