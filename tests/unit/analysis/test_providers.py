"""Every provider but Prometheus' against a real HTTP server that answers as its documentation shows."""

from __future__ import annotations

import functools
import json
import math
import subprocess
import sys
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from analysis import providers
from analysis.errors import ProviderError
from analysis.providers import ProviderResult, client
from tests.unit.analysis.answering import Answer, Server, body, document, serve

DEADLINE = 5.0


def answer(provider: str, server: Server, spec: Mapping[str, object]) -> ProviderResult:
    return providers.registry()[provider].query(spec, DEADLINE)


Spec = Callable[[str], Mapping[str, object]]
SPECS: dict[str, Spec] = {
    "web": lambda url: {"url": f"{url}/api"},
    "loki": lambda url: {"address": url, "query": "sum(count_over_time({app='shop'}[1m]))"},
    "graphite": lambda url: {"address": url, "query": "target=a&from=-5min"},
    "newRelic": lambda url: {
        "query": "SELECT 1",
        "credentials": {
            "personal-api-key": "NRAK-s3cr3t",
            "account-id": "7",
            "base-url-nerdgraph": f"{url}/graphql",
        },
    },
    "influxdb": lambda url: {
        "query": 'from(bucket:"b")',
        "credentials": {"address": url, "authToken": "s3cr3t-token", "org": "shop"},
    },
    "datadog": lambda url: {
        "query": "avg:errors{*}",
        "credentials": {"address": url, "api-key": "s3cr3t-api", "app-key": "s3cr3t-app"},
    },
}


def datadog_v2(url: str) -> Mapping[str, object]:
    return {**SPECS["datadog"](url), "apiVersion": "v2"}


def nerdgraph(*rows: Mapping[str, object]) -> Answer:
    return document({"data": {"actor": {"account": {"nrql": {"results": list(rows)}}}}})


def columns(*found: Mapping[str, object]) -> Answer:
    return document({"data": {"type": "scalar_response", "attributes": {"columns": list(found)}}})


def loki(kind: str, *result: Mapping[str, object]) -> Answer:
    data = {"resultType": kind, "result": list(result), "stats": {"summary": {"bytesProcessedPerSecond": 1}}}
    return document({"status": "success", "data": data})


