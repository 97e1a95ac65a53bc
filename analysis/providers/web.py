"""Any HTTP API as a provider: one request, and a JSONPath that picks the value.

Decided here: what `result` is. JSON gives the first value that `jsonPath` finds (default: the whole document), all
numbers being floats; anything else gives the body as a string. Spec fields are those of Argo Rollouts' `provider.web`; `basicAuth` is ours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from analysis.errors import ProviderError
from analysis.language import conversions, printing
from analysis.providers import client, fields, jsonpath, login, oauth2
from analysis.providers.result import ProviderResult

_WHERE = "web"
_METHODS = ("GET", "POST", "PUT")
_DEFAULT_SECONDS = 10.0


class Web:
    """The provider."""

    def __init__(self) -> None:
        self._tokens = oauth2.Tokens()

    def query(self, spec: Mapping[str, object], deadline: float) -> ProviderResult:
        seconds = min(fields.seconds(spec, "timeoutSeconds", _WHERE, _DEFAULT_SECONDS), deadline)
        body = client.send(self._request(spec, seconds), seconds)
        return _result(body, fields.text(spec, "jsonPath", _WHERE) or "{$}")

    def metadata(self, spec: Mapping[str, object]) -> Mapping[str, str]:
        del spec  # the URL may hold a key
        return {}

    def _request(self, spec: Mapping[str, object], seconds: float) -> client.Request:
        method = fields.text(spec, "method", _WHERE) or "GET"
        if method not in _METHODS:
            raise ProviderError(f"web.method must be one of {', '.join(_METHODS)}")
        headers = {"Content-Type": "application/json"} if spec.get("jsonBody") is not None else {}
        request = client.Request(
            url=fields.required(spec, "url", _WHERE, "write the URL to ask"),
            method=method,
            headers=headers,
            content=_content(spec, method),
        )
        return login.added(request, spec, _WHERE, self._tokens, seconds)


def _content(spec: Mapping[str, object], method: str) -> bytes | None:
    text, document = fields.text(spec, "body", _WHERE), spec.get("jsonBody")
    if text and document is not None:
        raise ProviderError("web has both body and jsonBody; remove one")
    if (text or document is not None) and method == "GET":
        raise ProviderError("web.body and web.jsonBody need method POST or PUT")
    if document is not None:
        return json.dumps(document).encode()
    return text.encode() if text else None


def _result(body: bytes, path: str) -> ProviderResult:
    try:
        document = conversions.parsed(body)
    except (ValueError, RecursionError):
        text = body.decode(errors="replace")
        return ProviderResult(text, text)
    found = jsonpath.first(path, document)
    return ProviderResult(found, printing.json_text(found))
