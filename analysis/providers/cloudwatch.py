"""CloudWatch as a provider: GetMetricData, answered as AWS answers it.

`result` is the list MetricDataResults, so a condition reads `result[0].Values[0]`. Spec fields are those of Argo
Rollouts' `provider.cloudWatch`; the region and the credentials are the controller's (`aws`).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping

from analysis.errors import ProviderError
from analysis.language import printing
from analysis.providers import client, fields
from analysis.providers.aws import Identity, Session
from analysis.providers.result import ProviderResult

_WHERE = "cloudWatch"
_SECONDS = 10.0
_TARGET = "GraniteServiceVersion20100801.GetMetricData"


class CloudWatch:
    """The provider."""

    def __init__(self) -> None:
        self._session = Session()

    def query(self, spec: Mapping[str, object], deadline: float) -> ProviderResult:
        seconds = min(_SECONDS, deadline)
        identity = Identity()
        request = client.Request(
            url=os.environ.get("AWS_ENDPOINT_URL_CLOUDWATCH")
            or f"https://monitoring.{identity.located()}.amazonaws.com/",
            method="POST",
            headers={"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": _TARGET},
            content=json.dumps(_body(spec)).encode(),
        )
        return _result(
            client.document(self._session.signed(request, identity, "monitoring", seconds), seconds)
        )

    def metadata(self, spec: Mapping[str, object]) -> Mapping[str, str]:
        del spec
        return {}


def _body(spec: Mapping[str, object]) -> Mapping[str, object]:
    now = int(time.time())
    interval = fields.duration(spec, "interval", _WHERE, "5m")
    queries = [_query(one) for one in fields.items(spec, "metricDataQueries", _WHERE)]
    if not queries:
        raise ProviderError("cloudWatch.metricDataQueries is missing; give at least one query")
    return {"StartTime": now - int(interval.total_seconds()), "EndTime": now, "MetricDataQueries": queries}


def _query(spec: Mapping[str, object]) -> dict[str, object]:
    """Names begin with a capital there; periods may be written as text here."""
    found: dict[str, object] = {}
    for key, value in spec.items():
        name = key[:1].upper() + key[1:]
        if value is None or value == "":
            continue
        if key == "period":
            found[name] = _whole(value)
        elif isinstance(value, Mapping):
            found[name] = _query(value)
        elif isinstance(value, list | tuple):
            found[name] = [_query(item) for item in value]
        else:
            found[name] = value
    return found


def _whole(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise ProviderError(
            f"cloudWatch: period {str(value)[:20]} is not a whole number of seconds"
        ) from None


def _result(document: object) -> ProviderResult:
    try:
        assert isinstance(document, Mapping)
        found = [dict(one) for one in document["MetricDataResults"]]
        each = [[float(v) for v in one.get("Values", ())] for one in found]
        said = [f"{m.get('Code', '')}: {m.get('Value', '')}" for m in document.get("Messages") or ()]
    except (AssertionError, KeyError, TypeError, ValueError, AttributeError):
        raise ProviderError("the answer is not that of CloudWatch's GetMetricData") from None
    metadata = {"messages": "; ".join(said)[:300]} if said else {}
    return ProviderResult(found, "".join(printing.printed(each)), metadata)
