"""The exception tree. A leaf exists only where a caller acts differently.

RolloutsError
├── SpecError        the object says something impossible: wait for a new generation
├── NotFound         the API server does not have it
├── Conflict         somebody was faster: look again
├── Rejected         the API server or an admission webhook refuses the content of a write
├── Transient        try again later, after `retry_after` seconds if the server said so
└── LostLease        another replica leads: stop writing, leave
"""

from __future__ import annotations

import os

__all__ = [
    "Conflict",
    "LostLease",
    "NotFound",
    "Rejected",
    "RolloutsError",
    "SpecError",
    "Transient",
    "in_words",
]


class RolloutsError(Exception):
    """Everything that this project raises on purpose."""


class SpecError(RolloutsError):
    """A field holds a value that cannot be served.

    `path` is the JSON path (`spec.strategy.canary.steps[2].setWeight`), `value` what stands there,
    `problem` what is wrong with it, `remedy` what to write instead.
    """

    def __init__(self, path: str, value: object, problem: str, remedy: str = "") -> None:
        self.path = path
        self.value = value
        self.problem = problem
        self.remedy = remedy
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        shown = "" if self.value is None else f": Invalid value: {_shown(self.value)}"
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.path}{shown}: {self.problem}{remedy}"


class NotFound(RolloutsError):
    """The API server has no such object (404)."""


class Conflict(RolloutsError):
    """A precondition failed (409, or 422 on a uid): the observed state is old."""


class Rejected(RolloutsError):
    """The content of a write is refused (400, 403, 422): repeating it alone will not help."""


class Transient(RolloutsError):
    """The server is unreachable or overloaded. `retry_after` is in seconds, None when it did not say."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class LostLease(RolloutsError):
    """This process may not write any more."""


def in_words(error: OSError) -> str:
    """What went wrong with a connection; asyncio's own text repeats the address instead."""
    number = error.errno or 0  # negative for host names, which os.strerror does not know
    return os.strerror(number) if number > 0 else error.strerror or str(error)


def _shown(value: object) -> str:
    text = repr(value) if not isinstance(value, str) else f'"{value}"'
    return text if len(text) <= 80 else text[:77] + "..."
