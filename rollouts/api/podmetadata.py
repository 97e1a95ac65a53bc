"""Labels and annotations that one role of an update gives its pods. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from rollouts.api.schema import Field


@dataclass(frozen=True, slots=True)
class PodTemplateMetadata:
    """Labels and annotations that pods carry while they have a role."""

    labels: Annotated[Mapping[str, str], Field("Labels of the pods.")] = field(default_factory=dict)
    annotations: Annotated[Mapping[str, str], Field("Annotations of the pods.")] = field(default_factory=dict)
