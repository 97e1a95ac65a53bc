"""The reference documentation of every kind, generated from the models in this package.

Decides how a field is described in words; the models hold the words. Called by `make generate`; a test
fails when docs/reference differs.
"""

from __future__ import annotations

import argparse
import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from rollouts.api import crd, parse
from rollouts.api.crd import Kind
from rollouts.api.meta import VERSION
from rollouts.api.parse import ModelField

_NOTICE = "<!-- Generated from the models in rollouts/api by `make generate`; do not edit. -->\n"
_WORDS = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    datetime: "time",
    timedelta: "duration",
}
_DEPTH = 6


def pages() -> Mapping[str, str]:
    """File name -> page, one a kind and an index."""
    return {"README.md": _index()} | {_file(kind): page(kind) for kind in crd.KINDS}


def page(kind: Kind) -> str:
    """One kind: how it is named, every field of spec and status, what the API server checks."""
    sections = [
        _NOTICE,
        f"# {kind.kind}\n",
        f"{kind.doc}\n",
        _facts(kind),
        *(_section(field) for field in parse.model_fields(kind.model) if field.json != "metadata"),
    ]
    return "\n".join(sections)


def write(directory: Path) -> tuple[Path, ...]:
    directory.mkdir(parents=True, exist_ok=True)
    return tuple(_write_one(directory / name, content) for name, content in pages().items())


def _write_one(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def _index() -> str:
    rows = [f"| [{k.kind}]({_file(k)}) | {', '.join(k.short_names)} | {k.doc} |" for k in crd.KINDS]
    head = "# Reference\n\nEvery field of every kind. Times are RFC 3339, durations seconds (`30`) or text (`1h30m`).\n"
    return "\n".join([_NOTICE, head, "| Kind | Short | |", "|---|---|---|", *rows, ""])


def _file(kind: Kind) -> str:
    return f"{kind.kind.lower()}.md"


def _facts(kind: Kind) -> str:
    group = "`rollouts.dev`, or what `--api-group` says" if kind.own_group else "`rollouts.dev`"
    scope = "in a namespace" if kind.namespaced else "in the cluster, without a namespace"
    wide = ", ".join(f"{c.name}{' (wide)' if c.wide else ''}" for c in kind.columns)
    lines = [
        f"- API: {group}, version `{VERSION}`, {scope}",
        f"- `kubectl get {kind.short_names[0]}` shows: {wide}",
    ]
    if kind.scalable:
        lines.append("- `kubectl scale` and autoscalers work on it (subresource `scale`)")
    return "\n".join(lines) + "\n"


def _section(field: ModelField) -> str:
    model = _model(field.hint)
    assert model is not None, f"{field.json} of a kind is an object"
    lines = [f"## {field.json}\n", "| Field | Type | |", "|---|---|---|"]
    lines.extend(_rows(model, field.json))
    rules = list(dict.fromkeys(_rules(model, field.json)))
    if rules:
        lines.extend(["", "The API server refuses what breaks one of these rules:", "", *rules])
    return "\n".join(lines) + "\n"


def _rows(model: Any, path: str, depth: int = 0) -> Iterator[str]:
    for field in parse.model_fields(model):
        if field.info.rest:
            continue
        name = f"{path}.{field.json}"
        yield f"| `{name}` | {_type(field)} | {_said(field, is_input=path.startswith('spec'))} |"
        inner = _model(field.hint)
        if inner is not None and depth < _DEPTH:
            yield from _rows(inner, name + ("[]" if _is_list(field.hint) else ""), depth + 1)


def _rules(model: Any, path: str) -> Iterator[str]:
    for rule in getattr(model, "RULES", ()):
        yield f"- `{path}`: {rule.message}"
    for field in parse.model_fields(model):
        inner = _model(field.hint)
        if inner is not None:
            yield from _rules(inner, f"{path}.{field.json}" + ("[]" if _is_list(field.hint) else ""))


def _type(field: ModelField) -> str:
    hint = _without_none(field.hint)
    if _is_int_or_string(hint):
        return "integer or percentage" if field.info.percent else "integer or string"
    if _is_list(hint):
        return f"list of {_word(typing.get_args(hint)[0])}s"
    return _word(hint)


def _word(hint: Any) -> str:
    if typing.get_origin(hint) is Mapping:
        return "map of strings" if typing.get_args(hint)[1] is str else "object"
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return "string"
    return _WORDS.get(hint, "object")


def _said(field: ModelField, *, is_input: bool) -> str:
    """The sentence of the field, its values, limits and default."""
    parts = [field.info.doc, *_values(field), *_limits(field)]
    if is_input and field.required:
        parts.append("**Required.**")
    elif is_input and (default := _default(field.default)):
        parts.append(f"Default: `{default}`.")
    return " ".join(parts).replace("|", "\\|").replace("\n", " ")


def _values(field: ModelField) -> Iterator[str]:
    hint = _without_none(field.hint)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        yield "One of " + ", ".join(f"`{member.value}`" for member in hint) + "."


def _limits(field: ModelField) -> Iterator[str]:
    low, high = field.info.minimum, field.info.maximum
    if low is not None and high is not None:
        yield f"From {low} to {high}."
    elif low is not None:
        yield f"At least {low}."
    elif high is not None:
        yield f"At most {high}."


def _default(default: Any) -> str:
    """The default where it says something; empty values do not."""
    if default is None or default in ((), "", False) or dataclasses.is_dataclass(default):
        return "0" if default == 0 and not isinstance(default, bool) else ""
    if isinstance(default, timedelta):
        return parse.format_duration(default)
    if isinstance(default, bool):
        return "true"
    return "" if isinstance(default, Mapping) else str(default)


def _model(hint: Any) -> Any:
    """The dataclass that a field holds, alone or in a list."""
    hint = _without_none(hint)
    if _is_list(hint):
        hint = typing.get_args(hint)[0]
    return hint if dataclasses.is_dataclass(hint) else None


def _without_none(hint: Any) -> Any:
    if typing.get_origin(hint) in (types.UnionType, typing.Union) and not _is_int_or_string(hint):
        return next(a for a in typing.get_args(hint) if a is not type(None))
    return hint


def _is_int_or_string(hint: Any) -> bool:
    return set(typing.get_args(hint)) - {type(None)} == {int, str} and not _is_list(hint)


def _is_list(hint: Any) -> bool:
    return typing.get_origin(_stripped(hint)) is tuple


def _stripped(hint: Any) -> Any:
    args = [a for a in typing.get_args(hint) if a is not type(None)]
    is_union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    return args[0] if is_union and len(args) == 1 else hint


def main(argv: Sequence[str] | None = None) -> None:
    """Write the reference, one page a kind."""
    parser = argparse.ArgumentParser(prog="python -m rollouts.api.reference", description=main.__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="where to write")
    write(parser.parse_args(argv).directory)


if __name__ == "__main__":
    main()
