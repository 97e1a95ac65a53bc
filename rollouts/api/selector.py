"""Label selectors, as every kind that selects pods writes them. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from rollouts.api.schema import Field


@dataclass(frozen=True, slots=True)
class LabelSelectorRequirement:
    key: Annotated[str, Field("Label key.")]
    operator: Annotated[
        str, Field("In, NotIn, Exists or DoesNotExist.", pattern="^(In|NotIn|Exists|DoesNotExist)$")
    ]
    values: Annotated[tuple[str, ...], Field("Values for In and NotIn.")] = ()


@dataclass(frozen=True, slots=True)
class LabelSelector:
    match_labels: Annotated[Mapping[str, str], Field("Labels with exactly these values.")] = field(
        default_factory=dict
    )
    match_expressions: Annotated[
        tuple[LabelSelectorRequirement, ...], Field("Requirements, all of which hold.")
    ] = ()
