"""Arguments in the spec of a metric."""

from __future__ import annotations

import pytest

from analysis import template
from analysis.errors import TemplateError
from analysis.template import Argument

SPEC = {
    "name": "success-rate",
    "interval": "{{args.interval}}",
    "count": 3,
    "successCondition": "result[0] >= {{ args.threshold }}",
    "provider": {
        "prometheus": {
            "address": "http://prometheus:{{args.port}}",
            "query": 'sum(rate(x{service="{{args.service}}",foo="{{inputs.foo}}"}[1m])) / {{args.port}}',
            "headers": [{"key": "X-{{args.service}}", "value": "{{args.token}}"}],
            "{{args.service}}": True,
        }
    },
}
ARGUMENTS = {
    "interval": "30s",
    "threshold": "0.95",
    "port": "9090",
    "service": "shop",
    "token": 'a"b\\{{args.port}}',
}


def test_arguments_are_filled_in_at_any_depth() -> None:
    assert template.resolve_metric(SPEC, ARGUMENTS) == {
        "name": "success-rate",
        "interval": "30s",
        "count": 3,
        "successCondition": "result[0] >= 0.95",
        "provider": {
            "prometheus": {
                "address": "http://prometheus:9090",
                "query": 'sum(rate(x{service="shop",foo="{{inputs.foo}}"}[1m])) / 9090',
                "headers": [{"key": "X-shop", "value": 'a"b\\{{args.port}}'}],
                "shop": True,
            }
        },
    }


def test_the_spec_that_comes_in_is_not_changed() -> None:
    template.resolve_metric(SPEC, ARGUMENTS)
    assert SPEC["interval"] == "{{args.interval}}"


ERRORS = [
    (
        "{{args.srvice}}",
        (
            'metric "m", field provider.prometheus[0].query: args.srvice has no value; '
            "declare it in args of the template (name: srvice); declared are service"
        ),
    ),
    (
        "{{ service }}",
        (
            'metric "m", field provider.prometheus[0].query: {{ service }} has no value; '
            "write {{args.name}} to refer to an argument"
        ),
    ),
    (
        "{{}}",
        'metric "m", field provider.prometheus[0].query: {{}} has no value; write {{args.name}} to refer to an argument',
    ),
]


@pytest.mark.parametrize(("text", "message"), ERRORS)
def test_a_reference_without_a_value_names_metric_field_argument_and_remedy(text: str, message: str) -> None:
    spec = {"name": "m", "provider": {"prometheus": [{"query": text}]}}
    with pytest.raises(TemplateError) as caught:
        template.resolve_metric(spec, {"service": "shop"})
    assert str(caught.value) == message


def test_no_declared_argument_is_said_so() -> None:
    with pytest.raises(TemplateError, match="none is declared"):
        template.resolve_metric({"name": "m", "query": "{{args.a}}"}, {})


def test_given_values_win_over_defaults_and_strangers_are_ignored() -> None:
    declared = [
        Argument("service"),
        Argument("port", "9090"),
        Argument("window", "1m"),
        Argument("empty", "x"),
    ]
    given = [
        Argument("service", "shop"),
        Argument("port", "80"),
        Argument("stranger", "?"),
        Argument("empty", ""),
    ]
    expected = {"service": "shop", "port": "80", "window": "1m", "empty": ""}
    assert template.resolve_arguments(declared, given) == expected


def test_a_given_argument_without_a_value_does_not_hide_the_default() -> None:
    assert template.resolve_arguments([Argument("a", "1")], [Argument("a")]) == {"a": "1"}


def test_an_argument_without_any_value_says_where_to_give_it() -> None:
    with pytest.raises(TemplateError) as caught:
        template.resolve_arguments([Argument("service")], [])
    assert str(caught.value) == (
        "args.service has no value; give it in args of the analysis (name: service) or as a default in the template"
    )
