"""InfluxDB 2 as a provider: a Flux query; `result` is the list of the `_value` column over all tables,
nil without data.

Spec fields are those of Argo Rollouts' `provider.influxdb`; the Secret that `profile` names (default: influxdb)
holds address, authToken and org.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping

from analysis.errors import ProviderError
from analysis.language import printing
from analysis.providers import client, fields
from analysis.providers.result import ProviderResult

_WHERE = "influxdb"
_SECONDS = 30.0
_INTEGERS = frozenset({"long", "unsignedLong"})


class InfluxDB:
    """The provider."""

    def query(self, spec: Mapping[str, object], deadline: float) -> ProviderResult:
        remedy = "create the Secret that influxdb.profile names (default: influxdb)"
        known = fields.credentials(spec, ("address", "authToken", "org"), _WHERE, remedy)
        query = fields.required(spec, "query", _WHERE, "write the Flux query to measure")
        dialect = {"annotations": ["datatype", "default"], "header": True}
        request = client.Request(
            url=f"{known['address'].rstrip('/')}/api/v2/query",
            method="POST",
            params={"org": known["org"]},
            headers={
                "Authorization": f"Token {known['authToken']}",
                "Content-Type": "application/json",
                "Accept": "application/csv",
            },
            content=json.dumps({"query": query, "type": "flux", "dialect": dialect}).encode(),
            secrets=(known["authToken"],),
        )
        return _result(client.send(request, min(_SECONDS, deadline)).decode(errors="replace"))

    def metadata(self, spec: Mapping[str, object]) -> Mapping[str, str]:
        query = spec.get("query")
        return {"ResolvedInfluxdbQuery": query} if isinstance(query, str) and query else {}


def _result(text: str) -> ProviderResult:
    try:
        found = list(_values(text))
    except (csv.Error, ValueError, IndexError):
        raise ProviderError("the answer is not annotated CSV of InfluxDB") from None
    return ProviderResult(found or None, "".join(printing.printed(found)))


def _values(text: str) -> Iterator[object]:
    """Tables follow each other; each has its own annotations, and a header that may name an error."""
    types: list[str] = []
    defaults: list[str] = []
    header: list[str] | None = None
    for row in csv.reader(io.StringIO(text)):
        if not row:
            header = None
        elif row[0] == "#datatype":
            types, header = row, None
        elif row[0] == "#default":
            defaults = row
        elif header is None:
            header = row
        elif "error" in header:
            raise ProviderError(f"InfluxDB refuses the query: {row[header.index('error')]}")
        elif "_value" in header:
            column = header.index("_value")
            yield _typed(
                row[column] or (defaults[column] if defaults else ""), types[column] if types else ""
            )


def _typed(text: str, kind: str) -> object:
    if text == "":
        return None
    if kind in _INTEGERS:
        return int(text)
    if kind == "double":
        return float(text)
    return text == "true" if kind == "boolean" else text