WEB_TEXT = r'{"a":"\u003cé\u003e","b":1e+21}'
DEEP = functools.reduce(lambda inner, _: [{"a": inner}], range(40), 1.0)
TOO_DEEP = "(values nested deeper than 50 have no text)"
FLUX = (
    "#datatype,string,long,double,string\r\n#default,_result,,,\r\n,result,table,_value,host\r\n"
    ",,0,0.25,a\r\n,,1,1.5,b\r\n\r\n"
    "#datatype,string,long,boolean\r\n#default,_result,,\r\n,result,table,_value\r\n,,2,true\r\n\r\n"
)
ANSWERS: list[tuple[str, Spec, Answer, object, str]] = [
    ("web", SPECS["web"], document({"ok": True}), {"ok": True}, '{"ok":true}'),
    ("web", SPECS["web"], document(3), 3.0, "3"),
    ("web", SPECS["web"], document("1.2"), "1.2", '"1.2"'),
    ("web", SPECS["web"], document({"b": 1e21, "a": "<é>"}), {"b": 1e21, "a": "<é>"}, WEB_TEXT),
    ("web", SPECS["web"], body(b"12345678901234567890"), 12345678901234567000.0, "12345678901234567000"),
    ("web", SPECS["web"], body(b'{"a": 1e999}'), '{"a": 1e999}', '{"a": 1e999}'),
    ("web", SPECS["web"], body(b'[{"a":' * 40 + b"1" + b"}]" * 40), DEEP, TOO_DEEP),
    ("web", SPECS["web"], document([0.1, None]), [0.1, None], "[0.1,null]"),
    ("web", SPECS["web"], body(b"healthy"), "healthy", "healthy"),
    (
        "graphite",
        SPECS["graphite"],
        document([{"target": "a", "datapoints": [[1.5, 1311836008], [None, 1311836009], [2, 1311836010]]}]),
        [1.5, 2.0],
        "[1.5,2]",
    ),
    ("graphite", SPECS["graphite"], document([]), None, "[]"),
    (
        "graphite",
        SPECS["graphite"],
        document([{"target": "a", "datapoints": [[None, 1311836009]]}]),
        [],
        "[]",
    ),
    (
        "loki",
        SPECS["loki"],
        loki("vector", {"metric": {}, "value": [1588889221, "1267.5"]}),
        [1267.5],
        "[1267.5]",
    ),
    ("loki", SPECS["loki"], loki("vector"), [], "[]"),
    (
        "loki",
        SPECS["loki"],
        loki("matrix", {"metric": {}, "values": [[1, "2"], [2, "3"]]}),
        [2.0, 3.0],
        "[2,3]",
    ),
    ("newRelic", SPECS["newRelic"], nerdgraph({"count": 12}), {"count": 12}, '{"count":12}'),
    ("newRelic", SPECS["newRelic"], nerdgraph({"a": 1}, {"a": 2}), [{"a": 1}, {"a": 2}], '[{"a":1},{"a":2}]'),
    ("newRelic", SPECS["newRelic"], nerdgraph(), None, "[]"),
    ("newRelic", SPECS["newRelic"], nerdgraph({}), None, "{}"),
    ("influxdb", SPECS["influxdb"], body(FLUX.encode()), [0.25, 1.5, True], "[0.25 1.5 true]"),
    ("influxdb", SPECS["influxdb"], body(b"\r\n"), None, "[]"),
    (
        "datadog",
        SPECS["datadog"],
        document({"status": "ok", "series": [{"pointlist": [[1, 0.5], [2, 0.25], [3, None]]}]}),
        0.25,
        "0.25",
    ),
    ("datadog", SPECS["datadog"], document({"status": "ok", "series": []}), None, "[]"),
    ("datadog", datadog_v2, columns({"name": "a", "type": "number", "values": [0.5]}), 0.5, "0.5"),
    ("datadog", datadog_v2, columns({"values": [None]}), None, "[]"),
    (
        "datadog",
        datadog_v2,
        columns(
            {"name": "host", "type": "group", "values": [["a"], ["b"]]},
            {"name": "x", "type": "number", "values": [1, 2]},
        ),
        [1.0, 2.0],
        "[1,2]",
    ),
]


@pytest.mark.parametrize(("provider", "spec", "reply", "value", "rendered"), ANSWERS)
def test_documented_answers(provider: str, spec: Spec, reply: Answer, value: object, rendered: str) -> None:
    with serve(reply) as server:
        found = answer(provider, server, spec(server.url))
    assert (found.value, found.rendered) == (value, rendered)


def failing(provider: str, reply: Answer, spec: Spec | None = None, **fields: object) -> str:
    with serve(reply) as server, pytest.raises(ProviderError) as caught:
        answer(provider, server, {**(spec or SPECS[provider])(server.url), **fields})
    return str(caught.value).replace(server.url, "URL")


REFUSED = [
    (
        "newRelic",
        None,
        document({"errors": [{"message": "NRQL Syntax Error"}]}),
        "New Relic refuses the query: NRQL",
    ),
    (
        "influxdb",
        None,
        body(b"#datatype,string,long\r\n,error,reference\r\n,no such bucket,897\r\n"),
        "InfluxDB refuses the query: no such bucket",
    ),
    ("loki", None, loki("streams", {"stream": {}, "values": []}), "the query returns log lines; count them"),
    (
        "loki",
        None,
        body(b"parse error at line 1, col 1", 400),
        "answers HTTP 400 Bad Request: parse error at line 1",
    ),
    ("datadog", None, document({"error": "Rule 1"}), "Datadog refuses the query: Rule 1"),
    ("datadog", datadog_v2, document({"data": {"errors": "bad"}}), "Datadog refuses the query: bad"),
    *[(name, None, document({"what": 1}), "the answer is not") for name in ("graphite", "newRelic", "loki")],
    *[(name, None, body(b"<html>"), "is not JSON") for name in ("graphite", "newRelic", "datadog", "loki")],
]


@pytest.mark.parametrize(("provider", "spec", "reply", "problem"), REFUSED)
def test_what_is_not_an_answer(provider: str, spec: Spec | None, reply: Answer, problem: str) -> None:
    assert problem in failing(provider, reply, spec)


@pytest.mark.parametrize("provider", SPECS)
@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_say_so(provider: str, status: int) -> None:
    assert f"URL refuses the credentials: HTTP {status}" in failing(provider, document({}, status))


