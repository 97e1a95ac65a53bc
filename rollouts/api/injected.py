"""What a controller puts into the pod template of a ReplicaSet beside what the Rollout says, and takes out again.

Labels and annotations by role, and an anti-affinity towards the pods of another version. Both are left out
wherever templates are compared. Pure; called by `podtemplate`, and by the controller when it writes ReplicaSets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rollouts.api.meta import POD_TEMPLATE_HASH_LABEL
from rollouts.api.parse import dump, parse
from rollouts.api.schema import JSON
from rollouts.api.strategy import AntiAffinity, PodTemplateMetadata
from rollouts.errors import SpecError

NONE = PodTemplateMetadata()
_TOPOLOGY = "kubernetes.io/hostname"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def read(annotation: str | None) -> PodTemplateMetadata:
    """The metadata that a ReplicaSet's annotation says it was given; what cannot be read counts as none."""
    if not annotation:
        return NONE
    try:
        return parse(PodTemplateMetadata, json.loads(annotation), "annotation", strict=False)
    except (SpecError, ValueError):
        return NONE


def written(metadata: PodTemplateMetadata) -> str:
    return json.dumps(dump(metadata), sort_keys=True, separators=(",", ":"))


def carried(template: JSON, keys: PodTemplateMetadata) -> PodTemplateMetadata:
    """Those labels and annotations that the template has, with its values."""
    metadata = template.get("metadata") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    return PodTemplateMetadata(
        {k: labels[k] for k in keys.labels if k in labels},
        {k: annotations[k] for k in keys.annotations if k in annotations},
    )


def with_metadata(template: JSON, added: PodTemplateMetadata) -> JSON:
    metadata = dict(template.get("metadata") or {})
    if added.labels:
        metadata["labels"] = {**(metadata.get("labels") or {}), **added.labels}
    if added.annotations:
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **added.annotations}
    return {**template, "metadata": metadata}


def without_metadata(template: JSON, removed: PodTemplateMetadata) -> JSON:
    if removed == NONE:
        return template
    metadata = dict(template.get("metadata") or {})
    for kind, keys in (("labels", removed.labels), ("annotations", removed.annotations)):
        metadata[kind] = {k: v for k, v in (metadata.get(kind) or {}).items() if k not in keys}
    return {**template, "metadata": metadata}


def affinity(template: JSON, wanted: AntiAffinity, *, away_from: str, namespace: str) -> JSON:
    """The template's affinity with a term that keeps pods off the nodes of another version's pods."""
    own = dict((template.get("spec") or {}).get("affinity") or {})
    anti = dict(own.get("podAntiAffinity") or {})
    expression = {"key": POD_TEMPLATE_HASH_LABEL, "operator": "In", "values": [away_from]}
    term = {
        "labelSelector": {"matchExpressions": [expression]},
        "namespaces": [namespace],
        "topologyKey": _TOPOLOGY,
    }
    preferred = wanted.preferred_during_scheduling_ignored_during_execution
    if preferred is not None:
        weighted = {"weight": preferred.weight, "podAffinityTerm": term}
        anti[_PREFERRED] = [*(anti.get(_PREFERRED) or ()), weighted]
    else:
        anti[_REQUIRED] = [*(anti.get(_REQUIRED) or ()), term]
    return {**own, "podAntiAffinity": anti}


def away_from(template: JSON) -> str:
    """The pod template hash whose pods an injected anti-affinity keeps away from; empty without one."""
    return next((hash_ for term in _terms(template) if (hash_ := _hash_of(term))), "")


def without_affinity(template: JSON) -> JSON:
    """The template without an injected anti-affinity, and without what is empty then."""
    spec = template.get("spec")
    own = _object(spec, "affinity")
    if not isinstance(spec, Mapping) or own is None:
        return template
    anti = _object(own, "podAntiAffinity")
    if anti is not None:
        kept = {k: [t for t in v if not _hash_of(t)] if isinstance(v, list) else v for k, v in anti.items()}
        own = {**own, "podAntiAffinity": {k: v for k, v in kept.items() if v}}
    own = {k: v for k, v in own.items() if v or k != "podAntiAffinity"}
    rest = {k: v for k, v in spec.items() if k != "affinity"}
    return {**template, "spec": {**rest, "affinity": own} if own else rest}


def _terms(template: JSON) -> list[Any]:
    anti = _object(_object(_object(template, "spec"), "affinity"), "podAntiAffinity")
    return [term for kind in (_REQUIRED, _PREFERRED) for term in _list(anti, kind)]


def _hash_of(term: object) -> str:
    """Exactly as it is injected; a term that a person wrote about our label looks otherwise."""
    inner = _object(term, "podAffinityTerm") or (term if isinstance(term, Mapping) else {})
    if inner.get("topologyKey") != _TOPOLOGY:
        return ""
    for expression in _list(_object(inner, "labelSelector"), "matchExpressions"):
        values = _list(expression, "values")
        if len(values) == 1 and expression.get("key") == POD_TEMPLATE_HASH_LABEL:
            return str(values[0])
    return ""


def _object(value: object, key: str) -> Mapping[str, Any] | None:
    """A template that a person wrote may hold anything anywhere."""
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, Mapping) else None


def _list(value: object, key: str) -> list[Any]:
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, list) else []
