"""YAML is read as kubectl reads it, and what would exhaust the controller is refused."""

from __future__ import annotations

from typing import Any

import pytest

from rollouts.gitops.resources import documents
from rollouts.gitops.resources.documents import DocumentError


def values(text: str) -> list[Any]:
    return [d.value for d in documents.load(text.encode())]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("0644", 420),
        ("0o17", 15),
        ("-0x1F", -31),
        ("1_000", 1000),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("yes", True),
        ("off", False),
        ("~", None),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("08", "08"),
        (".", "."),
        ("1.2.3", "1.2.3"),
        ("'1'", "1"),
        ('"yes"', "yes"),
        ("!!str 1", "1"),
        ("!!int '1'", 1),
    ],
)
def test_a_scalar_is_what_kubectl_takes_it_for(text: str, value: object) -> None:
    assert values(f"a: {text}") == [{"a": value}]


def test_documents_are_numbered_with_the_line_they_start_at() -> None:
    found = list(documents.load(b"# head\n---\na: 1\n---\n# nothing\n---\nb: 2\n"))

    assert [(d.value, d.line) for d in found] == [({"a": 1}, 3), ({"b": 2}, 7)]


def test_merge_keys_give_way_to_own_keys() -> None:
    assert values("base: &b {x: 1, y: 1}\nown:\n  <<: *b\n  y: 2\n")[0]["own"] == {"x": 1, "y": 2}


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a: 1\na: 2\n", 2, 'key "a" is there twice'),
        ("a: {b: c\nd: e", 2, "flow mapping"),
        ("a: !thing x", 1, "unknown tag"),
        ("? [a]\n: b", 1, "a key must be a string"),
        ("~: b", 1, "a key must be a string"),
        ("a: \x01", 1, "is not text"),
        ("a: &x [*x]", 1, "contains itself"),
        ("[" * 50_000, 1, "nested deeper"),
        ("a: " + "{a: " * 500, 1, "nested deeper"),
        ("<<: 1", 1, "takes a mapping"),
        ("a: !!int x", 1, "is not a int"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, line: int, problem: str) -> None:
    with pytest.raises(DocumentError) as e:
        values(text)

    assert e.value.line == line
    assert problem in str(e.value)


def test_a_file_of_a_million_values_is_refused_before_it_takes_memory() -> None:
    with pytest.raises(DocumentError, match="holds more than"):
        list(documents.load(b"[" + b"[]," * 600_000 + b"]"))


def test_an_alias_bomb_is_refused() -> None:
    layers = "".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]\n" for i in range(1, 9))

    with pytest.raises(DocumentError, match="alias bomb"):
        values("l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n" + layers)
