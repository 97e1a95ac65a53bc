"""A Git server over smart HTTP: `git http-backend` behind a small web server with basic authentication.

Run as `python -m rollouts.sandbox.git_server`; `services.git` says with what. Whoever signs in may read and
push every repository below the root. Git decides everything else, as it does behind a real web server.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hmac
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedReader
from typing import IO, Protocol
from urllib.parse import unquote, urlsplit

from rollouts.sandbox.services import GIT_CREDENTIALS

BLOCK = 64 * 1024
IDLE_SECONDS = 60.0
# A chunk's size is a short hexadecimal number; anything longer is not a chunk.
LONGEST_CHUNK_LINE = 128


class Readable(Protocol):
    """What a request's body and a program's output have in common."""

    def read(self, size: int, /) -> bytes: ...

    def readline(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Settings:
    """What the server serves, and to whom."""

    root: str
    username: str
    password: str


class Server(ThreadingHTTPServer):
    """One thread a connection; ends without waiting for them."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], settings: Settings, tls: ssl.SSLContext | None) -> None:
        self.settings = settings
        super().__init__(address, Handler)
        if tls is not None:
            # The handshake belongs into the connection's thread: one silent client must not block the others.
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)


class Handler(BaseHTTPRequestHandler):
    """One request: sign in, hand it to Git, hand Git's answer back."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    server: Server

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        # A refused or failed request may leave a part of its body unread: the connection ends with it.
        self.close_connection = True
        if not is_authorized(self.headers.get("Authorization", ""), self.server.settings):
            self._refuse()
            return
        with subprocess.Popen(
            ["git", "http-backend"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | self._cgi_variables(),
        ) as git:
            assert git.stdin is not None
            assert isinstance(git.stdout, BufferedReader)
            # Git may answer while it still reads, so both directions must flow at once.
            feeder = threading.Thread(target=self._feed, args=(git.stdin,), daemon=True)
            feeder.start()
            self._answer(git.stdout)
            feeder.join(IDLE_SECONDS)

    def _refuse(self) -> None:
        body = b"Sign in with the sandbox's Git user name and password.\n"
        self.send_response(HTTPStatus.UNAUTHORIZED)
        self.send_header("WWW-Authenticate", 'Basic realm="rollouts sandbox"')
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _cgi_variables(self) -> dict[str, str]:
        url = urlsplit(self.path)
        return cgi_variables(
            method=self.command,
            path=unquote(url.path),
            query=url.query,
            headers=self._lowered_headers(),
            settings=self.server.settings,
        )

    def _lowered_headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def _feed(self, stdin: IO[bytes]) -> None:
        try:
            with stdin:
                stdin.writelines(body_blocks(self.rfile, self._lowered_headers()))
        except (BrokenPipeError, ConnectionError, TimeoutError, ValueError):
            # Git has heard enough, the client left, or sent no valid chunk: Git's answer says the rest.
            return

    def _answer(self, stdout: BufferedReader) -> None:
        headers = dict(cgi_headers(stdout))
        status = headers.pop("Status", "200 OK")
        self.send_response(int(status.split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        # Git's answer has no length. Ending the connection instead would look like a cut-off one by https.
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        while block := stdout.read1(BLOCK):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block))
        self.wfile.write(b"0\r\n\r\n")


def is_authorized(header: str, settings: Settings) -> bool:
    """Whether a basic Authorization header carries the server's credentials."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        given = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return False
    return hmac.compare_digest(given, f"{settings.username}:{settings.password}".encode())


def cgi_variables(
    *, method: str, path: str, query: str, headers: Mapping[str, str], settings: Settings
) -> dict[str, str]:
    """The request as `git http-backend` reads it from its environment."""
    variables = {
        "GIT_PROJECT_ROOT": settings.root,
        "GIT_HTTP_EXPORT_ALL": "1",
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REMOTE_USER": settings.username,
        "CONTENT_TYPE": headers.get("content-type", ""),
        "HTTP_CONTENT_ENCODING": headers.get("content-encoding", ""),
        "GIT_PROTOCOL": headers.get("git-protocol", ""),
    }
    # Without a length Git reads to the end: that is how a chunked request reaches it.
    if "content-length" in headers and not _is_chunked(headers):
        variables["CONTENT_LENGTH"] = headers["content-length"]
    return variables


def body_blocks(stream: Readable, headers: Mapping[str, str]) -> Iterator[bytes]:
    """The body of a request, whether it comes with a length or in chunks."""
    if not _is_chunked(headers):
        yield from _exactly(stream, int(headers.get("content-length", "0")))
        return
    while size := int(stream.readline(LONGEST_CHUNK_LINE).split(b";")[0], 16):
        yield from _exactly(stream, size)
        stream.readline(LONGEST_CHUNK_LINE)
    while stream.readline(LONGEST_CHUNK_LINE).strip():
        pass  # trailers


def cgi_headers(stream: Readable) -> Iterator[tuple[str, str]]:
    """The header lines of a CGI answer, up to the empty one."""
    while line := stream.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        yield name, value.strip()


def _is_chunked(headers: Mapping[str, str]) -> bool:
    return headers.get("transfer-encoding", "").lower() == "chunked"


def _exactly(stream: Readable, size: int) -> Iterator[bytes]:
    left = size
    while left > 0:
        block = stream.read(min(left, BLOCK))
        if not block:
            raise ConnectionError("the client left in the middle of its request")
        left -= len(block)
        yield block


def main(argv: list[str] | None = None) -> None:
    """Serve until a signal ends the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", required=True)
    parser.add_argument("--listen", required=True, help="address:port")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    flags = parser.parse_args(argv)
    username, password = (os.environ.pop(name) for name in GIT_CREDENTIALS)
    host, _, port = flags.listen.rpartition(":")
    tls = None
    if flags.certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(flags.certificate, flags.key)
    Server((host, int(port)), Settings(flags.root, username, password), tls).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
