"""TLS of providers, the same for both HTTP libraries: whom we trust, and who we are.

Decided here: where trusted authorities come from (REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, SSL_CERT_FILE, SSL_CERT_DIR, else
certifi), and that those of a metric are trusted beside them. Contexts are kept, as making one takes longer than many a
query; a file that has changed makes a new one. Nothing of a key shows in an error.
"""

from __future__ import annotations

import contextlib
import functools
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import certifi

from analysis.errors import ProviderError
from analysis.providers import fields

_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
_KEPT = 32


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM: authorities to trust, and a certificate with its key to show. `where` is the field that names them."""

    authority: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)
    where: str = ""


NONE = Certificates()


def parse(spec: Mapping[str, object], provider: str) -> Certificates:
    """What the controller has read from the Secret that `certSecretRef` names."""
    where = f"{provider}.certSecretRef"
    reference = fields.mapping(spec, "certSecretRef", provider)
    if not reference:
        return NONE
    found = fields.mapping(spec, "certificates", provider)
    certificates = Certificates(
        authority=fields.text(found, "ca.crt", where),
        certificate=fields.text(found, "tls.crt", where),
        key=fields.text(found, "tls.key", where),
        where=where,
    )
    if not certificates.authority and not certificates.certificate:
        name = fields.text(reference, "name", where)
        remedy = "create it in the namespace of the run, with ca.crt, or tls.crt and tls.key, or all three"
        raise ProviderError(f'{where}: there is no certificate in a Secret "{name}"; {remedy}')
    if bool(certificates.certificate) != bool(certificates.key):
        raise ProviderError(f"{where}: tls.crt and tls.key belong together; one of them is missing")
    return certificates


def context(certificates: Certificates = NONE, *, insecure: bool = False) -> ssl.SSLContext:
    """The context for a connection; ProviderError for what is no certificate."""
    trusted = trusted_path()
    try:
        changed = trusted.stat().st_mtime_ns
    except OSError as error:
        raise ProviderError(f"the trusted authorities cannot be read: {trusted}: {error.strerror}") from None
    return _made(certificates, trusted, changed, insecure)


def trusted_path() -> Path:
    """The file or directory of the authorities that everything trusts."""
    return Path(next(filter(None, map(os.environ.get, _VARIABLES)), "") or certifi.where())


@functools.lru_cache(maxsize=_KEPT)
def _made(certificates: Certificates, trusted: Path, changed: int, insecure: bool) -> ssl.SSLContext:  # noqa: FBT001
    del changed
    try:
        if trusted.is_dir():
            made = ssl.create_default_context(capath=trusted)
        else:
            made = ssl.create_default_context(cafile=trusted)
    except (OSError, ssl.SSLError):
        raise ProviderError(f"the trusted authorities cannot be read: {trusted}") from None
    if insecure:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    _add(made, certificates)
    return made


def _add(made: ssl.SSLContext, certificates: Certificates) -> None:
    try:
        if certificates.authority:
            made.load_verify_locations(cadata=certificates.authority)
    except (ssl.SSLError, ValueError):
        raise ProviderError(f"{certificates.where}: ca.crt is not a certificate in PEM") from None
    if not certificates.certificate:
        return
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as pem:  # OpenSSL takes a key from a file only
        pem.write(f"{certificates.certificate}\n{certificates.key}\n")
        pem.flush()
        with contextlib.suppress(ssl.SSLError):
            made.load_cert_chain(pem.name, password="")  # none: never ask on a terminal
            return
    raise ProviderError(f"{certificates.where}: tls.crt and tls.key are not a certificate and its key in PEM")
