"""How a revision is written: `main@sha1:<commit>` as Flux has it, and what can be read from it again.

Decides the text alone; which revision counts is `revision`'s. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["commit_of", "each", "joined", "name_of", "parts", "text"]

_REVISION = re.compile(r"(?:(?P<ref>\S+)@)?(?:sha1:(?P<commit>[0-9a-f]{40})|(?P<digest>sha256:[0-9a-f]{64}))")
_AND = " + "
"""Between the revisions of several sources; no ref holds a space."""


def text(ref: str, commit: str) -> str:
    """`main@sha1:<commit>`; `sha1:<commit>` for a bare commit; `1.2.3@sha256:<digest>` for an artifact."""
    kind = "" if commit.startswith("sha256:") else "sha1:"
    return f"{ref}@{kind}{commit}" if ref else f"{kind}{commit}"


def commit_of(revision: str) -> str:
    """The 40 hex digits, or an artifact's `sha256:…`; empty where there are none."""
    found = _REVISION.fullmatch(revision)
    return (found["commit"] or found["digest"]) if found else ""


def name_of(revision: str) -> str:
    """The branch, tag or version; empty for a bare commit."""
    found = _REVISION.fullmatch(revision)
    return (found["ref"] or "") if found else ""


def joined(revisions: Iterable[str]) -> str:
    """The one revision that several sources are at."""
    return _AND.join(revisions)


def each(revision: str) -> tuple[str, ...]:
    """The revisions of the sources, in their order."""
    return tuple(revision.split(_AND)) if revision else ()


def parts(revision: str) -> tuple[str, ...]:
    """As the status lists them: only where there are several."""
    found = each(revision)
    return found if len(found) > 1 else ()
