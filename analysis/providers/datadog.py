"""Datadog as a provider: metric queries of API v1, scalar queries of API v2.

`result` is a number (v1: the newest point of the first series; v2: the value), a list of numbers for a v2 query that
is grouped, nil without data. Spec fields are those of Argo Rollouts' `provider.datadog`; the Secret `datadog`, or the
one that `secretRef` names, holds api-key, app-key and optionally address; else the environment does (DD_API_KEY, ...).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence

from analysis.errors import ProviderError
from analysis.language import values
from analysis.providers import client, fields
from analysis.providers.result import ProviderResult

_WHERE = "datadog"
_ADDRESS = "https://api.datadoghq.com"
_SHOWN_GROUPS = 100
_KEYS = ("api-key", "app-key", "address")


class Datadog:
    """The provider."""

    def query(self, spec: Mapping[str, object], deadline: float) -> ProviderResult:
        known = _credentials(spec)
        seconds = fields.duration(spec, "requestTimeout", _WHERE, "10s").total_seconds()
        version = fields.text(spec, "apiVersion", _WHERE) or "v1"
        if version not in {"v1", "v2"}:
            raise ProviderError("datadog.apiVersion must be v1 or v2")
        build, read = (_request_v1, _result_v1) if version == "v1" else (_request_v2, _result_v2)
        return read(client.document(build(spec, known), min(seconds, deadline)))

    def metadata(self, spec: Mapping[str, object]) -> Mapping[str, str]:
        query = spec.get("query")
        return {"ResolvedDatadogQuery": query} if isinstance(query, str) and query else {}


def _credentials(spec: Mapping[str, object]) -> Mapping[str, str]:
    given = fields.mapping(spec, "credentials", _WHERE)
    environment = {key: os.environ.get(f"DD_{key.upper().replace('-', '_')}", "") for key in _KEYS}
    remedy = "create the Secret datadog, or set DD_API_KEY and DD_APP_KEY for the controller"
    return fields.credentials({"credentials": given or environment}, _KEYS[:2], _WHERE, remedy)


def _window(spec: Mapping[str, object]) -> tuple[int, int]:
    now = int(time.time())
    return now - int(fields.duration(spec, "interval", _WHERE, "5m").total_seconds()), now


def _request(known: Mapping[str, str], path: str, **more: object) -> client.Request:
    return client.Request(
        url=f"{(known.get('address') or _ADDRESS).rstrip('/')}{path}",
        headers={
            "Content-Type": "application/json",
            "DD-API-KEY": known["api-key"],
            "DD-APPLICATION-KEY": known["app-key"],
        },
        secrets=(known["api-key"], known["app-key"]),
        **more,  # type: ignore[arg-type]
    )


def _request_v1(spec: Mapping[str, object], known: Mapping[str, str]) -> client.Request:
    query = fields.required(spec, "query", _WHERE, "write the metric query")
    start, end = _window(spec)
    return _request(known, "/api/v1/query", params={"query": query, "from": str(start), "to": str(end)})


def _request_v2(spec: Mapping[str, object], known: Mapping[str, str]) -> client.Request:
    query, queries = fields.text(spec, "query", _WHERE), fields.mapping(spec, "queries", _WHERE)
    if bool(query) == bool(queries):
        raise ProviderError("datadog needs either query or queries")
    formula = fields.text(spec, "formula", _WHERE)
    if len(queries) > 1 and not formula:
        raise ProviderError("datadog.formula is missing; say how the queries make one value")
    start, end = _window(spec)
    attributes = {
        "from": start * 1000,
        "to": end * 1000,
        "queries": [
            {
                "aggregator": fields.text(spec, "aggregator", _WHERE) or "last",
                "data_source": "metrics",
                "name": name,
                "query": text,
            }
            for name, text in (queries or {"query": query}).items()
        ],
        "formulas": [{"formula": formula}] if formula else [],
    }
    body = {"data": {"type": "scalar_request", "attributes": attributes}}
    return _request(known, "/api/v2/query/scalar", method="POST", content=json.dumps(body).encode())


def _result_v1(document: object) -> ProviderResult:
    try:
        assert isinstance(document, Mapping)
        if document.get("error"):
            raise ProviderError(f"Datadog refuses the query: {document['error']}")
        series = document.get("series") or []
        points = [value for _, value in series[0]["pointlist"] if value is not None] if series else []
        return _number(points[-1] if points else None)
    except (AssertionError, TypeError, KeyError, IndexError, ValueError):
        raise ProviderError("the answer is not that of Datadog's query API") from None


def _result_v2(document: object) -> ProviderResult:
    try:
        assert isinstance(document, Mapping)
        data = document["data"]
        if data.get("errors") or document.get("errors"):
            raise ProviderError(f"Datadog refuses the query: {data.get('errors') or document.get('errors')}")
        columns: Sequence[Mapping[str, object]] = data["attributes"]["columns"]
        found = next((c["values"] for c in columns if c.get("type", "number") == "number"), [])
        assert isinstance(found, list)
        numbers = [float(value) for value in found if value is not None]
    except (AssertionError, TypeError, KeyError, ValueError):
        raise ProviderError("the answer is not that of Datadog's scalar query API") from None
    groups = [column for column in columns if column.get("type") == "group"]
    if groups and numbers:
        shown = f"[{','.join(map(values.show_number, numbers))}]"
        return ProviderResult(numbers, shown, _groups(groups, found))
    return _number(numbers[0] if numbers else None)


def _groups(columns: Sequence[Mapping[str, object]], found: Sequence[object]) -> Mapping[str, str]:
    """Which value is whose; of many, the lowest and the highest."""
    rows: list[dict[str, object]] = []
    for index, value in enumerate(found):
        if value is not None:
            tags = [str(tag) for column in columns for tag in _tags(column, index)]
            rows.append({"name": ",".join(tags), "value": float(str(value))})
    if len(rows) <= _SHOWN_GROUPS:
        return {"groups": json.dumps(rows, separators=(",", ":"))}
    rows.sort(key=lambda row: float(str(row["value"])))
    few = [*rows[: _SHOWN_GROUPS // 2], *rows[-_SHOWN_GROUPS // 2 :]]
    return {"groups": json.dumps(few, separators=(",", ":")), "groups_truncated": "true"}


def _tags(column: Mapping[str, object], index: int) -> Sequence[object]:
    each = column.get("values")
    found = each[index] if isinstance(each, list) and index < len(each) else ()
    return found if isinstance(found, list) else ()


def _number(found: float | None) -> ProviderResult:
    return (
        ProviderResult(None, "[]")
        if found is None
        else ProviderResult(float(found), values.show_number(found))
    )
