"""What `web` and `loki` have in common: headers, a login, and TLS, by the fields that Argo Rollouts' `provider.web` has.

Decided here: which of it must never show in an error. Called by both, with what they want to ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from analysis.providers import client, fields, oauth2, tls


def added(
    request: client.Request, spec: Mapping[str, object], where: str, tokens: oauth2.Tokens, seconds: float
) -> client.Request:
    """The request as the settings say that it is to be made."""
    headers = {**fields.headers(spec, where), **request.headers}
    secrets = [part for value in headers.values() for part in (value, *value.split())]
    authentication = fields.mapping(spec, "authentication", where)
    insecure, certificates = spec.get("insecure") is True, tls.parse(spec, where)
    who = oauth2.parse(
        authentication, f"{where}.authentication", insecure=insecure, certificates=certificates
    )
    if who is not None:
        token = tokens.token(who, seconds)
        headers["Authorization"] = f"Bearer {token}"
        secrets += [token, who.client_secret]
    basic = fields.mapping(authentication, "basicAuth", where)
    user = fields.text(basic, "username", where), fields.text(basic, "password", where)
    return replace(
        request,
        headers=headers,
        auth=user if all(user) else None,
        insecure=insecure,
        certificates=certificates,
        secrets=(*request.secrets, *secrets, user[1]),
    )
