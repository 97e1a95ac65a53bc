"""A small OCI registry and Helm repository on this machine, as the distribution and Helm documents describe them."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests import http_host

OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
FLUX_LAYER = "application/vnd.cncf.flux.content.v1.tar+gzip"
HELM_LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_PAGE = 2
"""Tags a page: whoever does not follow the link misses some."""


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def archive(files: Mapping[str, str | bytes], *, links: Mapping[str, str] | None = None) -> bytes:
    """A .tar.gz, the same for the same files."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name, text in files.items():
            content = text.encode() if isinstance(text, str) else text
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return gzip.compress(plain.getvalue(), mtime=0)


def chart(version: str, *, name: str = "web", **values: str) -> bytes:
    """A chart whose one ConfigMap holds its values."""
    declared = "".join(f"  {k}: {{{{ .Values.{k} | quote }}}}\n" for k in values)
    template = (
        f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{{{ .Release.Name }}}}\ndata:\n{declared}"
    )
    return archive(
        {
            f"{name}/Chart.yaml": f"apiVersion: v2\nname: {name}\nversion: {version}\n",
            f"{name}/values.yaml": json.dumps(values),
            f"{name}/templates/config.yaml": template,
        }
    )


@dataclass(slots=True)
class Registry:
    """What is stored, who may read it, and what was asked."""

    address: str = ""
    login: tuple[str, str] | None = None
    blobs: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    """Below the root: a Helm repository's index and archives."""
    asked: list[str] = field(default_factory=list)
    lies: bool = False
    """Answers with something else than what was asked for."""

    @property
    def http(self) -> str:
        return f"http://{self.address}"

    def push(self, name: str, tag: str, layer: bytes, media_type: str = OCI_LAYER) -> str:
        """The digest of the manifest."""
        self.blobs[sha256(layer)] = layer
        layers = [{"mediaType": media_type, "digest": sha256(layer), "size": len(layer)}]
        manifest = json.dumps({"schemaVersion": 2, "mediaType": _MANIFEST, "layers": layers}).encode()
        self.blobs[sha256(manifest)] = manifest
        self.tags.setdefault(name, {})[tag] = sha256(manifest)
        return sha256(manifest)

    def publish(self, *charts: tuple[str, bytes], name: str = "web", digests: bool = True) -> None:
        """The index.yaml of a Helm repository, and its archives."""
        entries = []
        for version, content in charts:
            self.files[f"{name}-{version}.tgz"] = content
            digest = {"digest": sha256(content).removeprefix("sha256:")} if digests else {}
            entries.append({"name": name, "version": version, "urls": [f"{name}-{version}.tgz"], **digest})
        self.files["index.yaml"] = json.dumps({"apiVersion": "v1", "entries": {name: entries}}).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def log_message(self, *_: Any) -> None:
        """Tests read what failed."""

    def _answer(self, *, with_body: bool) -> None:
        status, headers, body = self._found()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def _found(self) -> tuple[int, dict[str, str], bytes]:
        registry, url = self.server.registry, urlsplit(self.path)
        registry.asked.append(f"{self.command} {url.path}")
        if url.path == "/token":
            return self._token()
        if not url.path.startswith("/v2/"):
            return self._file(url.path.lstrip("/"))
        if registry.login and self.headers.get("Authorization") != "Bearer good":
            challenge = f'Bearer realm="{registry.http}/token",service="test",scope="repository:x:pull"'
            return 401, {"WWW-Authenticate": challenge}, b"{}"
        if found := re.fullmatch(r"/v2/(.+)/tags/list", url.path):
            return self._tags(found[1], parse_qs(url.query))
        found = re.fullmatch(r"/v2/(.+)/(?:manifests|blobs)/(.+)", url.path)
        return self._content(found[1], found[2]) if found else (404, {}, b"{}")

    def _content(self, name: str, reference: str) -> tuple[int, dict[str, str], bytes]:
        registry = self.server.registry
        digest = registry.tags.get(name, {}).get(reference, reference)
        content = registry.blobs.get(digest)
        if content is None:
            return 404, {}, b"{}"
        if registry.lies and self.command == "GET":
            content += b" "
        return 200, {"Docker-Content-Digest": digest, "Content-Type": _MANIFEST}, content

    def _tags(self, name: str, query: Mapping[str, list[str]]) -> tuple[int, dict[str, str], bytes]:
        names = sorted(self.server.registry.tags.get(name, {}))
        start = int(query.get("last", ["0"])[0])
        page = names[start : start + _PAGE]
        rest = {"Link": f'</v2/{name}/tags/list?last={start + _PAGE}>; rel="next"'}
        body = json.dumps({"name": name, "tags": page}).encode()
        return 200, rest if start + _PAGE < len(names) else {}, body

    def _token(self) -> tuple[int, dict[str, str], bytes]:
        if not self._is_signed_in():
            return 401, {}, b"{}"
        return 200, {}, json.dumps({"token": "good", "expires_in": 300}).encode()

    def _file(self, name: str) -> tuple[int, dict[str, str], bytes]:
        if not self._is_signed_in():
            return 401, {"WWW-Authenticate": 'Basic realm="charts"'}, b""
        content = self.server.registry.files.get(name)
        if content is None:
            return 404, {}, b""
        etag = sha256(content)
        if self.headers.get("If-None-Match") == etag:
            return 304, {"ETag": etag}, b""
        return 200, {"ETag": etag}, content

    def _is_signed_in(self) -> bool:
        login = self.server.registry.login
        given = base64.b64encode(":".join(login).encode()).decode() if login else ""
        return login is None or self.headers.get("Authorization") == f"Basic {given}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        super().__init__(("127.0.0.1", 0), _Handler)


@contextlib.contextmanager
def serving() -> Iterator[Registry]:
    """A registry until the block is left."""
    registry = Registry()
    server = _Server(registry)
    registry.address = f"127.0.0.1:{server.server_port}"
    with http_host.running(server):
        yield registry
