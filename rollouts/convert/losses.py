"""What a conversion could not carry over: every field that no converter has read.

Decides nothing about meaning: a converter says which fields it reads, what is left is told by its path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_INDEX = re.compile(r"\[\d+\]")
_NO_COUNTERPART = "has no counterpart and is left out"


@dataclass(frozen=True, slots=True)
class Loss:
    """One thing to look at: where it stood, and what to do about it."""

    object: str
    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.object}: {self.path}: {self.problem}"


def unread(
    name: str, body: Mapping[str, Any], known: frozenset[str], remedies: Mapping[str, str]
) -> Iterator[Loss]:
    """Fields below `spec` that are not `known`. Paths there have `[]` for every index; empty ones do not count."""
    for path in _left(body.get("spec") or {}, "spec", known):
        shape = _INDEX.sub("[]", path)
        remedy = next((text for start, text in remedies.items() if _is_below(shape, start)), "")
        yield Loss(name, path, f"{_NO_COUNTERPART}; {remedy}" if remedy else _NO_COUNTERPART)


def _left(value: Any, path: str, known: frozenset[str]) -> Iterator[str]:
    shape = _INDEX.sub("[]", path)
    if shape in known or value is None or value is False or value in ("", [], {}):
        return
    if not any(_is_below(read, shape) for read in known):
        yield path
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _left(item, f"{path}.{key}", known)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _left(item, f"{path}[{index}]", known)


def _is_below(path: str, start: str) -> bool:
    return path == start or path.startswith((f"{start}.", f"{start}["))
