"""Grafana Loki as a provider: a LogQL query that counts; `result` is the list of the samples' values.

Decided here: an instant query, or with `rangeQuery` a range query, as for Prometheus, whose form the answers have.
Log lines are no value: a query has to make numbers of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from analysis.errors import ProviderError
from analysis.providers import client, fields, login, oauth2, ranges, samples
from analysis.providers.result import ProviderResult

_WHERE = "loki"
_DEFAULT_SECONDS = 30.0


class Loki:
    """The provider."""

    def __init__(self) -> None:
        self._tokens = oauth2.Tokens()

    def query(self, spec: Mapping[str, object], deadline: float) -> ProviderResult:
        seconds = min(fields.seconds(spec, "timeout", _WHERE, _DEFAULT_SECONDS), deadline)
        request = login.added(_request(spec, datetime.now(UTC)), spec, _WHERE, self._tokens, seconds)
        found = client.document(request, seconds)
        data = found.get("data") if isinstance(found, Mapping) and found.get("status") == "success" else None
        if not isinstance(data, Mapping):
            raise ProviderError("the answer is not that of Loki's query API")
        if data.get("resultType") == "streams":
            raise ProviderError(
                "the query returns log lines; count them, for example sum(count_over_time(...))"
            )
        return samples.result(data)

    def metadata(self, spec: Mapping[str, object]) -> Mapping[str, str]:
        query = spec.get("query")
        return {"ResolvedLokiQuery": query} if isinstance(query, str) and query else {}


def _request(spec: Mapping[str, object], now: datetime) -> client.Request:
    address = fields.required(spec, "address", _WHERE, "write the URL of Loki").rstrip("/")
    query = fields.required(spec, "query", _WHERE, "write the LogQL query to measure")
    span = ranges.parse(spec, _WHERE)
    if span is None:
        params = {"query": query, "time": _nanoseconds(now)}
        return client.Request(url=f"{address}/loki/api/v1/query", params=params)
    start, end = span.between(now)
    params = {"query": query, "start": _nanoseconds(start), "end": _nanoseconds(end)}
    step = {"step": f"{span.step.total_seconds():g}s"}
    return client.Request(url=f"{address}/loki/api/v1/query_range", params={**params, **step})


def _nanoseconds(instant: datetime) -> str:
    return f"{round(instant.timestamp() * 1e6)}000"
