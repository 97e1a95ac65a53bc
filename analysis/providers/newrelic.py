"""New Relic as a provider: NRQL through NerdGraph, its GraphQL API.

`result` is the one row of the answer as a map, or the list of rows; nil without data. Spec fields are those of Argo Rollouts'
`provider.newRelic`; the Secret that `profile` names (default: newrelic) holds personal-api-key, account-id and
optionally region and base-url-nerdgraph.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from analysis.errors import ProviderError
from analysis.language import printing
from analysis.providers import client, fields
from analysis.providers.result import ProviderResult

_WHERE = "newRelic"
_ENDPOINTS = {"us": "https://api.newrelic.com/graphql", "eu": "https://api.eu.newrelic.com/graphql"}
_NRQL_SECONDS = 5
_SLACK = 5.0  # what the way there and back may take beside the query
_QUERY = """query($accountId: Int!, $query: Nrql!, $timeout: Seconds!) {
  actor { account(id: $accountId) { nrql(query: $query, timeout: $timeout) { results } } }
}"""


class NewRelic:
    """The provider."""

    def query(self, spec: Mapping[str, object], deadline: float) -> ProviderResult:
        remedy = "create the Secret that newRelic.profile names (default: newrelic)"
        known = fields.credentials(spec, ("personal-api-key", "account-id"), _WHERE, remedy)
        timeout = fields.seconds(spec, "timeout", _WHERE, _NRQL_SECONDS)
        request = client.Request(
            url=_endpoint(known),
            method="POST",
            headers={"Content-Type": "application/json", "API-Key": known["personal-api-key"]},
            content=_body(known["account-id"], spec, round(timeout)),
            secrets=(known["personal-api-key"],),
        )
        return _result(client.document(request, min(timeout + _SLACK, deadline)))

    def metadata(self, spec: Mapping[str, object]) -> Mapping[str, str]:
        query = spec.get("query")
        return {"ResolvedNewRelicQuery": query} if isinstance(query, str) and query else {}


def _endpoint(known: Mapping[str, str]) -> str:
    region = known.get("region", "us").lower()
    if region not in _ENDPOINTS:
        raise ProviderError(f"newRelic: region {region[:20]} is unknown; use us or eu")
    return known.get("base-url-nerdgraph") or _ENDPOINTS[region]


def _body(account: str, spec: Mapping[str, object], timeout: int) -> bytes:
    if not account.isascii() or not account.isdigit():
        raise ProviderError("newRelic: account-id in the Secret is not a number")
    query = fields.required(spec, "query", _WHERE, "write the NRQL query to measure")
    variables = {"accountId": int(account), "query": query, "timeout": timeout}
    return json.dumps({"query": _QUERY, "variables": variables}).encode()


def _result(document: object) -> ProviderResult:
    try:
        assert isinstance(document, Mapping)
        if document.get("errors"):
            raise ProviderError(f"New Relic refuses the query: {document['errors'][0]['message']}")
        rows = document["data"]["actor"]["account"]["nrql"]["results"]
        found = rows[0] if len(rows) == 1 else list(rows)
        return ProviderResult(found or None, printing.json_text(found))
    except (AssertionError, TypeError, KeyError, IndexError):
        raise ProviderError("the answer is not that of New Relic's NerdGraph") from None
