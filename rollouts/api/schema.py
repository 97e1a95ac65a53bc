"""What a model says about a field beside its type: the sentence for the reference and the limits.

Written as `Annotated[int, Field("Desired pods.", minimum=0)]` on the dataclasses in this package;
read by `parse` (checks), `crd` (OpenAPI) and the reference documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

JSON = Mapping[str, Any]
"""A JSON object as it came from the API server or from YAML; never changed in place."""

IntOrString = int | str
"""A count (`3`) or a percentage of the replicas (`"25%"`)."""

TemplatedDuration = timedelta | str
"""A duration, or text such as `"{{args.interval}}"` that becomes one when its arguments are filled in."""


OBJECT_NAME = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
"""How Kubernetes names a Secret or ConfigMap. A name with a slash in it would be a path to another one."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field's documentation and limits.

    `json` overrides the camelCase name; `pattern` is an anchored regular expression; `percent` admits
    `"25%"` beside integers; `shown` writes the zero value of a status instead of leaving it out;
    `schema` is merged over the generated OpenAPI schema as it is; `rest` is a mapping that takes what no
    other field of its object names, so that it is kept.
    """

    doc: str
    json: str = ""
    minimum: int | None = None
    maximum: int | None = None
    min_items: int | None = None
    min_length: int | None = None
    pattern: str = ""
    percent: bool = False
    shown: bool = False
    rest: bool = False
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A CEL rule on a whole object (`x-kubernetes-validations`), checked by the API server."""

    rule: str
    message: str
