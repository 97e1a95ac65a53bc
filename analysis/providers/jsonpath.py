"""JSONPath as kubectl and Argo Rollouts write it, `{$.data.ok}` or `{.items[0].name}`. Pure.

The path language itself is jsonpath-ng's; here the braces are taken off, and kubectl's `\\.` in a name is understood.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from analysis.errors import ProviderError

_DOTTED = re.compile(r"\.((?:[\w/-]*\\\.)+[\w/-]*)")


def first(path: str, document: object) -> object:
    """The first value that the path finds; ProviderError if it finds none."""
    try:
        found = _parsed(path).find(document)
    except (TypeError, KeyError, IndexError, AttributeError, ValueError) as error:
        raise ProviderError(f"jsonPath {path}: {error}") from None
    if not found:
        raise ProviderError(f"jsonPath {path} finds nothing in the answer")
    return found[0].value


@functools.lru_cache(maxsize=256)
def _parsed(path: str) -> Any:
    # Its parser takes time and memory to load.
    from jsonpath_ng import exceptions  # noqa: PLC0415
    from jsonpath_ng.ext.parser import parse  # noqa: PLC0415

    inner = path.strip()
    if inner.startswith("{") and inner.endswith("}"):
        inner = inner[1:-1].strip()
    inner = _DOTTED.sub(lambda name: f"['{name[1].replace(chr(92), '')}']", inner)
    if inner.startswith((".", "[")):
        inner = f"${inner}"
    try:
        return parse(inner or "$")
    except exceptions.JSONPathError as error:
        raise ProviderError(f"jsonPath {path}: {error}") from None
    except Exception as error:  # noqa: BLE001 - the lexer raises its own types, and bare ones
        raise ProviderError(f"jsonPath {path} cannot be read: {error}") from None
