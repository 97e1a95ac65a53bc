"""Regular expressions of users: RE2, as in Go, so that no pattern takes more than linear time. Pure."""

from __future__ import annotations

import functools

import re2

_KEPT = 256
_MAX_MEMORY = 1 << 20


def found(pattern: str, text: str) -> bool:
    """Whether the pattern matches anywhere in the text; ValueError if it is no regular expression."""
    try:
        return _compiled(pattern).search(text) is not None
    except re2.error as error:
        reason = error.args[0] if error.args else "unknown"
        shown = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f'"{pattern[:100]}" is not a regular expression: {shown[:100]}') from None
    except UnicodeEncodeError:
        raise ValueError("a lone surrogate is not a character") from None


@functools.lru_cache(maxsize=_KEPT)
def _compiled(pattern: str) -> re2._Regexp:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    return re2.compile(pattern, options)
