"""Flagger's metrics as ours: queries with their template functions filled in, ranges as conditions.

Decides which metrics can be measured here: those of Prometheus with a query of their own. Called by `flagger`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rollouts.convert.losses import Loss

Templates = Mapping[tuple[str, str], Mapping[str, Any]]
"""MetricTemplates by namespace and name."""

BUILT_IN = frozenset({"request-success-rate", "request-duration"})
HASH_ARGUMENT = "canary-hash"
_FUNCTION = re.compile(r"\{\{-?\s*(\w+)(?:\.(\w+))?\s*-?\}\}")
_DEFAULT_WINDOW = "1m"
_BOTH_VERSIONS = f"{{{{ target }}}} names the pods of both versions here; select the canary's with {{{{args.{HASH_ARGUMENT}}}}}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a metric stands, and what its query may ask about."""

    object: str
    namespace: str
    values: Mapping[str, str]
    metrics_server: str = ""


@dataclass(slots=True)
class Found:
    """The metrics that can be measured, and what is to be said about the others."""

    metrics: list[dict[str, Any]] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)


def convert(metrics: list[Mapping[str, Any]], place: Place, templates: Templates) -> Found:
    found = Found()
    for index, metric in enumerate(metrics):
        path = f"spec.analysis.metrics[{index}]"
        provider = _provider(metric, place, templates, path, found.losses)
        if provider is not None:
            condition = _condition(metric)
            name = str(metric.get("name"))
            found.metrics.append(
                {"name": name, "successCondition": condition, "provider": {"prometheus": provider}}
            )
    return found


def _provider(
    metric: Mapping[str, Any], place: Place, templates: Templates, path: str, losses: list[Loss]
) -> dict[str, Any] | None:
    if metric.get("templateRef"):
        return _of_template(metric, place, templates, path, losses)
    if metric.get("query"):
        query = _filled(str(metric["query"]), metric, place, Loss(place.object, f"{path}.query", ""), losses)
        address = {"address": place.metrics_server} if place.metrics_server else {}
        return None if query is None else {**address, "query": query}
    name = metric.get("name")
    what = f"{name} is built into Flagger, for the proxy of its provider" if name in BUILT_IN else "no query"
    losses.append(Loss(place.object, path, f"{what}; give it a MetricTemplate with a query of your own"))
    return None


def _of_template(
    metric: Mapping[str, Any], place: Place, templates: Templates, path: str, losses: list[Loss]
) -> dict[str, Any] | None:
    ref = metric["templateRef"]
    name = str(ref.get("name"))
    body = templates.get((str(ref.get("namespace") or place.namespace), name))
    if body is None:
        problem = f"MetricTemplate {name} is not among the files, so the metric is left out; add its file"
        losses.append(Loss(place.object, f"{path}.templateRef", problem))
        return None
    where, spec = f"MetricTemplate {name}", body.get("spec") or {}
    given = spec.get("provider") or {}
    if given.get("type") != "prometheus":
        problem = f"{given.get('type')} is not converted; write the metric for that provider by hand"
        losses.append(Loss(where, "spec.provider.type", problem))
        return None
    for field_name, remedy in _UNREAD.items():
        if given.get(field_name):
            losses.append(Loss(where, f"spec.provider.{field_name}", remedy))
    query = _filled(str(spec.get("query", "")), metric, place, Loss(where, "spec.query", ""), losses)
    return None if query is None else {**_connection(given), "query": query}


_UNREAD = {
    "secretRef": "is left out; see authentication of the Prometheus provider",
    "region": "is left out; see authentication.sigv4 of the Prometheus provider",
}


def _connection(given: Mapping[str, Any]) -> dict[str, Any]:
    headers = [
        {"key": key, "value": value}
        for key, values in (given.get("headers") or {}).items()
        for value in (values if isinstance(values, list) else [values])
    ]
    return {
        **({"address": given["address"]} if given.get("address") else {}),
        **({"insecure": True} if given.get("insecureSkipVerify") else {}),
        **({"headers": headers} if headers else {}),
    }


def _filled(
    query: str, metric: Mapping[str, Any], place: Place, where: Loss, losses: list[Loss]
) -> str | None:
    """The query with template functions replaced by their values; None and a loss for an unknown one."""
    values = {
        **place.values,
        "interval": str(metric.get("interval") or _DEFAULT_WINDOW),
        **{f"variables.{key}": text for key, text in (metric.get("templateVariables") or {}).items()},
    }
    used = {".".join(filter(None, match.groups())) for match in _FUNCTION.finditer(query)}
    unknown = min(used - values.keys(), default="")
    if unknown or "{{" in _FUNCTION.sub("", query):
        problem = f"{unknown or 'an expression in braces'} cannot be filled in, so the metric is left out"
        losses.append(Loss(where.object, where.path, f"{problem}; write its query by hand"))
        return None
    if "target" in used:
        losses.append(Loss(where.object, where.path, _BOTH_VERSIONS))
    return _FUNCTION.sub(lambda match: values[".".join(filter(None, match.groups()))], query).strip()


def _condition(metric: Mapping[str, Any]) -> str:
    wanted = metric.get("thresholdRange") or {"max": metric.get("threshold") or 0}
    bounds = (("min", ">="), ("max", "<="))
    return " && ".join(
        f"result[0] {sign} {json.dumps(wanted[side])}"
        for side, sign in bounds
        if wanted.get(side) is not None
    )
