"""A small real HTTP server that answers as a test says."""

from __future__ import annotations

import contextlib
import json
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from tests import http_host

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Server:
    """Where it listens and what it was asked."""

    url: str
    paths: list[str] = field(default_factory=list)
    queries: list[dict[str, list[str]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@contextlib.contextmanager
def serve(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """The server, until the end of the block; an answer that hangs does not hold it up."""

    class Handler(http_host.Handler):
        def do_GET(self) -> None:  # noqa: N802 - a name of the standard library
            parts = urlsplit(self.path)
            server.paths.append(parts.path)
            server.queries.append(parse_qs(parts.query))
            server.headers.append({key.lower(): value for key, value in self.headers.items()})
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                answer(self)

        do_POST = do_PUT = do_GET  # noqa: N815 - names of the standard library

    listening = http_host.listening(Handler)
    server = Server(f"{'https' if tls else 'http'}://127.0.0.1:{listening.server_port}")
    if tls:
        listening.socket = tls.wrap_socket(listening.socket, server_side=True)
    with http_host.running(listening):
        yield server


def body(content: bytes, status: int = 200, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    return answer


def document(content: object, status: int = 200) -> Answer:
    return body(json.dumps(content).encode(), status, Content_Type="application/json")


def success(kind: str, result: object, **more: object) -> Answer:
    return document({"status": "success", "data": {"resultType": kind, "result": result}, **more})


def vector(*samples: str) -> Answer:
    return success("vector", [{"metric": {}, "value": [1, sample]} for sample in samples])
