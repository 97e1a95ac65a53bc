"""The Prometheus provider against a real HTTP server: every kind of answer, and every kind of none."""

from __future__ import annotations

import gzip
import math
import socket
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from analysis import providers
from analysis.errors import ProviderError
from analysis.providers.prometheus import Prometheus
from analysis.providers.result import ProviderResult
from tests.unit.analysis.answering import Answer, Server, body, document, serve, success, vector

DEADLINE = 5.0


def ask(server: Server, deadline: float = DEADLINE, **fields: Any) -> ProviderResult:
    return Prometheus().query({"address": server.url, "query": "up", **fields}, deadline)


def failing(answer: Answer, deadline: float = DEADLINE, **fields: Any) -> str:
    with serve(answer) as server, pytest.raises(ProviderError) as caught:
        ask(server, deadline, **fields)
    return str(caught.value).replace(server.url, "URL")


MATRIX = [
    {"metric": {"a": "1"}, "values": [[1, "1"], [2, "2"]]},
    {"metric": {"a": "2"}, "values": [[1, "0.5"]]},
]
ANSWERS: list[tuple[Answer, object, str]] = [
    (vector("0.99"), [0.99], "[0.99]"),
    (vector("0.99", "1"), [0.99, 1.0], "[0.99,1]"),
    (vector(), [], "[]"),
    (vector("NaN"), [math.nan], "[NaN]"),
    (vector("+Inf", "-Inf"), [math.inf, -math.inf], "[+Inf,-Inf]"),
    (vector("1e-07", "1.5e+21"), [1e-07, 1.5e21], "[0.0000001,1500000000000000000000]"),
    (success("scalar", [1, "0.5"]), 0.5, "0.5"),
    (success("scalar", [1, "NaN"]), math.nan, "NaN"),
    (success("string", [1, "hello"]), "hello", "hello"),
    (success("matrix", MATRIX), [1.0, 2.0, 0.5], "[1,2,0.5]"),
    (success("matrix", []), [], "[]"),
]


@pytest.mark.parametrize(("answer", "value", "rendered"), ANSWERS)
def test_each_type_of_result_has_its_value_and_its_text(answer: Answer, value: object, rendered: str) -> None:
    with serve(answer) as server:
        found = ask(server)
    assert repr(found.value) == repr(value)
    assert (found.rendered, found.metadata) == (rendered, {})


def test_the_query_goes_to_the_instant_api_with_the_timeout() -> None:
    with serve(vector("1")) as server:
        ask(server, query='sum(rate(x{a="b"}[1m]))', timeout=2)
    assert server.paths == ["/api/v1/query"]
    assert server.queries == [{"query": ['sum(rate(x{a="b"}[1m]))'], "timeout": ["2s"]}]


def test_a_path_in_the_address_is_kept() -> None:
    with serve(vector("1")) as server:
        ask(server, address=f"{server.url}/prometheus/")
    assert server.paths == ["/prometheus/api/v1/query"]


def test_the_default_address_serves_metrics_without_one() -> None:
    with serve(vector("1")) as server:
        known = providers.registry(prometheus_address=server.url)
        assert known["prometheus"].query({"query": "up"}, DEADLINE).value == [1.0]


def test_a_range_query_asks_for_start_end_and_step() -> None:
    with serve(success("matrix", MATRIX)) as server:
        window = {
            "start": 'date("2026-03-01T12:00:00Z") - duration("5m")',
            "end": 'date("2026-03-01T12:00:00Z")',
        }
        assert ask(server, rangeQuery={**window, "step": "1m"}).value == [1.0, 2.0, 0.5]
    assert server.paths == ["/api/v1/query_range"]
    assert {key: server.queries[0][key] for key in ("start", "end", "step")} == {
        "start": ["1772366100"],
        "end": ["1772366400"],
        "step": ["60"],
    }


def test_headers_and_basic_auth_are_sent() -> None:
    with serve(vector("1")) as server:
        ask(
            server,
            headers=[{"key": "X-Scope-OrgID", "value": "tenant_a"}],
            authentication={"basicAuth": {"username": "user", "password": "pass"}},
        )
        ask(server, headers=[{"key": "Authorization", "value": "Bearer token"}])
    assert server.headers[0]["x-scope-orgid"] == "tenant_a"
    assert server.headers[0]["authorization"] == "Basic dXNlcjpwYXNz"
    assert server.headers[1]["authorization"] == "Bearer token"


def test_warnings_come_as_metadata() -> None:
    with serve(success("vector", [], warnings=["partial", "slow"])) as server:
        assert ask(server).metadata == {"warnings": '"partial", "slow"'}


