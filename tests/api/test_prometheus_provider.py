"""The Prometheus provider and the pool against a real Prometheus."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from analysis import judge, parse, providers, template
from analysis.errors import ProviderError
from analysis.model import Measurement, Phase
from analysis.pool import Pool
from analysis.providers import ProviderResult
from rollouts import sandbox

pytestmark = pytest.mark.api


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sandbox.Sandbox]:
    directory = tmp_path_factory.mktemp("prometheus")
    with sandbox.up(directory, wanted=frozenset({sandbox.Component.PROMETHEUS})) as running:
        yield running


def ask(prometheus: sandbox.Sandbox, query: str, **fields: Any) -> ProviderResult:
    known = providers.registry(prometheus_address=prometheus.prometheus_url)
    return known["prometheus"].query({"query": query, **fields}, 30.0)


VALUES: list[tuple[str, object, str]] = [
    ("vector(0.99)", [0.99], "[0.99]"),
    ("vector(1) == 2", [], "[]"),
    ("vector(0) / vector(0)", [math.nan], "[NaN]"),
    ("vector(1) / vector(0)", [math.inf], "[+Inf]"),
    ("vector(1e-7)", [1e-7], "[0.0000001]"),
    ("scalar(vector(0.5))", 0.5, "0.5"),
    ("1.5", 1.5, "1.5"),
    ('"hello"', "hello", "hello"),
    ('sort(label_replace(vector(2), "a", "b", "", "") or vector(1))', [1.0, 2.0], "[1,2]"),
    ("nothing_has_this_name", [], "[]"),
    ("nothing_has_this_name[5m]", [], "[]"),
]


@pytest.mark.parametrize(("query", "value", "rendered"), VALUES)
def test_each_type_of_result(prometheus: sandbox.Sandbox, query: str, value: object, rendered: str) -> None:
    found = ask(prometheus, query)
    assert (repr(found.value), found.rendered) == (repr(value), rendered)


def test_a_range_query_gives_every_sample(prometheus: sandbox.Sandbox) -> None:
    window = {"start": 'now() - duration("5m")', "end": "now()", "step": "1m"}
    assert ask(prometheus, "vector(7)", rangeQuery=window).value == [7.0] * 6


REFUSED = [
    ("sum(", {}, "answers HTTP 400 Bad Request: bad_data: "),
    (
        "vector(1)",
        {"rangeQuery": {"start": "now()", "end": "now() - 60", "step": "1s"}},
        "bad_data: invalid parameter",
    ),
    (
        "vector(1)",
        {"rangeQuery": {"start": 'now() - duration("24h")', "step": "1s"}},
        "bad_data: exceeded maximum resolution",
    ),
]


@pytest.mark.parametrize(("query", "fields", "message"), REFUSED)
def test_what_prometheus_refuses_is_told_in_its_words(
    prometheus: sandbox.Sandbox, query: str, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ProviderError) as caught:
        ask(prometheus, query, **fields)
    assert message in str(caught.value)


async def measured(prometheus: sandbox.Sandbox, **fields: Any) -> Measurement:
    """One measurement the way a run takes it: arguments, spec, pool."""
    spec = {
        "name": "success-rate",
        "successCondition": "result[0] >= {{args.threshold}}",
        "provider": {"prometheus": {"address": "{{args.address}}", "query": "vector({{args.value}})"}},
        **fields,
    }
    arguments = {"address": prometheus.prometheus_url, "value": "0.81", "threshold": "0.95"}
    (metric,) = parse.metrics([template.resolve_metric(spec, arguments)])
    pool = Pool(1, providers.registry())
    found = await pool.measure(metric, now=lambda: datetime.now(UTC))
    pool.close()
    return found


async def test_a_value_below_the_threshold_fails_and_the_run_says_why(prometheus: sandbox.Sandbox) -> None:
    found = await measured(prometheus)
    assert (found.phase, found.value) == (Phase.FAILED, "[0.81]")
    spec = {"name": "success-rate", "successCondition": "result[0] >= 0.95", "provider": {"prometheus": {}}}
    metrics = parse.metrics([spec])
    verdict = judge.assess_run(metrics, [judge.record(metrics[0], None, found)])
    assert verdict.message == (
        'Metric "success-rate" assessed Failed due to failed (1) > failureLimit (0): '
        "value 0.81, successCondition result[0] >= 0.95"
    )


async def test_no_data_is_an_error_not_a_failure(prometheus: sandbox.Sandbox) -> None:
    empty = {"prometheus": {"address": "{{args.address}}", "query": "nothing_has_this_name"}}
    found = await measured(prometheus, provider=empty)
    assert (found.phase, found.value) == (Phase.ERROR, "[]")
    assert found.message.endswith("the provider returned no data")


async def test_a_prometheus_that_is_down_is_an_error_and_works_again_when_it_is_back(
    prometheus: sandbox.Sandbox,
) -> None:
    prometheus.stop(sandbox.Component.PROMETHEUS)
    down = await measured(prometheus)
    prometheus.start(sandbox.Component.PROMETHEUS)
    back = await measured(prometheus)
    assert (down.phase, back.phase) == (Phase.ERROR, Phase.FAILED)
    assert down.message == f"cannot connect to {prometheus.prometheus_url}: Connection refused"