@pytest.mark.parametrize("provider", SPECS)
def test_no_secret_comes_back_in_an_error(provider: str) -> None:
    echo = body(b"NRAK-s3cr3t s3cr3t-token s3cr3t-api s3cr3t-app Bearer s3cr3t-web", 400)
    fields = (
        {"headers": [{"key": "Authorization", "value": "Bearer s3cr3t-web"}]} if provider == "web" else {}
    )
    problem = failing(provider, echo, **fields)
    assert "HTTP 400" in problem
    own = {"newRelic": "NRAK", "influxdb": "s3cr3t-token", "datadog": "s3cr3t-ap", "web": "s3cr3t-web"}
    assert own.get(provider, "never") not in problem


@pytest.mark.parametrize("provider", SPECS)
def test_an_answer_without_end_is_cut_off(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_ANSWER_BYTES", 1000)
    assert failing(provider, body(b"x" * 1001)) == "the answer is longer than 1000 bytes; ask for less"


def test_trouble_that_passes_is_tried_again() -> None:
    statuses = [503, 429, 200]

    def reply(request: BaseHTTPRequestHandler) -> None:
        document({"ok": 1}, statuses.pop(0))(request)

    with serve(reply) as server:
        assert answer("web", server, {"url": server.url, "jsonPath": "{$.ok}"}).value == 1
    assert len(server.paths) == 3


def test_trouble_that_stays_is_told() -> None:
    assert failing("web", body(b"try  later", 503)) == "URL answers HTTP 503 Service Unavailable: try later"


def test_nobody_listens() -> None:
    with serve(document({})) as server:
        pass
    with pytest.raises(ProviderError, match=r"cannot connect to http://127\.0\.0\.1:"):
        answer("web", server, {"url": server.url})


PATHS = [
    ("{$.data.ok}", {"data": {"ok": 7}}, 7),
    ("{.data.items[1].x}", {"data": {"items": [{"x": 1}, {"x": 2}]}}, 2),
    ("$.items[*].x", {"items": [{"x": 1}, {"x": 2}]}, 1),
    ("{$.items[?(@.name=='b')].x}", {"items": [{"name": "a", "x": 1}, {"name": "b", "x": 2}]}, 2),
    ("{$}", [1, 2], [1, 2]),
    ("", {"a": 1}, {"a": 1}),
    (r"{.data.app\.example\.com/ok}", {"data": {"app.example.com/ok": 7}}, 7),
    (r"{.a\.b[0].c\.d}", {"a.b": [{"c.d": 7}]}, 7),
]


@pytest.mark.parametrize(("path", "found", "value"), PATHS)
def test_json_path(path: str, found: object, value: object) -> None:
    with serve(document(found)) as server:
        assert answer("web", server, {"url": server.url, "jsonPath": path}).value == value


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"jsonPath": "{$.missing}"}, "jsonPath {$.missing} finds nothing in the answer"),
        ({"jsonPath": "{$.[}"}, "jsonPath {$.[}"),
        ({"method": "DELETE"}, "web.method must be one of GET, POST, PUT"),
        ({"body": "x"}, "need method POST or PUT"),
        ({"method": "POST", "body": "x", "jsonBody": {}}, "both body and jsonBody"),
        ({"url": ""}, "web.url is missing"),
        ({"url": "ftp://x"}, "the address is not a URL"),
        ({"timeoutSeconds": -1}, "web.timeoutSeconds must be a number of seconds"),
        ({"headers": [{"value": "x"}]}, "web.headers must be a list of key and value"),
        ({"authentication": {"oauth2": {"tokenUrl": "x"}}}, "web.authentication.oauth2.clientId is missing"),
    ],
)
def test_a_wrong_field_of_web(fields: dict[str, object], problem: str) -> None:
    assert problem in failing("web", document({}), **fields)


class Recorded:
    """Answers with a document and keeps what was sent."""

    def __init__(self, *replies: object) -> None:
        self.replies = list(replies)
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        length = int(request.headers.get("Content-Length") or 0)
        headers = {key.lower(): value for key, value in request.headers.items()}
        self.requests.append((request.command, request.path, headers, request.rfile.read(length)))
        document(self.replies.pop(0) if len(self.replies) > 1 else self.replies[0])(request)


