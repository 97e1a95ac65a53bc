"""An Application names Secrets and ConfigMaps of its own namespace, and there is no way to write another one."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from rollouts.api import parse
from rollouts.api.application import ApplicationSpec
from rollouts.errors import SpecError

SOURCE = {"repoURL": "https://git.example.com/team/shop", "path": "."}
GITHUB = {"provider": "github"}


def spec(*, of_source: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return {"source": {**SOURCE, **(of_source or {})}, **fields}


def every_reference(reference: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """By its path: a spec for each place where a Secret or a ConfigMap can be named."""
    values = {"kind": "Secret", **reference}
    several = {"sources": [{**SOURCE, "secretRef": dict(reference)}]}
    return [
        ("spec.secretRef", spec(secretRef=reference)),
        ("spec.sources[0].secretRef", several),
        ("spec.source.helm.valuesFrom[0]", spec(of_source={"helm": {"valuesFrom": [values]}})),
        ("spec.postBuild.substituteFrom[0]", spec(postBuild={"substituteFrom": [values]})),
        ("spec.decryption.secretRef", spec(decryption={"provider": "sops", "secretRef": reference})),
        ("spec.verify.secretRef", spec(verify={"secretRef": reference})),
        ("spec.commitStatus.secretRef", spec(commitStatus={**GITHUB, "secretRef": reference})),
        ("spec.rollback.secretRef", spec(rollback={**GITHUB, "secretRef": reference})),
    ]


PLACES = [path for path, _ in every_reference({"name": "git"})]


@pytest.mark.parametrize("place", PLACES)
def test_a_secret_is_named_by_its_name(place: str) -> None:
    parse.parse(ApplicationSpec, dict(every_reference({"name": "git.example.com"}))[place], "spec")


@pytest.mark.parametrize("place", PLACES)
def test_a_namespace_cannot_be_named(place: str) -> None:
    with pytest.raises(SpecError) as e:
        parse.parse(
            ApplicationSpec, dict(every_reference({"name": "git", "namespace": "other"}))[place], "spec"
        )

    assert e.value.path == f"{place}.namespace"


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["other/git", "../../other/secrets/git", "..", ".", "%2e%2e", "git?x", ""])
def test_a_name_is_not_a_path(place: str, name: str) -> None:
    with pytest.raises(SpecError) as e:
        parse.parse(ApplicationSpec, dict(every_reference({"name": name}))[place], "spec")

    assert e.value.path == f"{place}.name"


def test_every_reference_of_the_model_is_among_them() -> None:
    """Whatever is added to the model has to be added here."""
    tested = {place.replace("[0]", "") for place in PLACES}

    found = {path for path in _paths(ApplicationSpec, "spec") if path.endswith(("Ref", "From"))}

    assert {path.replace("spec.sources.", "spec.source.") for path in found} == {
        path.replace("spec.sources.", "spec.source.") for path in tested
    }


def _paths(model: Any, path: str) -> Iterator[str]:
    for field in parse.model_fields(model):
        here = f"{path}.{field.json}"
        yield here
        for inner in (field.hint, *_inner(field.hint)):
            if dataclasses.is_dataclass(inner):
                yield from _paths(inner, here)


def _inner(hint: Any) -> Iterator[Any]:
    for argument in typing.get_args(hint):
        yield argument
        yield from _inner(argument)
