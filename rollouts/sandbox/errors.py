"""What may go wrong in a sandbox, always as: which step, why, what to do.

SandboxError
└── PortTaken      another program took the port between choosing and binding it: choose again
"""

from __future__ import annotations

from rollouts.errors import RolloutsError


class SandboxError(RolloutsError):
    """A step of building, starting or using the sandbox failed."""

    def __init__(self, *, step: str, why: str, remedy: str) -> None:
        self.step = step
        self.why = why
        self.remedy = remedy
        super().__init__(f"{step}: {why}. {remedy}")


class PortTaken(SandboxError):
    """A component could not listen on the port that was chosen for it."""
