"""What a provider answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ProviderResult:
    """The value that conditions see as `result`, and the same as text for the status."""

    value: object
    rendered: str
    metadata: Mapping[str, str] = field(default_factory=dict)