def test_a_failed_request_is_not_repeated() -> None:
    with serve(body(b"", 503)) as server, pytest.raises(ProviderError):
        ask(server)
    assert len(server.paths) == 1


REFUSALS: list[tuple[Answer, str]] = [
    (body(b"oops", 500), "URL answers HTTP 500 Internal Server Error"),
    (body(b"", 503), "URL answers HTTP 503 Service Unavailable"),
    (body(b"<html>", 404), "URL answers HTTP 404 Not Found"),
    (body(b"", 401), "URL refuses the credentials: HTTP 401 Unauthorized"),
    (body(b"", 403), "URL refuses the credentials: HTTP 403 Forbidden"),
    (
        document({"status": "error", "errorType": "bad_data", "error": "parse error: unexpected end"}, 400),
        "URL answers HTTP 400 Bad Request: bad_data: parse error: unexpected end",
    ),
    (body(b"not json"), "the answer of URL is not that of a Prometheus query API"),
    (body(b""), "the answer of URL is not that of a Prometheus query API"),
    (body(b"\xff\xfe\x00"), "the answer of URL is not that of a Prometheus query API"),
    (document([]), "the answer of URL is not that of a Prometheus query API"),
    (document(None), "the answer of URL is not that of a Prometheus query API"),
    (document({"data": 5}), "the answer of URL is not that of a Prometheus query API"),
    (document({"data": {"result": []}}), "the answer of URL is not that of a Prometheus query API"),
    (body(b"[" * 100_000), "the answer of URL is not that of a Prometheus query API"),
    (success("table", []), 'results of type "table" are not supported'),
    (success("vector", [{"value": [1, 5]}]), "the samples of the vector cannot be read"),
    (success("vector", [{"value": [1, "five"]}]), "the samples of the vector cannot be read"),
    (success("vector", [{}]), "the samples of the vector cannot be read"),
    (success("vector", [5]), "the samples of the vector cannot be read"),
    (success("matrix", [{"values": [[1]]}]), "the samples of the matrix cannot be read"),
    (success("scalar", []), 'results of type "scalar" are not supported'),
    (success("vector", [{"histogram": [1, {}]}]), "the query returns native histograms"),
    (success("matrix", [{"histograms": [[1, {}]]}]), "the query returns native histograms"),
    (body(b"x" * (9 * 1024 * 1024)), "the answer is longer than 8388608 bytes; aggregate in the query"),
    (
        body(gzip.compress(b"x" * (64 * 1024 * 1024)), Content_Encoding="gzip"),
        "the answer is longer than 8388608 bytes; aggregate in the query",
    ),
]


@pytest.mark.parametrize(("answer", "message"), REFUSALS)
def test_no_usable_answer_is_an_error_that_says_what_came(answer: Answer, message: str) -> None:
    assert failing(answer).startswith(message)


def _never(released: threading.Event) -> Answer:
    return lambda _: released.wait() and None


def _headers_then(write: Callable[[BaseHTTPRequestHandler], None]) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        write(request)

    return answer


def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    released = threading.Event()
    assert failing(_never(released), deadline=0.2) == "no answer from URL within 0.2 s"
    released.set()


def test_the_timeout_of_the_metric_counts_if_it_is_shorter() -> None:
    released = threading.Event()
    assert failing(_never(released), deadline=60.0, timeout=1) == "no answer from URL within 1 s"
    released.set()


def test_a_body_that_stops_is_given_up_in_time() -> None:
    released = threading.Event()
    hanging = _headers_then(lambda request: request.wfile.write(b"{") and released.wait() and None)
    assert failing(hanging, deadline=0.2) == "no complete answer from URL within 0.2 s"
    released.set()


def test_a_body_that_drips_is_given_up_in_time() -> None:
    released = threading.Event()

    def drip(request: BaseHTTPRequestHandler) -> None:
        while not released.wait(0.05):  # each byte comes well within the timeout of a read
            request.wfile.write(b" ")

    assert failing(_headers_then(drip), deadline=0.3) == "no complete answer from URL within 0.3 s"
    released.set()


def test_a_body_that_breaks_off_is_an_error() -> None:
    def cut(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "100")
        request.end_headers()
        request.wfile.write(b"{")

    assert failing(cut) == "the request to URL failed: ChunkedEncodingError"


def test_a_closed_port_is_refused() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(ProviderError) as caught:
            Prometheus().query({"address": address, "query": "up"}, DEADLINE)
    assert str(caught.value) == f"cannot connect to {address}: Connection refused"


def test_an_unknown_host_is_said_so() -> None:
    with pytest.raises(ProviderError, match=r"cannot connect to http://no\.such\.host\.invalid:9090: .+"):
        Prometheus().query({"address": "http://no.such.host.invalid:9090", "query": "up"}, DEADLINE)


