"""Finds free TCP ports on the loopback address, so that two sandboxes can run side by side.

Ports come from below the range that kernels give to outgoing connections, so that nothing takes one by
chance between choosing it and listening on it.
"""

from __future__ import annotations

import errno
import random
import socket
from contextlib import ExitStack

from rollouts.sandbox.errors import SandboxError

LOOPBACK = "127.0.0.1"
LOWEST, HIGHEST = 20_000, 32_767
ATTEMPTS = 400


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    try:
        _listen(port).close()
    except OSError:
        return False
    return True


def find(count: int, *, rng: random.Random | None = None) -> tuple[int, ...]:
    """So many different free ports."""
    choice = rng or random.SystemRandom()
    found: list[int] = []
    with ExitStack() as held:
        for _ in range(ATTEMPTS):
            if len(found) == count:
                return tuple(found)
            port = choice.randint(LOWEST, HIGHEST)
            try:
                held.callback(_listen(port).close)
            except OSError as error:
                if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                    raise
                continue
            found.append(port)
    raise SandboxError(
        step="Choose ports",
        why=f"no {count} free ports between {LOWEST} and {HIGHEST} on {LOOPBACK}",
        remedy="Stop sandboxes that are no longer needed: `rollouts sandbox down`.",
    )


def _listen(port: int) -> socket.socket:
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        server.bind((LOOPBACK, port))
        server.listen(1)
    except OSError:
        server.close()
        raise
    return server
