"""What the API server says about an object, without the values that came from a Secret.

Its refusals quote values (`Invalid value: "..."`). Decides which Applications' objects may hold confidential
values and takes those out; names, kinds and fields stay. Pure; called where a refusal is put into words.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rollouts.api.application import ApplicationSpec
from rollouts.api.rendering import ValuesKind
from rollouts.gitops.resources import documents

__all__ = ["is_confidential", "quotable", "without_values"]

_SHORTEST = 4
"""What is shorter is no secret, and taken out it would leave no sentence."""
_HIDDEN = "…"
_SAID_ANYWAY = ("apiVersion", "kind")


def is_confidential(spec: ApplicationSpec) -> bool:
    """Whether its objects are made from Secrets."""
    references = [r for s in spec.every_source if s.helm for r in s.helm.values_from]
    references += spec.post_build.substitute_from if spec.post_build else ()
    return spec.decryption is not None or any(r.kind is ValuesKind.SECRET for r in references)


def without_values(text: str, body: Mapping[str, Any], *, confidential: bool) -> str:
    """`text` about `body`; a Secret's values are never told."""
    if not confidential and body.get("kind") != "Secret":
        return text
    metadata = body.get("metadata") or {}
    told = {metadata.get("name"), metadata.get("namespace")}
    inner = {k: v for k, v in body.items() if k not in _SAID_ANYWAY}
    values = {v.strip() for v in _texts(inner)} - told
    # The longest first, for one may hold another.
    for form in sorted({f for v in values if len(v) >= _SHORTEST for f in _forms(v)}, key=len, reverse=True):
        text = text.replace(form, _HIDDEN)
    return text


def quotable(value: bytes) -> tuple[str, ...]:
    """What of a Secret's value a program may quote: all of it, any line, and as YAML any text or number in it."""
    text = value.decode(errors="replace")
    lines = [part.partition(": ")[2] or part for part in text.splitlines()]
    try:
        inner = [leaf for document in documents.load(value) for leaf in _texts(document.value)]
    except documents.DocumentError:
        inner = []
    return (text, *lines, *inner)


def _forms(value: str) -> tuple[str, ...]:
    """As it is, and as it stands between quotation marks."""
    return value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, int | float):
        yield str(value)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