def test_web_posts_json_with_headers() -> None:
    recorded = Recorded({"ok": 1})
    with serve(recorded) as server:
        spec = {"method": "POST", "jsonBody": {"q": 1}, "headers": [{"key": "X-Team", "value": "shop"}]}
        answer("web", server, {"url": f"{server.url}/a?b=c", **spec})
    ((method, path, headers, content),) = recorded.requests
    assert (method, path, json.loads(content)) == ("POST", "/a?b=c", {"q": 1})
    assert (headers["content-type"], headers["x-team"]) == ("application/json", "shop")


@pytest.mark.parametrize("provider", ["web", "prometheus"])
def test_an_oauth2_token_is_asked_for_once(provider: str) -> None:
    token = {"access_token": "t0ken", "expires_in": 3600}
    data = {"status": "success", "data": {"resultType": "scalar", "result": [1, "7"]}}
    recorded = Recorded(token, data)
    with serve(recorded) as server:
        oauth2 = {
            "tokenUrl": f"{server.url}/token",
            "clientId": "shop",
            "clientSecret": "s3cr3t",
            "scopes": ["a", "b"],
        }
        spec = {"url": server.url, "address": server.url, "query": "up", "authentication": {"oauth2": oauth2}}
        known = providers.registry()[provider]
        known.query(spec, DEADLINE)
        known.query(spec, DEADLINE)
    asked, *measured = recorded.requests
    assert (asked[1], asked[3]) == ("/token", b"grant_type=client_credentials&scope=a+b")
    assert asked[2]["authorization"] == "Basic c2hvcDpzM2NyM3Q="
    assert [request[2]["authorization"] for request in measured] == ["Bearer t0ken"] * 2


def test_what_is_asked_of_datadog() -> None:
    recorded = Recorded({"series": []}, {"data": {"attributes": {"columns": []}}})
    with serve(recorded) as server:
        answer("datadog", server, {**SPECS["datadog"](server.url), "interval": "10m"})
        spec = {
            "queries": {"a": "sum:x{*}", "b": "sum:y{*}"},
            "formula": "a/b",
            "aggregator": "sum",
            "query": "",
        }
        answer("datadog", server, {**datadog_v2(server.url), **spec})
    first, second = recorded.requests
    assert first[1].startswith("/api/v1/query?query=avg%3Aerrors%7B%2A%7D&from=")
    assert (first[2]["dd-api-key"], first[2]["dd-application-key"]) == ("s3cr3t-api", "s3cr3t-app")
    sent = json.loads(second[3])["data"]
    assert (second[0], second[1], sent["type"]) == ("POST", "/api/v2/query/scalar", "scalar_request")
    assert sent["attributes"]["to"] - sent["attributes"]["from"] == 300_000
    assert sent["attributes"]["formulas"] == [{"formula": "a/b"}]
    assert [q["name"] for q in sent["attributes"]["queries"]] == ["a", "b"]


def test_datadog_takes_its_keys_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(document({"series": []})) as server:
        for name, value in {"API_KEY": "k", "APP_KEY": "a", "ADDRESS": server.url}.items():
            monkeypatch.setenv(f"DD_{name}", value)
        assert answer("datadog", server, {"query": "x"}).value is None


def test_what_is_asked_of_loki() -> None:
    recorded = Recorded({"status": "success", "data": {"resultType": "vector", "result": []}})
    with serve(recorded) as server:
        spec = {
            **SPECS["loki"](f"{server.url}/gateway/"),
            "headers": [{"key": "X-Scope-OrgID", "value": "shop"}],
        }
        spec["authentication"] = {"basicAuth": {"username": "u", "password": "s3cr3t"}}
        answer("loki", server, spec)
        window = {"start": 'now() - duration("5m")', "step": "30s"}
        answer("loki", server, {**spec, "rangeQuery": window})
    now, span = recorded.requests
    assert now[1].startswith("/gateway/loki/api/v1/query?query=sum%28count_over_time")
    assert (now[2]["x-scope-orgid"], now[2]["authorization"]) == ("shop", "Basic dTpzM2NyM3Q=")
    asked = parse_qs(urlsplit(span[1]).query)
    assert urlsplit(span[1]).path == "/gateway/loki/api/v1/query_range"
    assert int(asked["end"][0]) - int(asked["start"][0]) == 300 * 10**9
    assert asked["step"] == ["30s"]


