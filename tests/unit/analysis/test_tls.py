"""Whom providers trust and who they are: the environment, private authorities, client certificates."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from analysis import providers
from analysis.errors import ProviderError
from analysis.providers import tls
from tests.unit.analysis.answering import Server, document, serve, vector

DEADLINE = 5.0
VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
QUERIES = {
    "prometheus": lambda url: {"address": url, "query": "up"},
    "web": lambda url: {"url": url, "jsonPath": "{$.status}"},
    "graphite": lambda url: {"address": url, "query": "target=a"},
    "loki": lambda url: {"address": url, "query": "x"},
}
ANSWERS = {
    "prometheus": vector("1"),
    "web": vector("1"),
    "graphite": document([{"datapoints": [[1, 2]]}]),
    "loki": vector("1"),
}


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def split(certificate: Path) -> tuple[str, str]:
    """Certificate and key."""
    first, marker, second = certificate.read_text().partition("-----BEGIN PRIVATE KEY-----")
    return first, marker + second


def listening(certificate: Path, *, asks: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if asks:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificate)
    return context


def ask(provider: str, server: Server, **fields: Any) -> object:
    spec: Mapping[str, object] = {**QUERIES[provider](server.url), **fields}
    return providers.registry()[provider].query(spec, DEADLINE).value


def secret(**certificates: str) -> dict[str, object]:
    return {
        "certSecretRef": {"name": "certificates"},
        "certificates": {key.replace("_", "."): value for key, value in certificates.items()},
    }


@pytest.mark.parametrize("provider", QUERIES)
@pytest.mark.parametrize("variable", VARIABLES[:3])
def test_every_client_trusts_what_the_environment_says(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, provider: str, variable: str
) -> None:
    with serve(ANSWERS[provider], listening(certificate)) as server:
        with pytest.raises(ProviderError, match=r"self.signed certificate"):
            ask(provider, server)
        monkeypatch.setenv(variable, str(certificate))
        assert ask(provider, server) is not None


def test_a_file_of_authorities_that_has_changed_is_read_again(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authorities = tmp_path / "ca.pem"
    authorities.write_bytes(tls.trusted_path().read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(authorities))
    with serve(vector("1"), listening(certificate)) as server:
        with pytest.raises(ProviderError):
            ask("prometheus", server)
        authorities.write_text(split(certificate)[0])
        assert ask("prometheus", server) == [1.0]


def test_authorities_that_are_not_there_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nowhere.pem"))
    with pytest.raises(ProviderError, match=r"trusted authorities cannot be read: .*nowhere\.pem"):
        tls.context()


@pytest.mark.parametrize("provider", ["prometheus", "web", "loki"])
def test_a_metric_may_trust_an_authority_of_its_own(certificate: Path, provider: str) -> None:
    with serve(ANSWERS[provider], listening(certificate)) as server:
        assert ask(provider, server, **secret(ca_crt=split(certificate)[0])) is not None
        with pytest.raises(ProviderError, match=r"self.signed"):  # and nobody else does
            ask(provider, server)


@pytest.mark.parametrize("provider", ["prometheus", "web", "loki"])
def test_a_metric_may_show_a_certificate(certificate: Path, provider: str) -> None:
    own, key = split(certificate)
    with serve(ANSWERS[provider], listening(certificate, asks=True)) as server:
        with pytest.raises(ProviderError):
            ask(provider, server, **secret(ca_crt=own))
        assert ask(provider, server, **secret(ca_crt=own, tls_crt=own, tls_key=key)) is not None


WRONG = [
    ({}, 'certSecretRef: there is no certificate in a Secret "certificates"; create it'),
    ({"tls_key": "k3y"}, 'there is no certificate in a Secret "certificates"'),
    ({"tls_crt": "x"}, "tls.crt and tls.key belong together"),
    ({"ca_crt": "x"}, "ca.crt is not a certificate in PEM"),
    ({"tls_crt": "x", "tls_key": "k3y"}, "tls.crt and tls.key are not a certificate and its key in PEM"),
]


@pytest.mark.parametrize("provider", ["prometheus", "web", "loki"])
@pytest.mark.parametrize(("certificates", "problem"), WRONG)
def test_what_is_no_certificate_is_told_without_it(
    provider: str, certificates: dict[str, str], problem: str
) -> None:
    server = Server("https://127.0.0.1:1")
    with pytest.raises(ProviderError) as caught:
        ask(provider, server, **secret(**certificates))
    assert str(caught.value).startswith(f"{provider}.certSecretRef: ")
    assert problem in str(caught.value)
    assert "k3y" not in str(caught.value)
    assert "k3y" not in repr(tls.Certificates(key="k3y"))
