"""Webhooks of Git hosts: who sent this, and which repository is it about?

Decides whether a request is signed with one of our secrets, and reads from its payload the addresses of a
repository. Nobody is told whether we know that repository. The payload is trusted for nothing more: it only makes us look at Git sooner. Pure; called by
`controller.applications.receiver`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

__all__ = ["bears_signature", "identity", "is_signed", "repositories"]

# GitHub, Gitea, Gogs and Forgejo, Bitbucket Cloud and Data Center, and anybody else, in this order.
_SIGNATURES = (
    "X-Hub-Signature-256",
    "X-Gitea-Signature",
    "X-Gogs-Signature",
    "X-Forgejo-Signature",
    "X-Hub-Signature",
    "X-Signature",
)
_TOKENS = ("X-Gitlab-Token",)
_HOLDERS = ("repository", "project")
_ADDRESSES = (
    "clone_url",
    "git_http_url",
    "git_ssh_url",
    "git_url",
    "homepage",
    "html_url",
    "http_url",
    "ssh_url",
    "url",
    "web_url",
)


def bears_signature(headers: Mapping[str, str]) -> bool:
    """Whether it is worth reading the body."""
    return any(headers.get(name) for name in (*_SIGNATURES, *_TOKENS))


def is_signed(headers: Mapping[str, str], body: bytes, secrets: Iterable[bytes]) -> bool:
    """Whether one of the secrets made this request's signature, or is its token."""
    known = tuple(s for s in secrets if s)
    for name in _SIGNATURES:
        if given := headers.get(name):
            return any(hmac.compare_digest(_signature(s, body), _hex(given)) for s in known)
    for name in _TOKENS:
        if given := headers.get(name):
            return any(hmac.compare_digest(s, given.encode(errors="replace")) for s in known)
    return False


def repositories(body: bytes) -> frozenset[str] | None:
    """Identities of the repository that a payload names, if any; None for what is no JSON object."""
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(payload, Mapping):
        return None
    holders = [payload[name] for name in _HOLDERS if isinstance(payload.get(name), Mapping)]
    found = (identity(url) for holder in (*holders, payload) for url in _addresses(holder))
    return frozenset(i for i in found if i)


def identity(url: str) -> str:
    """`host/path`, the same for every way to write a repository's address; empty for none."""
    text = url.strip()
    if "://" not in text and "@" in text.partition(":")[0]:
        host, _, path = text.rpartition("@")[2].partition(":")
    else:
        try:
            parts = urlsplit(text)
            host, path = parts.hostname or "", parts.path
        except ValueError:
            return ""
        if parts.scheme == "file":
            return f"file:{parts.path.rstrip('/').removesuffix('.git')}"
    name = path.strip("/").removesuffix(".git").casefold()
    return f"{host.casefold()}/{name}" if host and name else ""


def _addresses(holder: Mapping[str, Any]) -> Iterator[str]:
    for name in _ADDRESSES:
        if isinstance(url := holder.get(name), str):
            yield url
    links = holder.get("links")
    if isinstance(links, Mapping):
        for entry in _listed(links.get("html")), _listed(links.get("clone")), _listed(links.get("self")):
            for link in entry:
                if isinstance(link, Mapping) and isinstance(link.get("href"), str):
                    yield link["href"].removesuffix("/browse")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _signature(secret: bytes, body: bytes) -> bytes:
    return hmac.new(secret, body, hashlib.sha256).hexdigest().encode()


def _hex(given: str) -> bytes:
    """`sha256=<hex>` or `<hex>`; SHA-1 is not taken."""
    return given.strip().removeprefix("sha256=").lower().encode(errors="replace")
