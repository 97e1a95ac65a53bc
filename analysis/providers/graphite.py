"""Graphite's render API as a provider: `result` is the list of the first target's values, nulls left out, nil without
data.

Spec fields are those of Argo Rollouts' `provider.graphite`: `address`, and `query` as it stands in a render URL,
`target=...&from=-5min`.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from analysis.errors import ProviderError
from analysis.language import values
from analysis.providers import client, fields
from analysis.providers.result import ProviderResult

_WHERE = "graphite"
_SECONDS = 10.0


class Graphite:
    """The provider."""

    def query(self, spec: Mapping[str, object], deadline: float) -> ProviderResult:
        address = fields.required(spec, "address", _WHERE, "write the URL of graphite-web")
        query = fields.required(spec, "query", _WHERE, "write for example target=summarize(...)&from=-5min")
        params = parse_qsl("".join(query.split()).lstrip("?"), keep_blank_values=True)
        if not any(key == "target" for key, _ in params):
            raise ProviderError(
                "graphite.query has no target=; write for example target=summarize(...)&from=-5min"
            )
        wanted = {**dict(params), "format": "json"}
        request = client.Request(url=f"{address.rstrip('/')}/render", params=wanted)
        return _result(client.document(request, min(_SECONDS, deadline)))

    def metadata(self, spec: Mapping[str, object]) -> Mapping[str, str]:
        query = spec.get("query")
        return {"ResolvedGraphiteQuery": query} if isinstance(query, str) and query else {}


def _result(document: object) -> ProviderResult:
    try:
        points = document[0]["datapoints"] if document else []  # type: ignore[index]
        found = [float(value) for value, _ in points if value is not None]
    except (TypeError, KeyError, IndexError, ValueError):
        raise ProviderError("the answer is not that of Graphite's render API") from None
    if not points:
        return ProviderResult(None, "[]")
    return ProviderResult(found, f"[{','.join(map(values.show_number, found))}]")
