"""Identity of a pod template: its hash as Argo Rollouts makes it, and its digest by meaning.

Decides when two pod templates are the same. Pure; called by the controller when it reads objects.
"""

from __future__ import annotations

_SAFE = "bcdfghjklmnpqrstvwxz2456789"


def fnv32a(data: bytes, state: int = 0x811C9DC5) -> int:
    """FNV-1a, 32 bit."""
    for byte in data:
        state = ((state ^ byte) * 0x01000193) & 0xFFFFFFFF
    return state


def safe_encode(text: str) -> str:
    """Letters and digits that make no words (k8s.io/apimachinery/pkg/util/rand)."""
    return "".join(_SAFE[ord(char) % len(_SAFE)] for char in text)
