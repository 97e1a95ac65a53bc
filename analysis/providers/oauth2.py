"""OAuth 2.0 client credentials (RFC 6749, 4.4): a token for as long as it is good.

Used by every provider with `authentication.oauth2`. The token is kept per client, so a measurement every few
seconds does not ask for a token each time.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass

from analysis.errors import ProviderError
from analysis.providers import client, fields, tls

_EARLY = 30.0  # seconds before its end a token is replaced
_UNSAID = 60.0  # how long a token is kept whose life the server does not tell
_KEPT = 256


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks for a token, where."""

    token_url: str
    client_id: str
    client_secret: str
    scopes: tuple[str, ...] = ()
    insecure: bool = False
    certificates: tls.Certificates = tls.NONE


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    ends_at: float


class Tokens:
    """Tokens by client. Called from many threads."""

    def __init__(self) -> None:
        self._known: dict[Client, _Token] = {}
        self._lock = threading.Lock()

    def token(self, who: Client, seconds: float) -> str:
        """A token that is good now."""
        with self._lock:
            known = self._known.get(who)
        if known is None or known.ends_at < time.monotonic():
            known = _asked(who, seconds)
            with self._lock:
                if len(self._known) >= _KEPT:
                    self._known.clear()
                self._known[who] = known
        return known.text


def parse(
    authentication: Mapping[str, object], where: str, *, insecure: bool, certificates: tls.Certificates
) -> Client | None:
    """The client that the settings describe, if they do."""
    spec = fields.mapping(authentication, "oauth2", where)
    if not fields.text(spec, "tokenUrl", where):
        return None
    remedy = "give tokenUrl, clientId and clientSecret"
    scopes = spec.get("scopes") or ()
    if isinstance(scopes, str) or not isinstance(scopes, list | tuple):
        raise ProviderError(f"{where}.oauth2.scopes must be a list of strings")
    return Client(
        token_url=fields.required(spec, "tokenUrl", f"{where}.oauth2", remedy),
        client_id=fields.required(spec, "clientId", f"{where}.oauth2", remedy),
        client_secret=fields.required(spec, "clientSecret", f"{where}.oauth2", remedy),
        scopes=tuple(map(str, scopes)),
        insecure=insecure,
        certificates=certificates,
    )


def _asked(who: Client, seconds: float) -> _Token:
    form = {"grant_type": "client_credentials"} | ({"scope": " ".join(who.scopes)} if who.scopes else {})
    request = client.Request(
        url=who.token_url,
        method="POST",
        headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
        content=urllib.parse.urlencode(form).encode(),
        auth=(urllib.parse.quote_plus(who.client_id), urllib.parse.quote_plus(who.client_secret)),
        insecure=who.insecure,
        certificates=who.certificates,
        secrets=(who.client_secret,),
    )
    begun = time.monotonic()
    try:
        answer = json.loads(client.send(request, seconds))
        lasting = float(answer.get("expires_in") or _UNSAID)
        return _Token(str(answer["access_token"]), begun + max(0.0, lasting - _EARLY))
    except ProviderError as error:
        raise ProviderError(f"no token: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ProviderError("no token: the answer of the token URL has no access_token") from None