def test_plain_http_behind_https_is_a_tls_failure() -> None:
    with serve(vector("1")) as server:
        address = server.url.replace("http:", "https:")
        with pytest.raises(ProviderError, match=r"^TLS with https://127\.0\.0\.1"):
            Prometheus().query({"address": address, "query": "up"}, DEADLINE)


def test_tls_is_checked_against_ssl_cert_file(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serve(vector("1"), context) as server:
        with pytest.raises(ProviderError, match=r"TLS with .* failed: .*self.signed certificate"):
            ask(server)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert ask(server).value == [1.0]


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_insecure_skips_the_check(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serve(vector("1"), context) as server:
        assert ask(server, insecure=True).value == [1.0]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"address": ""}, "prometheus.address is not set"),
    ({"address": "prometheus:9090"}, "prometheus.address is not a URL"),
    ({"address": "ftp://x"}, "prometheus.address is not a URL"),
    ({"address": "http://"}, "prometheus.address is not a URL"),
    ({"address": "http://x:port"}, "prometheus.address is not a URL"),
    ({"address": "http://[::1"}, "prometheus.address is not a URL"),
    ({"address": 5}, "address must be a string"),
    ({"query": " "}, "query is missing"),
    ({"query": None}, "query is missing"),
    ({"timeout": -1}, "prometheus.timeout must be"),
    ({"timeout": "soon"}, "prometheus.timeout must be"),
    ({"timeout": True}, "prometheus.timeout must be"),
    ({"headers": "x"}, "prometheus.headers must be"),
    ({"headers": ["x"]}, "prometheus.headers must be"),
    ({"headers": [{"value": "x"}]}, "prometheus.headers must be"),
    ({"authentication": "x"}, "authentication must be an object"),
    ({"authentication": {"basicAuth": {"username": "u"}}}, "basicAuth.password is missing"),
    ({"authentication": {"basicAuth": {"password": "p"}}}, "basicAuth.username is missing"),
    ({"authentication": {"oauth2": {"tokenUrl": "x"}}}, "authentication.oauth2.clientId is missing"),
    (
        {
            "authentication": {
                "basicAuth": {"username": "u", "password": "p"},
                "oauth2": {"tokenUrl": "x", "clientId": "c", "clientSecret": "s"},
            }
        },
        "authentication names several methods; choose one",
    ),
    ({"rangeQuery": {"start": "now()"}}, "step is missing"),
    ({"rangeQuery": {"step": "1m"}}, "start is missing"),
    ({"rangeQuery": {"start": "now()", "step": "x"}}, "rangeQuery.step"),
    ({"rangeQuery": {"start": "now()", "step": "0"}}, "longer than 0s"),
    ({"rangeQuery": {"start": "soon", "step": "1m"}}, "rangeQuery.start soon: unknown name soon"),
    ({"headers": [{"key": "X\n", "value": "x"}]}, "failed: InvalidHeader"),
]


@pytest.mark.parametrize(("fields", "message"), WRONG)
def test_a_wrong_field_is_an_error_before_anything_is_sent(fields: dict[str, Any], message: str) -> None:
    with serve(vector("1")) as server:
        with pytest.raises(ProviderError) as caught:
            Prometheus().query({"address": server.url, "query": "up", **fields}, DEADLINE)
        assert server.paths == []
    assert message in str(caught.value)


def test_no_secret_comes_back_in_an_error() -> None:
    secrets = ["s3cr3t-token", "pa55-word", "in-the-url", "dXNlcjpwYTU1LXdvcmQ="]
    echo = document({"status": "error", "errorType": "echo", "error": " ".join(["Bearer", *secrets])}, 400)
    with serve(echo) as server, pytest.raises(ProviderError) as caught:
        ask(
            server,
            address=server.url.replace("//", "//user:in-the-url@"),
            headers=[{"key": "X-Token", "value": "Bearer s3cr3t-token"}],
            authentication={"basicAuth": {"username": "user", "password": "pa55-word"}},
        )
    assert str(caught.value) == f"{server.url} answers HTTP 400 Bad Request: echo: ***** ***** ***** *****"


def test_the_text_of_an_error_is_short() -> None:
    long = document({"status": "error", "errorType": "bad_data", "error": "x" * 100_000}, 422)
    with serve(long) as server, pytest.raises(ProviderError) as caught:
        ask(server)
    assert len(str(caught.value)) == 512


def test_the_resolved_query_is_worth_showing() -> None:
    assert Prometheus().metadata({"query": "up"}) == {"ResolvedPrometheusQuery": "up"}
    assert Prometheus().metadata({}) == {}
