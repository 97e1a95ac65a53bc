"""`${name}` in rendered objects, as Flux's `postBuild` does it.

Decides what an expression means (a subset of bash: defaults, length, case, substrings, removal and
replacement of literal text) and what a replaced scalar becomes: as in Flux it is read as YAML again, so
`replicas: ${n}` is a number, but where Kubernetes only takes strings it stays one. A variable that is not
set and has no default is an error; `$${name}` stays `${name}`. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rollouts.gitops.resources import documents

__all__ = ["DISABLED_MARKS", "SubstitutionError", "substitute", "variables"]

DISABLED_MARKS = ("kustomize.toolkit.fluxcd.io/substitute", "rollouts.dev/substitute")
"""A label or annotation of this name with the value `disabled` keeps an object as it is."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_STRINGS_ONLY = frozenset(
    {"annotations", "binaryData", "data", "labels", "matchLabels", "nodeSelector", "stringData"}
)
_SLICE = re.compile(r"(-?\d+)(?::(-?\d+))?")
_MAX_LENGTH = 1024 * 1024


class SubstitutionError(Exception):
    """An expression that cannot be replaced; the sentence names it."""


def variables(values: Mapping[str, str]) -> dict[str, str]:
    """Those that can be named, on one line each (as Flux)."""
    return {k: v.replace("\n", "") for k, v in values.items() if _NAME.fullmatch(k)}


def substitute(body: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """An object with every expression replaced. Raises `SubstitutionError`."""
    if _is_disabled(body):
        return dict(body)
    return {k: _value(v, values, only_strings=k in _STRINGS_ONLY) for k, v in body.items()}


def _is_disabled(body: Mapping[str, Any]) -> bool:
    metadata = body.get("metadata")
    if not isinstance(metadata, Mapping):
        return False
    marks = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
    return any(marks.get(name) == "disabled" for name in DISABLED_MARKS)


def _value(value: Any, values: Mapping[str, str], *, only_strings: bool) -> Any:
    if isinstance(value, Mapping):
        return {
            expanded(str(k), values): _value(v, values, only_strings=only_strings or k in _STRINGS_ONLY)
            for k, v in value.items()
        }
    if isinstance(value, list):
        return [_value(v, values, only_strings=only_strings) for v in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    text = expanded(value, values)
    return text if only_strings or "\n" in text or text == value else _read_again(text)


def _read_again(text: str) -> Any:
    try:
        found = [d.value for d in documents.load(text.encode())]
    except documents.DocumentError:
        return text
    return found[0] if len(found) == 1 else text


def expanded(text: str, values: Mapping[str, str]) -> str:
    """`text` with every expression replaced. Raises `SubstitutionError`."""
    out: list[str] = []
    at = 0
    while (start := text.find("${", at)) >= 0:
        if start > at and text[start - 1] == "$":
            out.append(text[at : start - 1] + "${")
            at = start + 2
            continue
        end = _end(text, start)
        out.append(text[at:start] + _expression(text[start + 2 : end], values))
        at = end + 1
        if sum(map(len, out)) > _MAX_LENGTH:
            raise SubstitutionError("the text grows beyond 1 MiB by substitution")
    return "".join((*out, text[at:]))


def _end(text: str, start: int) -> int:
    """The brace that closes the expression; defaults may hold expressions themselves."""
    depth, at = 0, start
    while at < len(text):
        if text.startswith("${", at):
            depth, at = depth + 1, at + 2
            continue
        if text[at] == "}":
            depth -= 1
            if depth == 0:
                return at
        at += 1
    raise SubstitutionError(f"{_shown(text[start:])} has no closing brace")


def _expression(inner: str, values: Mapping[str, str]) -> str:
    if inner.startswith("#") and _NAME.fullmatch(inner[1:]):
        return str(len(_known(inner[1:], inner, values)))
    found = _NAME.match(inner)
    if not found:
        raise SubstitutionError(f"{_shown('${' + inner)}}} names no variable")
    name, operation = found[0], inner[found.end() :]
    for operator in (":-", ":=", "-", "="):
        if operation.startswith(operator):
            default = operation.removeprefix(operator)
            known = values.get(name)
            is_missing = not known if operator.startswith(":") else known is None
            return expanded(default, values) if is_missing or known is None else known
    return _operated(_known(name, inner, values), operation, inner)


def _known(name: str, inner: str, values: Mapping[str, str]) -> str:
    if name not in values:
        raise SubstitutionError(
            f"${{{_shown(inner)}}}: variable {name} is not set; "
            f"set it in postBuild, or write ${{{name}:-default}}"
        )
    return values[name]


def _operated(value: str, operation: str, inner: str) -> str:  # noqa: PLR0911 - one line an operator
    cases = {"": value, "^^": value.upper(), ",,": value.lower()}
    cases |= {"^": value[:1].upper() + value[1:], ",": value[:1].lower() + value[1:]}
    if operation in cases:
        return cases[operation]
    if operation.startswith(":") and (found := _SLICE.fullmatch(operation[1:])):
        first = int(found[1])
        if found[2] is None:
            return value[first:]
        last = int(found[2])
        return value[first:][:last]
    if operation.startswith("//"):
        old, _, new = operation[2:].partition("/")
        return value.replace(old, new) if old else value
    if operation.startswith("/"):
        old, _, new = operation[1:].partition("/")
        return value.replace(old, new, 1) if old else value
    if operation.startswith("#"):
        return value.removeprefix(operation.lstrip("#"))
    if operation.startswith("%"):
        return value.removesuffix(operation.lstrip("%"))
    raise SubstitutionError(f"${{{_shown(inner)}}}: {_shown(operation)} is not an operation that is known")


def _shown(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}…"
