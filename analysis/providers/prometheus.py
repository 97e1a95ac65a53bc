"""Prometheus, and whatever speaks its HTTP API (Thanos, Mimir, VictoriaMetrics), as a provider.

Decided here: what `result` is for each type of answer, and what counts as no answer. An instant vector and a
matrix give the list of their samples' values, a scalar gives a number, a string a string; an empty vector is an
empty list, NaN stays NaN. Spec fields are those of Argo Rollouts' `provider.prometheus`.

A bearer token is sent as a header: `{key: Authorization, value: "Bearer {{args.token}}"}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import requests
from prometheus_api_client.exceptions import PrometheusApiClientException
from prometheus_api_client.prometheus_connect import PrometheusConnect
from urllib3.util.retry import Retry

from analysis.errors import ProviderError
from analysis.providers import http, oauth2, prometheus_spec, samples, sigv4, tls, wire
from analysis.providers.aws import Session
from analysis.providers.prometheus_spec import Settings
from analysis.providers.result import ProviderResult
from analysis.providers.sigv4 import Credentials, Scope

MAX_ANSWER_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Prometheus:
    """The provider; `default_address` serves metrics that name no address."""

    default_address: str | None = None
    max_answer_bytes: int = MAX_ANSWER_BYTES
    tokens: oauth2.Tokens = field(default_factory=oauth2.Tokens)
    aws: Session = field(default_factory=Session)
    at: datetime | None = None
    """Answer as of this instant instead of now: for a look into the past."""

    def query(self, spec: Mapping[str, object], deadline: float) -> ProviderResult:
        settings = prometheus_spec.parse(spec, self.default_address)
        seconds = min(settings.timeout, deadline)
        try:
            payload = self._answer(self._authorised(settings, seconds), seconds)
            return samples.result(payload)
        except ProviderError as error:
            raise ProviderError(prometheus_spec.redacted(str(error), settings)) from None

    def metadata(self, spec: Mapping[str, object]) -> Mapping[str, str]:
        query = spec.get("query")
        return {"ResolvedPrometheusQuery": query} if isinstance(query, str) and query else {}

    def _authorised(self, settings: Settings, seconds: float) -> Settings:
        if settings.oauth2 is None:
            return settings
        token = self.tokens.token(settings.oauth2, seconds)
        return replace(settings, headers=(*settings.headers, ("Authorization", f"Bearer {token}")))

    def _answer(self, settings: Settings, seconds: float) -> Mapping[str, object]:
        answers: list[requests.Response] = []
        with requests.Session() as session:
            # The client hands out data.result only; type and warnings are read from the response itself.
            session.hooks["response"].append(lambda response, **_: answers.append(response))
            try:
                _send(self._client(session, settings, seconds), settings, seconds, self.at)
            except PrometheusApiClientException:
                raise _refused(answers[-1], settings.address) from None
            except http.DeadlinePassed:
                where = wire.origin(settings.address)
                raise ProviderError(f"no complete answer from {where} within {seconds:g} s") from None
            except http.AnswerTooLarge:
                raise ProviderError(
                    f"the answer is longer than {self.max_answer_bytes} bytes; aggregate in the query"
                ) from None
            except requests.exceptions.JSONDecodeError:
                raise _not_prometheus(settings.address) from None
            except requests.RequestException as error:
                raise http.failure(error, settings.address, seconds) from None
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                raise _not_prometheus(settings.address) from None
            return _payload(answers[-1], settings.address)

    def _client(self, session: requests.Session, settings: Settings, seconds: float) -> PrometheusConnect:
        client = PrometheusConnect(
            url=settings.address,
            headers=dict(settings.headers),
            auth=self._signing(settings, seconds) or settings.basic_auth,
            retry=Retry(0),  # its default sleeps in the thread; a failed measurement is retried by schedule
            session=session,
            timeout=seconds,
        )
        context = tls.context(settings.certificates, insecure=settings.insecure)
        bounded = http.BoundedAdapter(max_bytes=self.max_answer_bytes, seconds=seconds, context=context)
        for prefix in (settings.address, "http://", "https://"):
            session.mount(prefix, bounded)
        return client

    def _signing(self, settings: Settings, seconds: float) -> requests.auth.AuthBase | None:
        if settings.sigv4 is None:
            return None
        scope = Scope(settings.sigv4.located(), "aps")
        return _Signing(self.aws.credentials(settings.sigv4, seconds), scope)


class _Signing(requests.auth.AuthBase):
    """Signs requests to Amazon Managed Service for Prometheus."""

    def __init__(self, credentials: Credentials, scope: Scope) -> None:
        self._credentials = credentials
        self._scope = scope

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        signed = sigv4.headers(
            request.method or "GET",
            request.url or "",
            b"",  # a GET: everything that is asked stands in the URL
            {},
            credentials=self._credentials,
            scope=self._scope,
            now=datetime.now(UTC),
        )
        request.headers.update(signed)
        return request


def _send(client: PrometheusConnect, settings: Settings, seconds: float, at: datetime | None) -> None:
    params = {"timeout": f"{max(1, round(seconds))}s"}  # so that the server gives up as well
    if settings.range is None:
        client.custom_query(settings.query, params=params | ({"time": str(at.timestamp())} if at else {}))
        return
    start, end = settings.range.between(at or datetime.now(UTC))
    client.custom_query_range(
        settings.query,
        start_time=start,
        end_time=end,
        step=f"{settings.range.step.total_seconds():g}",
        params=params,
    )


def _not_prometheus(address: str) -> ProviderError:
    return ProviderError(f"the answer of {wire.origin(address)} is not that of a Prometheus query API")


def _refused(response: requests.Response, address: str) -> ProviderError:
    """An error status, with the words of Prometheus if there are any."""
    where, status = wire.origin(address), f"HTTP {response.status_code} {response.reason or ''}".strip()
    if response.status_code in {401, 403}:
        return ProviderError(f"{where} refuses the credentials: {status}")
    try:
        body = response.json()
        return ProviderError(f"{where} answers {status}: {body['errorType']}: {body['error']}")
    except (ValueError, KeyError, TypeError, RecursionError):
        return ProviderError(f"{where} answers {status}")


def _payload(response: requests.Response, address: str) -> Mapping[str, object]:
    payload = response.json()
    if payload.get("status") != "success":
        raise _not_prometheus(address)
    data: Mapping[str, object] = {"warnings": payload.get("warnings"), **payload["data"]}
    return data
