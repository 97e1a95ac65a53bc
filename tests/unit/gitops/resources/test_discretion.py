"""What the API server quotes of an object that is made from Secrets is not told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollouts.api import parse
from rollouts.api.application import ApplicationSpec
from rollouts.gitops.resources.discretion import is_confidential, quotable, without_values

SOURCE = {"repoURL": "https://git.example.com/team/shop", "path": "."}
NAMED = {"name": "values"}


def spec(**fields: Any) -> ApplicationSpec:
    return parse.parse(ApplicationSpec, {"source": SOURCE, **fields}, "spec")


def config_map(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": data}


@pytest.mark.parametrize(
    ("made_from", "expected"),
    [
        ({}, False),
        ({"decryption": {"provider": "sops", "secretRef": NAMED}}, True),
        ({"postBuild": {"substituteFrom": [{"kind": "Secret", **NAMED}]}}, True),
        ({"postBuild": {"substituteFrom": [{"kind": "ConfigMap", **NAMED}]}}, False),
        ({"source": {**SOURCE, "helm": {"valuesFrom": [{"kind": "Secret", **NAMED}]}}}, True),
        ({"source": {**SOURCE, "helm": {"valuesFrom": [{"kind": "ConfigMap", **NAMED}]}}}, False),
        ({"secretRef": NAMED}, False),
    ],
)
def test_objects_hold_values_of_secrets_if_they_are_made_from_some(
    made_from: dict[str, Any], expected: object
) -> None:
    assert is_confidential(spec(**made_from)) is expected


def test_a_quoted_value_is_left_out_and_names_stay() -> None:
    told = 'ConfigMap "settings" is invalid: data.password: Invalid value: "hunter two": no'

    found = without_values(told, config_map(password="hunter two"), confidential=True)

    assert found == 'ConfigMap "settings" is invalid: data.password: Invalid value: "…": no'


def test_what_everybody_may_read_is_told() -> None:
    told = 'data.color: Invalid value: "purple"'

    assert without_values(told, config_map(color="purple"), confidential=False) == told


def test_a_secret_is_never_quoted() -> None:
    body = {**config_map(password="aHVudGVy"), "kind": "Secret"}

    assert "aHVudGVy" not in without_values('Invalid value: "aHVudGVy"', body, confidential=False)


@pytest.mark.parametrize(
    "text",
    [
        "hunter two",
        "password: hunter two\n",
        "password: 'hunter two'\n",
        'a: [{b: "hunter\\x20two"}]\n',
        "x\nhunter two\ny",
    ],
)
def test_a_value_of_a_secret_is_known_however_it_is_written(text: str) -> None:
    assert "hunter two" in quotable(text.encode())


def test_keys_may_be_told_and_what_is_no_yaml_does_not_matter() -> None:
    assert "password" not in quotable(b"password: 123456\n")
    assert "123456" in quotable(b"password: 0123456\nother: 123456\n")
    assert quotable(b"\xff: [") != ()


@given(st.text(min_size=4).filter(lambda t: len(t.strip()) >= 4), st.booleans())
def test_no_value_is_told_however_it_is_quoted(value: str, is_ascii: bool) -> None:
    quoted = json.dumps(value.strip(), ensure_ascii=is_ascii)

    found = without_values(f"<<{quoted}>>", config_map(password=value), confidential=True)

    assert found == '<<"…">>'
