"""`spec.metrics[].provider`: where a value comes from, field for field as Argo Rollouts names it.

Checked here for its form only; `analysis.providers` reads the same fields, arguments filled in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from rollouts.api.schema import Field, Rule


@dataclass(frozen=True, slots=True)
class WebMetricHeader:
    key: Annotated[str, Field("Header name.", min_length=1)]
    value: Annotated[str, Field("Header value.")] = ""


@dataclass(frozen=True, slots=True)
class BasicAuth:
    username: Annotated[str, Field("User name.")] = ""
    password: Annotated[str, Field("Password; use an argument that comes from a Secret.")] = ""


@dataclass(frozen=True, slots=True)
class Authentication:
    basic_auth: Annotated[BasicAuth | None, Field("User name and password.")] = None


@dataclass(frozen=True, slots=True)
class PrometheusRangeQuery:
    start: Annotated[str, Field('Start of the range: an expression such as now() - duration("5m").')] = ""
    end: Annotated[str, Field("End of the range. Default: now().")] = ""
    step: Annotated[str, Field("Resolution, such as 30s.")] = ""


@dataclass(frozen=True, slots=True)
class PrometheusMetric:
    """A query to Prometheus or to anything that speaks its HTTP API."""

    query: Annotated[str, Field("PromQL query. The result is a list of the samples' values.", min_length=1)]
    address: Annotated[str, Field("URL of the server. Default: the controller's --prometheus-address.")] = ""
    timeout: Annotated[int | None, Field("Seconds before the query is given up. Default 30.", minimum=1)] = (
        None
    )
    insecure: Annotated[bool, Field("Do not check the server's certificate.")] = False
    headers: Annotated[tuple[WebMetricHeader, ...], Field("Headers to send.")] = ()
    authentication: Annotated[Authentication | None, Field("How to log in.")] = None
    range_query: Annotated[PrometheusRangeQuery | None, Field("Query a range instead of an instant.")] = None


@dataclass(frozen=True, slots=True)
class MetricProvider:
    RULES = (Rule("has(self.prometheus)", "a metric needs a provider: prometheus"),)

    prometheus: Annotated[PrometheusMetric | None, Field("Prometheus.")] = None
