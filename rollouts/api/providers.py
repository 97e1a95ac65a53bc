"""`spec.metrics[].provider`: where a value comes from, field for field as Argo Rollouts names it.

Checked here for its form only; `analysis.providers` reads the same fields, arguments filled in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from rollouts.api.schema import JSON, Field, IntOrString, TemplatedDuration


@dataclass(frozen=True, slots=True)
class WebMetricHeader:
    key: Annotated[str, Field("Header name.", min_length=1)]
    value: Annotated[str, Field("Header value.")] = ""


@dataclass(frozen=True, slots=True)
class BasicAuth:
    username: Annotated[str, Field("User name.")] = ""
    password: Annotated[str, Field("Password; use an argument that comes from a Secret.")] = ""


@dataclass(frozen=True, slots=True)
class OAuth2:
    """Client credentials: a token is asked for and kept as long as it is good."""

    token_url: Annotated[str, Field("Where to ask for a token.")] = ""
    client_id: Annotated[str, Field("Client ID.")] = ""
    client_secret: Annotated[str, Field("Client secret; use an argument that comes from a Secret.")] = ""
    scopes: Annotated[tuple[str, ...], Field("Scopes to ask for.")] = ()


@dataclass(frozen=True, slots=True)
class Sigv4:
    """Signs requests to Amazon Managed Service for Prometheus."""

    region: Annotated[str, Field("AWS region. Default: AWS_REGION of the controller.")] = ""
    profile: Annotated[str, Field("Profile in the controller's credentials file.")] = ""
    role_arn: Annotated[str, Field("Role to assume.")] = ""


@dataclass(frozen=True, slots=True)
class Authentication:
    basic_auth: Annotated[BasicAuth | None, Field("User name and password.")] = None
    oauth2: Annotated[OAuth2 | None, Field("OAuth 2.0 client credentials.")] = None
    sigv4: Annotated[Sigv4 | None, Field("AWS Signature Version 4; Prometheus only.")] = None


@dataclass(frozen=True, slots=True)
class CertSecretRef:
    """A Secret in the namespace of the run: `ca.crt`, trusted beside the usual authorities, or `tls.crt` with
    `tls.key`, shown to the server, or both."""

    name: Annotated[str, Field("Name of the Secret.", min_length=1)]


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
    cert_secret_ref: Annotated[
        CertSecretRef | None,
        Field("Secret with ca.crt, a private authority, and/or tls.crt and tls.key, a client certificate."),
    ] = None
    authentication: Annotated[Authentication | None, Field("How to log in.")] = None
    range_query: Annotated[PrometheusRangeQuery | None, Field("Query a range instead of an instant.")] = None


@dataclass(frozen=True, slots=True)
class LokiMetric:
    """A LogQL query that counts log lines, to Grafana Loki. Ours."""

    query: Annotated[str, Field("LogQL query. The result is a list of the samples' values.", min_length=1)]
    address: Annotated[str, Field("URL of Loki.", min_length=1)]
    timeout: Annotated[int | None, Field("Seconds before the query is given up. Default 30.", minimum=1)] = (
        None
    )
    insecure: Annotated[bool, Field("Do not check the server's certificate.")] = False
    headers: Annotated[
        tuple[WebMetricHeader, ...], Field("Headers to send, such as X-Scope-OrgID, the tenant.")
    ] = ()
    cert_secret_ref: Annotated[
        CertSecretRef | None,
        Field("Secret with ca.crt, a private authority, and/or tls.crt and tls.key, a client certificate."),
    ] = None
    authentication: Annotated[Authentication | None, Field("How to log in.")] = None
    range_query: Annotated[PrometheusRangeQuery | None, Field("Query a range instead of an instant.")] = None


class WebMethod(StrEnum):
    GET = "GET"
    POST = "POST"
    PUT = "PUT"


@dataclass(frozen=True, slots=True)
class WebMetric:
    """One HTTP request."""

    url: Annotated[str, Field("URL to ask.", min_length=1)]
    method: Annotated[WebMethod, Field("Method.")] = WebMethod.GET
    headers: Annotated[tuple[WebMetricHeader, ...], Field("Headers to send.")] = ()
    body: Annotated[str, Field("Body to send; not with GET.")] = ""
    json_body: Annotated[JSON | None, Field("Body to send as JSON; not with GET.")] = None
    timeout_seconds: Annotated[int | None, Field("Seconds before it is given up. Default 10.")] = None
    json_path: Annotated[
        str, Field("What of the answer the result is, such as {$.data.ok}. Default: all.")
    ] = ""
    insecure: Annotated[bool, Field("Do not check the server's certificate.")] = False
    cert_secret_ref: Annotated[
        CertSecretRef | None,
        Field("Secret with ca.crt, a private authority, and/or tls.crt and tls.key, a client certificate."),
    ] = None
    authentication: Annotated[Authentication | None, Field("How to log in.")] = None


class DatadogVersion(StrEnum):
    V1 = "v1"
    V2 = "v2"


@dataclass(frozen=True, slots=True)
class DatadogSecretRef:
    name: Annotated[str, Field("Secret with api-key, app-key and perhaps address. Default: datadog.")] = ""
    namespaced: Annotated[
        bool, Field("The Secret is in the namespace of the run, not in the controller's.")
    ] = False


@dataclass(frozen=True, slots=True)
class DatadogMetric:
    """A metric query (v1) or a scalar query (v2)."""

    query: Annotated[str, Field("Query.")] = ""
    queries: Annotated[Mapping[str, str] | None, Field("Queries by name, for formula; v2.")] = None
    formula: Annotated[str, Field("How the queries make one value; v2.")] = ""
    interval: Annotated[TemplatedDuration | None, Field("Window of the query. Default 5m.")] = None
    api_version: Annotated[DatadogVersion, Field("Version of Datadog's API.")] = DatadogVersion.V1
    aggregator: Annotated[str, Field("How a query's points make one value; v2. Default last.")] = ""
    secret_ref: Annotated[DatadogSecretRef | None, Field("Which Secret holds the keys.")] = None
    request_timeout: Annotated[TemplatedDuration | None, Field("Before it is given up. Default 10s.")] = None


@dataclass(frozen=True, slots=True)
class NewRelicMetric:
    """An NRQL query."""

    query: Annotated[str, Field("NRQL query. One row is a map, several are a list of maps.", min_length=1)]
    profile: Annotated[
        str, Field("Secret with personal-api-key, account-id and perhaps region. Default: newrelic.")
    ] = ""
    timeout: Annotated[int | None, Field("Seconds that the query may take. Default 5.", minimum=0)] = None


@dataclass(frozen=True, slots=True)
class CloudWatchDimension:
    name: Annotated[str, Field("Name.")] = ""
    value: Annotated[str, Field("Value.")] = ""


@dataclass(frozen=True, slots=True)
class CloudWatchStatMetric:
    metric_name: Annotated[str, Field("Name of the metric.")] = ""
    namespace: Annotated[str, Field("Namespace of the metric, such as AWS/ApplicationELB.")] = ""
    dimensions: Annotated[tuple[CloudWatchDimension, ...], Field("Dimensions.")] = ()


@dataclass(frozen=True, slots=True)
class CloudWatchStat:
    metric: Annotated[CloudWatchStatMetric | None, Field("Which metric.")] = None
    period: Annotated[IntOrString | None, Field("Seconds a point stands for.")] = None
    stat: Annotated[str, Field("Statistic, such as Sum or p95.")] = ""
    unit: Annotated[str, Field("Unit.")] = ""


@dataclass(frozen=True, slots=True)
class CloudWatchQuery:
    id: Annotated[str, Field("Name of the query in expressions.")] = ""
    expression: Annotated[str, Field("Metric math or a Metrics Insights query.")] = ""
    label: Annotated[str, Field("Label of the result.")] = ""
    metric_stat: Annotated[CloudWatchStat | None, Field("A metric and its statistic.")] = None
    period: Annotated[IntOrString | None, Field("Seconds a point of an expression stands for.")] = None
    return_data: Annotated[bool | None, Field("False: only for use in expressions.")] = None


@dataclass(frozen=True, slots=True)
class CloudWatchMetric:
    """GetMetricData; the result is the list of its MetricDataResults."""

    metric_data_queries: Annotated[tuple[CloudWatchQuery, ...], Field("Queries.", min_items=1)]
    interval: Annotated[TemplatedDuration | None, Field("Window of the query. Default 5m.")] = None


@dataclass(frozen=True, slots=True)
class GraphiteMetric:
    """A render query."""

    query: Annotated[str, Field("As in a render URL: target=...&from=-5min.", min_length=1)]
    address: Annotated[str, Field("URL of graphite-web.")] = ""


@dataclass(frozen=True, slots=True)
class InfluxdbMetric:
    """A Flux query."""

    query: Annotated[str, Field("Flux query. The result is the list of the _value column.", min_length=1)]
    profile: Annotated[str, Field("Secret with address, authToken and org. Default: influxdb.")] = ""


@dataclass(frozen=True, slots=True)
class JobMetric:
    """A Job in the namespace of the run: complete is Successful, failed is Failed."""

    spec: Annotated[JSON, Field("Spec of the Job.")]
    metadata: Annotated[JSON | None, Field("Labels and annotations of the Job.")] = None


@dataclass(frozen=True, slots=True)
class MetricProvider:
    """Exactly one of these."""

    prometheus: Annotated[PrometheusMetric | None, Field("Prometheus.")] = None
    web: Annotated[WebMetric | None, Field("Any HTTP API.")] = None
    loki: Annotated[LokiMetric | None, Field("Grafana Loki.")] = None
    datadog: Annotated[DatadogMetric | None, Field("Datadog.")] = None
    new_relic: Annotated[NewRelicMetric | None, Field("New Relic.")] = None
    cloud_watch: Annotated[CloudWatchMetric | None, Field("Amazon CloudWatch.")] = None
    graphite: Annotated[GraphiteMetric | None, Field("Graphite.")] = None
    influxdb: Annotated[InfluxdbMetric | None, Field("InfluxDB 2.")] = None
    job: Annotated[JobMetric | None, Field("A Kubernetes Job.")] = None
    plugin: Annotated[
        Mapping[str, Any] | None, Field("A provider of somebody else: its name, and its settings below.")
    ] = None
