"""A host of Git LFS in this process: the batch API and its downloads as documented; all else is asked of a Git server."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests import http_host

USERNAME, PASSWORD = "git", "s3cr3t-w0rd"
_BATCH = ".git/info/lfs/objects/batch"
_PASSED_ON = ("Authorization", "Content-Type", "Content-Encoding", "Accept", "Git-Protocol")
_TYPE = {"Content-Type": "application/vnd.git-lfs+json"}


@dataclass(slots=True)
class LfsHost:
    """`broken` is answered to every batch; `told` is added to what is said of every object."""

    upstream: str = ""
    url: str = ""
    username: str = USERNAME
    password: str = PASSWORD
    elsewhere: str = ""
    """Downloads are at this address."""
    contents: dict[str, bytes] = field(default_factory=dict)
    broken: tuple[int, bytes] | None = None
    told: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    batches: list[str] = field(default_factory=list)
    """The repository of every batch."""
    shown: list[str] = field(default_factory=list)
    """The Authorization of every download."""

    def keep(self, content: bytes) -> str:
        """Keep a file; its pointer."""
        oid = hashlib.sha256(content).hexdigest()
        self.contents[oid] = content
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n"

    def batch(self, authorization: str, body: bytes) -> tuple[int, bytes]:
        self.asked.append("batch")
        if self.broken:
            return self.broken
        login = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        if authorization != f"Basic {login}":
            return 401, b'{"message": "Credentials needed"}'
        asked = json.loads(body)
        assert (asked["operation"], asked["transfers"], asked["hash_algo"]) == (
            "download",
            ["basic"],
            "sha256",
        )
        objects = [{**self._object(o["oid"], o["size"]), **self.told} for o in asked["objects"]]
        return 200, json.dumps({"transfer": "basic", "objects": objects, "hash_algo": "sha256"}).encode()

    def _object(self, oid: str, size: int) -> dict[str, Any]:
        if oid not in self.contents:
            return {"oid": oid, "size": size, "error": {"code": 404, "message": "Object does not exist"}}
        href = f"{self.elsewhere or self.url}/objects/{oid}"
        return {"oid": oid, "size": size, "actions": {"download": {"href": href}}}

    def download(self, oid: str, authorization: str) -> tuple[int, bytes]:
        self.asked.append(oid)
        self.shown.append(authorization)
        return (200, self.contents[oid]) if oid in self.contents else (404, b"")

    def passed_on(self, request: urllib.request.Request) -> tuple[int, bytes, Mapping[str, str]]:
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as e:
            return e.code, e.read(), e.headers


@contextlib.contextmanager
def serving(upstream: str = "") -> Iterator[LfsHost]:
    """A host that answers until the block is left."""
    served = LfsHost(upstream)

    class Handler(http_host.Handler):
        def do_GET(self) -> None:  # noqa: N802 - a name of the standard library
            if self.path.startswith("/objects/"):
                oid = self.path.removeprefix("/objects/")
                self.say(*served.download(oid, self.headers["Authorization"] or ""), _TYPE)
            else:
                self._pass_on(None)

        def do_POST(self) -> None:  # noqa: N802 - a name of the standard library
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            if self.path.endswith(_BATCH):
                served.batches.append(self.path.removesuffix("/info/lfs/objects/batch"))
                self.say(*served.batch(self.headers["Authorization"] or "", body), _TYPE)
            else:
                self._pass_on(body)

        def _pass_on(self, body: bytes | None) -> None:
            headers = {name: self.headers[name] for name in _PASSED_ON if self.headers[name]}
            url = f"{served.upstream}{self.path}"
            status, content, said = served.passed_on(urllib.request.Request(url, body, headers))
            names = ("Content-Type", "WWW-Authenticate")
            self.say(status, content, {name: said[name] for name in names if said[name]})

    with http_host.running(http_host.listening(Handler)) as served.url:
        yield served
