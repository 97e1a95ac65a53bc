"""What both HTTP libraries have in common: how a server and a failure are called, without secrets."""

from __future__ import annotations

from urllib.parse import urlsplit

_SHOWN_REASON = 200


def origin(address: str) -> str:
    """Scheme, host and port of a URL, without the user and password that may stand in it."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def reason(error: BaseException) -> str:
    """The text of the operating system at the bottom of a chain of exceptions; never a URL."""
    seen: BaseException | None = error
    found = type(error).__name__
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            found = seen.strerror
        inner = getattr(seen, "reason", None) or next(iter(seen.args), None)
        seen = inner if isinstance(inner, BaseException) else seen.__cause__ or seen.__context__
    return found[:_SHOWN_REASON]
