"""The CustomResourceDefinitions, generated from the models in this package.

Decides how a model becomes a structural schema and what `kubectl get` shows; the models decide what is
valid. In the group of a peer the API server checks types alone: what the peer's definitions have let in has to
stay writable (a write of its status too is refused where its spec is), so the controller says what is wrong
with it, as InvalidSpec. Called by `make generate`, `rollouts crds` and the sandbox.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from rollouts.api import parse
from rollouts.api.analysis import AnalysisRun, AnalysisTemplate
from rollouts.api.application import Application
from rollouts.api.experiment import Experiment
from rollouts.api.meta import APPLICATION_GROUP, DEFAULT_GROUP, VERSION, Names
from rollouts.api.rollout import Rollout
from rollouts.api.schema import Field

Schema = dict[str, Any]

_DURATION_PATTERN = r"^([0-9]+|([0-9]+(\.[0-9]+)?(h|ms|m|s))+)$"
_TEMPLATED_DURATION_PATTERN = rf"{_DURATION_PATTERN}|\{{\{{.*\}}\}}"
_PERCENT_PATTERN = r"^[0-9]+%$"
_BEYOND_TYPES = (
    "required",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "x-kubernetes-validations",
)
_HEADER = "# Generated from the models in rollouts/api by `make generate`; do not edit.\n"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `kubectl get`; a wide one is shown with `-o wide` only."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """What a CRD says beside its schema."""

    model: type
    kind: str
    plural: str
    short_names: tuple[str, ...]
    doc: str
    columns: tuple[Column, ...] = ()
    namespaced: bool = True
    scalable: bool = False
    own_group: bool = True
    """False: the group does not follow `--api-group`."""

    def group(self, names: Names) -> str:
        return names.group if self.own_group else APPLICATION_GROUP


_AGE = Column("Age", ".metadata.creationTimestamp", "date")

# The message comes last: it is empty while all is well, and may be long where somebody has to read it.
ROLLOUT = Kind(
    Rollout,
    "Rollout",
    "rollouts",
    ("ro",),
    "A Deployment that is updated step by step, analysed between the steps, and put back if it fails.",
    (
        Column("Phase", ".status.phase"),
        Column("Step", ".status.step"),
        Column("Weight", ".status.canary.weights.canary.weight", "integer"),
        Column("Ready", ".status.readyReplicas", "integer"),
        Column("Desired", ".spec.replicas", "integer"),
        Column("Rev", ".status.currentRevision", "integer"),
        _AGE,
        Column("Updated", ".status.updatedReplicas", "integer", wide=True),
        Column("Available", ".status.availableReplicas", "integer", wide=True),
        Column("Stable", ".status.stableRS", wide=True),
        Column("Git", ".status.gitRevision", wide=True),
        Column("Message", ".status.message"),
    ),
    scalable=True,
)
ANALYSIS_TEMPLATE = Kind(
    AnalysisTemplate,
    "AnalysisTemplate",
    "analysistemplates",
    ("at",),
    "Metrics to measure and the limits that decide, for the Rollouts of a namespace.",
    (_AGE,),
)
CLUSTER_ANALYSIS_TEMPLATE = Kind(
    AnalysisTemplate,
    "ClusterAnalysisTemplate",
    "clusteranalysistemplates",
    ("cat",),
    "An AnalysisTemplate for the Rollouts of every namespace.",
    (_AGE,),
    namespaced=False,
)
ANALYSIS_RUN = Kind(
    AnalysisRun,
    "AnalysisRun",
    "analysisruns",
    ("ar",),
    "One run of an analysis: what was measured and the verdict.",
    (
        Column("Phase", ".status.phase"),
        Column("Type", ".metadata.labels.rollout-type"),
        Column("Step", ".metadata.labels.step-index"),
        _AGE,
        Column("Message", ".status.message"),
    ),
)
EXPERIMENT = Kind(
    Experiment,
    "Experiment",
    "experiments",
    ("exp",),
    "Versions that run side by side for a while, and the analyses that compare them.",
    (
        Column("Phase", ".status.phase"),
        Column("Duration", ".spec.duration"),
        Column("Available", ".status.availableAt", "date"),
        _AGE,
        Column("Message", ".status.message"),
    ),
)
# Revisions are 50 characters wide, so they are for wide terminals; the message names what matters of them.
APPLICATION = Kind(
    Application,
    "Application",
    "applications",
    ("app",),
    "A directory in a Git repository that is kept applied, and put back to its last good revision.",
    (
        Column("Sync", ".status.sync.status"),
        Column("Health", ".status.health.status"),
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        Column("Reason", '.status.conditions[?(@.type=="Ready")].reason'),
        _AGE,
        Column("Running", ".status.runningRevision", wide=True),
        Column("Desired", ".status.desiredRevision", wide=True),
        Column("Message", '.status.conditions[?(@.type=="Ready")].message'),
    ),
    own_group=False,
)
KINDS = (ROLLOUT, ANALYSIS_TEMPLATE, CLUSTER_ANALYSIS_TEMPLATE, ANALYSIS_RUN, EXPERIMENT, APPLICATION)


def crds(names: Names) -> list[dict[str, Any]]:
    """Every CustomResourceDefinition of one API group, as the API server takes it."""
    return [crd(kind, names.group) for kind in kinds(names)]


def kinds(names: Names) -> tuple[Kind, ...]:
    """The kinds of one API group."""
    return tuple(kind for kind in KINDS if kind.group(names) == names.group)


def crd(kind: Kind, group: str) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{group}"},
        "spec": {
            "group": group,
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.kind.lower(),
                "shortNames": list(kind.short_names),
            },
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": [_version(kind, strict=group in (DEFAULT_GROUP, APPLICATION_GROUP))],
        },
    }


def write(directory: Path, names: Names) -> tuple[Path, ...]:
    """One file a kind, `<plural>.yaml`; the content of a file depends on the models and the group only."""
    directory.mkdir(parents=True, exist_ok=True)
    return tuple(_write_one(directory / f"{k.plural}.yaml", crd(k, names.group)) for k in kinds(names))


def text(definition: Mapping[str, Any]) -> str:
    return _HEADER + yaml.safe_dump(definition, sort_keys=False, width=110)


def model_schema(model: Any) -> Schema:
    """The structural schema of one model, its rules included."""
    fields = parse.model_fields(model)
    schema: Schema = {
        "type": "object",
        "properties": {f.json: _field_schema(f) for f in fields if not f.info.rest},
    }
    if any(f.info.rest for f in fields):
        schema["x-kubernetes-preserve-unknown-fields"] = True
    if required := [f.json for f in fields if f.required]:
        schema["required"] = required
    if rules := getattr(model, "RULES", ()):
        schema["x-kubernetes-validations"] = [{"rule": r.rule, "message": r.message} for r in rules]
    return schema


def _write_one(path: Path, definition: Mapping[str, Any]) -> Path:
    path.write_text(text(definition), encoding="utf-8")
    return path


def _version(kind: Kind, *, strict: bool) -> dict[str, Any]:
    has_status = any(f.json == "status" for f in parse.model_fields(kind.model))
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [_column(c) for c in kind.columns],
        "schema": {"openAPIV3Schema": _root(kind) if strict else _types_only(_root(kind))},
    }
    subresources: dict[str, Any] = {"status": {}} if has_status else {}
    if kind.scalable:
        subresources["scale"] = {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.HPAReplicas",
            "labelSelectorPath": ".status.selector",
        }
    return version | ({"subresources": subresources} if subresources else {})


def _types_only(schema: Schema) -> Schema:
    """The schema without what it asks of values."""
    kept = {name: value for name, value in schema.items() if name not in _BEYOND_TYPES}
    if "properties" in kept:
        kept["properties"] = {name: _types_only(of) for name, of in kept["properties"].items()}
    if "items" in kept:
        kept["items"] = _types_only(kept["items"])
    return kept


def _column(column: Column) -> dict[str, Any]:
    shown = {"name": column.name, "type": column.type, "jsonPath": column.path}
    return shown | ({"priority": 1} if column.wide else {})


def _root(kind: Kind) -> Schema:
    schema = model_schema(kind.model)
    schema["description"] = kind.doc
    schema["properties"] = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
    } | {name: s for name, s in schema["properties"].items() if name != "metadata"}
    schema["required"] = [name for name in schema["required"] if name != "metadata"]
    return schema


def _field_schema(field: parse.ModelField) -> Schema:
    described = {"description": field.info.doc} if field.info.doc else {}
    return described | _hint_schema(field.hint, field.info) | dict(field.info.schema or {})


def _hint_schema(hint: Any, info: Field) -> Schema:  # noqa: PLR0911
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        members = [a for a in args if a is not type(None)]
        if set(members) == {timedelta, str}:
            return _int_or_string(info) | {"pattern": _TEMPLATED_DURATION_PATTERN}
        return _int_or_string(info) if set(members) == {int, str} else _hint_schema(members[0], info)
    if origin is tuple:
        limit = {"minItems": info.min_items} if info.min_items is not None else {}
        return {"type": "array", "items": _hint_schema(args[0], Field(""))} | limit
    if origin is Mapping:
        return _mapping(args[1])
    if dataclasses.is_dataclass(hint):
        return model_schema(hint)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return {"type": "string", "enum": [member.value for member in hint]}
    return _SCALARS[hint](info)


def _mapping(value: Any) -> Schema:
    if value is str:
        return {"type": "object", "additionalProperties": {"type": "string"}}
    return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def _int_or_string(info: Field) -> Schema:
    pattern = {"pattern": _PERCENT_PATTERN} if info.percent else {}
    return (
        {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
        | pattern
        | _limits(info)
    )


def _duration(info: Field) -> Schema:
    return _int_or_string(info) | {"pattern": _DURATION_PATTERN}


def _string(info: Field) -> Schema:
    length = {"minLength": info.min_length} if info.min_length is not None else {}
    return {"type": "string"} | length | ({"pattern": info.pattern} if info.pattern else {})


def _limits(info: Field) -> Schema:
    bounds = {"minimum": info.minimum, "maximum": info.maximum}
    return {name: bound for name, bound in bounds.items() if bound is not None}


_SCALARS: Mapping[Any, Callable[[Field], Schema]] = {
    bool: lambda _: {"type": "boolean"},
    int: lambda info: {"type": "integer", "format": "int64"} | _limits(info),
    float: lambda info: {"type": "number"} | _limits(info),
    str: _string,
    timedelta: _duration,
    datetime: lambda _: {"type": "string", "format": "date-time"},
}


def main(argv: Sequence[str] | None = None) -> None:
    """Print every CRD, or write one file a kind with `--directory`."""
    parser = argparse.ArgumentParser(prog="python -m rollouts.api.crd", description=main.__doc__)
    parser.add_argument("--group", default=DEFAULT_GROUP, help="API group (default %(default)s)")
    parser.add_argument("--directory", type=Path, action="append", default=[], help="where to write")
    options = parser.parse_args(argv)
    names = Names(options.group)
    for directory in options.directory:
        write(directory, names)
    if not options.directory:
        sys.stdout.write("---\n".join(text(definition) for definition in crds(names)))


if __name__ == "__main__":
    main()
