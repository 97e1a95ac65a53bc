"""Signatures against AWS' published examples, credentials from every place, CloudWatch at the HTTP boundary."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from analysis import providers
from analysis.errors import ProviderError
from analysis.providers import sigv4
from analysis.providers.aws import Identity, Session
from analysis.providers.sigv4 import Credentials, Scope
from tests.unit.analysis.answering import body, document, serve, vector

EXAMPLE = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
NOW = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
LATER = "2999-01-01T00:00:00Z"


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials of the machine that runs the tests."""
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_DEFAULT_REGION",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")


def test_the_example_of_the_documentation() -> None:
    """IAM ListUsers, from "Signature Version 4 signing process"."""
    url = "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08"
    extra = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    scope = Scope("us-east-1", "iam")
    found = sigv4.headers("GET", url, b"", extra, credentials=EXAMPLE, scope=scope, now=NOW)
    assert found["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )


@pytest.mark.parametrize(
    ("method", "url", "signature"),
    [
        ("GET", "/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "/", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "GET",
            "/?Param2=value2&Param1=value1",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
    ],
)
def test_the_test_suite_of_aws(method: str, url: str, signature: str) -> None:
    """get-vanilla, post-vanilla and get-vanilla-query-order-key-case."""
    scope = Scope("us-east-1", "service")
    found = sigv4.headers(
        method, f"https://example.amazonaws.com{url}", b"", {}, credentials=EXAMPLE, scope=scope, now=NOW
    )
    assert found["authorization"].endswith(f"Signature={signature}")


def test_a_profile_of_the_credentials_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "credentials"
    file.write_text(
        "[metrics]\naws_access_key_id = AK\naws_secret_access_key = SK%x\naws_session_token = ST\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    assert Session().credentials(Identity(profile="metrics"), 5) == Credentials("AK", "SK%x", "ST")
    with pytest.raises(ProviderError, match="there is no AWS profile other"):
        Session().credentials(Identity(profile="other"), 5)


def test_keys_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SK")
    assert Session().credentials(Identity(), 5) == Credentials("AK", "SK")


STS = f"""<R><Credentials><AccessKeyId>AK2</AccessKeyId><SecretAccessKey>SK2</SecretAccessKey>
<SessionToken>ST2</SessionToken><Expiration>{LATER}</Expiration></Credentials></R>"""


def test_a_role_is_assumed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    forms: list[bytes] = []

    def sts(request: BaseHTTPRequestHandler) -> None:
        forms.append(request.rfile.read(int(request.headers["Content-Length"])))
        assert "Credential=AK/" in request.headers["Authorization"]
        body(STS.encode())(request)

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SK")
    with serve(sts) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        session, who = Session(), Identity(role_arn="arn:aws:iam::1:role/metrics")
        assert session.credentials(who, 5) == session.credentials(who, 5) == Credentials("AK2", "SK2", "ST2")
    assert len(forms) == 1
    assert b"Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fmetrics" in forms[0]


def test_a_web_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forms: list[bytes] = []

    def sts(request: BaseHTTPRequestHandler) -> None:
        forms.append(request.rfile.read(int(request.headers["Content-Length"])))
        body(STS.encode())(request)

    (tmp_path / "token").write_text("jwt\n")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:role")
    with serve(sts) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        assert Session().credentials(Identity(), 5) == Credentials("AK2", "SK2", "ST2")
    assert b"Action=AssumeRoleWithWebIdentity" in forms[0]
    assert b"WebIdentityToken=jwt" in forms[0]


def test_the_endpoint_of_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("pod-identity")
    keys = {"AccessKeyId": "AK", "SecretAccessKey": "SK", "Token": "ST", "Expiration": LATER}
    with serve(document(keys)) as server:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{server.url}/v1/credentials")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "token"))
        assert Session().credentials(Identity(), 5) == Credentials("AK", "SK", "ST")
    assert server.headers[0]["authorization"] == "pod-identity"


def test_nobody_and_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ProviderError, match="there are no AWS credentials; give the controller an IAM role"):
        Session().credentials(Identity(), 5)
    monkeypatch.delenv("AWS_REGION")
    with pytest.raises(ProviderError, match="the AWS region is not set"):
        Identity().located()


QUERIES = [
    {
        "id": "errors",
        "metricStat": {
            "metric": {
                "namespace": "AWS/ApplicationELB",
                "metricName": "HTTPCode_Target_5XX_Count",
                "dimensions": [{"name": "LoadBalancer", "value": "app/shop"}],
            },
            "period": "300",
            "stat": "Sum",
            "unit": "Count",
        },
        "returnData": False,
    },
    {"id": "rate", "expression": "errors / 300", "label": "errors a second"},
]
ANSWER = {
    "MetricDataResults": [{"Id": "rate", "Values": [0.02, 0.04], "StatusCode": "Complete"}],
    "Messages": [{"Code": "Partial", "Value": "more"}],
}


def test_cloudwatch_is_asked_and_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SK")
    sent: list[dict[str, object]] = []

    def cloudwatch(request: BaseHTTPRequestHandler) -> None:
        assert request.headers["X-Amz-Target"] == "GraniteServiceVersion20100801.GetMetricData"
        assert "/eu-central-1/monitoring/aws4_request" in request.headers["Authorization"]
        sent.append(json.loads(request.rfile.read(int(request.headers["Content-Length"]))))
        document(ANSWER)(request)

    with serve(cloudwatch) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", server.url)
        spec = {"interval": "30m", "metricDataQueries": QUERIES}
        found = providers.registry()["cloudWatch"].query(spec, 5)
    assert found.value == ANSWER["MetricDataResults"]
    assert (found.rendered, found.metadata) == ("[[0.02 0.04]]", {"messages": "Partial: more"})
    first = sent[0]["MetricDataQueries"][0]  # type: ignore[index]
    assert first["MetricStat"]["Period"] == 300
    assert first["MetricStat"]["Metric"]["Dimensions"] == [{"Name": "LoadBalancer", "Value": "app/shop"}]
    assert first["ReturnData"] is False


def test_prometheus_of_amazon_is_asked_with_a_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SK")
    with serve(vector("1")) as server:
        spec = {"address": server.url, "query": "a + b", "authentication": {"sigv4": {"region": "us-west-2"}}}
        assert providers.registry()["prometheus"].query(spec, 5).value == [1.0]
    signed = server.headers[0]["authorization"]
    assert signed.startswith("AWS4-HMAC-SHA256 Credential=AK/")
    assert "/us-west-2/aps/aws4_request" in signed
