"""Flux's variable substitution: expressions, types, what is left alone, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollouts.gitops.renderers.substitution import SubstitutionError, expanded, substitute, variables

VALUES = {"color": "blue", "empty": "", "n": "3", "path": "a/b/c"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${color}", "blue"),
        ("a ${color} sky, ${n}", "a blue sky, 3"),
        ("${size:-l}", "l"),
        ("${size:=l}", "l"),
        ("${empty:-l}", "l"),
        ("${empty-l}", ""),
        ("${size-${color}}", "blue"),
        ("${size:-a}b}", "ab}"),
        ("$${color}", "${color}"),
        ("$color", "$color"),
        ("${#color}", "4"),
        ("${color^^}", "BLUE"),
        ("${color^}", "Blue"),
        ("${color:1}", "lue"),
        ("${color:1:2}", "lu"),
        ("${path/\\/}", "a/b/c"),
        ("${color/b/g}", "glue"),
        ("${path//b/x}", "a/x/c"),
        ("${path#a/}", "b/c"),
        ("${path%/c}", "a/b"),
    ],
)
def test_an_expression_is_replaced(text: str, expected: str) -> None:
    assert expanded(text, VALUES) == expected


@pytest.mark.parametrize("text", ["${missing}", "${", "${color", "${}", "${1a}", "${color!}"])
def test_what_cannot_be_replaced_is_an_error(text: str) -> None:
    with pytest.raises(SubstitutionError):
        expanded(text, VALUES)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"replicas": "${n}"}, {"replicas": 3}),
        ({"image": "app:${n}"}, {"image": "app:3"}),
        ({"on": "${flag:-true}"}, {"on": True}),
        ({"text": '"${n}"'}, {"text": "3"}),
        ({"list": ["${n}", "${color}"]}, {"list": [3, "blue"]}),
        ({"labels": {"n": "${n}"}}, {"labels": {"n": "3"}}),
        ({"${color}": "1"}, {"blue": "1"}),
        ({"script": "a\n${n}\n"}, {"script": "a\n3\n"}),
    ],
)
def test_a_scalar_is_read_again_unless_kubernetes_takes_strings_only(
    spec: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert substitute({"spec": spec}, VALUES) == {"spec": expected}


@pytest.mark.parametrize("place", ["labels", "annotations"])
def test_an_object_that_says_so_is_left_alone(place: str) -> None:
    marks = {"kustomize.toolkit.fluxcd.io/substitute": "disabled"}
    body = {"metadata": {place: marks}, "data": {"a": "${missing}"}}

    assert substitute(body, VALUES) == body


def test_only_names_can_be_variables_and_lines_are_joined() -> None:
    assert variables({"a_1": "x\ny", "not-a-name": "z", "1a": "z"}) == {"a_1": "xy"}


@given(st.text().filter(lambda t: "${" not in t))
def test_text_without_an_expression_stays(text: str) -> None:
    assert expanded(text, VALUES) == text
    assert substitute({"a": text}, VALUES) == {"a": text}