def test_what_is_asked_of_the_others() -> None:
    recorded = Recorded({"data": {"actor": {"account": {"nrql": {"results": []}}}}})
    with serve(recorded) as server:
        answer("newRelic", server, {**SPECS["newRelic"](server.url), "timeout": 9})
    ((_, path, headers, content),) = recorded.requests
    assert (path, headers["api-key"]) == ("/graphql", "NRAK-s3cr3t")
    assert json.loads(content)["variables"] == {"accountId": 7, "query": "SELECT 1", "timeout": 9}
    recorded = Recorded([])
    with serve(recorded) as server:
        answer("graphite", server, {"address": f"{server.url}/g/", "query": "target=sum(a.*)\n &from=-10min"})
    assert recorded.requests[0][1] == "/g/render?target=sum%28a.%2A%29&from=-10min&format=json"


@pytest.mark.parametrize("provider", ["newRelic", "influxdb", "datadog"])
def test_missing_credentials_say_what_to_create(provider: str) -> None:
    problem = failing(provider, document({}), credentials={})
    assert "create the Secret" in problem


def test_a_plugin_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = metadata.EntryPoint(
        "slo", "tests.unit.analysis.test_providers:Plugged", "rollouts.analysis.providers"
    )
    broken = metadata.EntryPoint("gone", "no.such.module:Plugged", "rollouts.analysis.providers")
    found = metadata.EntryPoints([entry, broken])
    monkeypatch.setattr(metadata, "entry_points", lambda group: found.select(group=group))
    plugin = providers.registry()["plugin"]
    assert plugin.query({"slo": {"budget": 0.5}}, DEADLINE) == ProviderResult(0.5, "0.5")
    assert plugin.metadata({"slo": {"budget": 0.5}}) == {"budget": "0.5"}
    assert plugin.metadata({"nobody": {}}) == {}
    for spec, problem in {
        "nobody": "there is no plugin nobody; installed: gone, slo",
        "gone": "plugin gone cannot be loaded: ModuleNotFoundError",
    }.items():
        with pytest.raises(ProviderError, match=problem):
            plugin.query({spec: {}}, DEADLINE)


class Plugged:
    def query(self, spec: Mapping[str, Any], deadline: float) -> ProviderResult:
        del deadline
        return ProviderResult(spec["budget"], str(spec["budget"]))

    def metadata(self, spec: Mapping[str, Any]) -> Mapping[str, str]:
        return {"budget": str(spec["budget"])}


def test_the_registry_knows_every_provider_and_loads_none() -> None:
    code = (
        "import sys; from analysis import providers; r = providers.registry(); assert 'web' in r and len(list(r)) == 9;"
        "sys.exit(bool({'httpx', 'requests', 'prometheus_api_client'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=Path(__file__).parents[3])


def test_a_grouped_query_of_datadog_says_whose_a_value_is() -> None:
    reply = columns(
        {"name": "region", "type": "group", "values": [["eu"], ["us"], ["eu"]]},
        {"name": "host", "type": "group", "values": [["a"], ["b"], ["c", "d"]]},
        {"name": "x", "type": "number", "values": [1, None, 2.5]},
    )
    with serve(reply) as server:
        found = answer("datadog", server, {**SPECS["datadog"](server.url), "apiVersion": "v2"})
    assert found.metadata == {"groups": '[{"name":"eu,a","value":1.0},{"name":"eu,c,d","value":2.5}]'}


def test_of_many_groups_the_lowest_and_highest_are_told() -> None:
    hosts = {"name": "host", "type": "group", "values": [[f"h{i}"] for i in range(200)]}
    with serve(columns(hosts, {"name": "x", "values": list(range(200))})) as server:
        found = answer("datadog", server, {**SPECS["datadog"](server.url), "apiVersion": "v2"})
    told = [group["name"] for group in json.loads(found.metadata["groups"])]
    assert told == [f"h{i}" for i in (*range(50), *range(150, 200))]
    assert found.metadata["groups_truncated"] == "true"


def test_nan_and_infinity_are_shown_as_they_are() -> None:
    with serve(body(b'{"a": NaN}')) as server:
        found = answer("web", server, {"url": server.url, "jsonPath": "{$.a}"})
    assert isinstance(found.value, float)
    assert math.isnan(found.value)
    assert found.rendered == "NaN"
