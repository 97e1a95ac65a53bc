"""Git servers over HTTP in this process: plain, with TLS and client certificates, and behind a bad line."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rollouts.sandbox import pki
from rollouts.sandbox.git_server import Server, Settings
from rollouts.sandbox.pki import Pki

_IDENTITY = {
    f"GIT_{who}_{what}": "a@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}


@dataclass(frozen=True, slots=True)
class Host:
    """A Git server and the directory of its repositories."""

    url: str
    root: Path

    def repository(self, name: str, **files: str) -> str:
        """Commit files to a repository's main branch; made if it is not there. The commit."""
        directory = self.root / f"{name}.git"
        if not directory.exists():
            git(self.root, "init", "--quiet", "--initial-branch=main", str(directory))
            git(directory, "config", "uploadpack.allowAnySHA1InWant", "true")
            git(directory, "config", "receive.denyCurrentBranch", "ignore")
        for path, text in files.items():
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).write_text(text)
        return self.commit(name, *files)

    def commit(self, name: str, *files: str) -> str:
        directory = self.root / f"{name}.git"
        if files:
            git(directory, "add", "--", *files)
        git(directory, "commit", "--quiet", "--allow-empty", "--message=x")
        return git(directory, "rev-parse", "HEAD")

    def link(self, name: str, path: str, url: str, commit: str) -> str:
        """Add a submodule without fetching it. The commit."""
        directory = self.root / f"{name}.git"
        text = f'[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n'
        with (directory / ".gitmodules").open("a") as file:
            file.write(text)
        git(directory, "add", ".gitmodules")
        git(directory, "update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
        return self.commit(name)


def git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(directory), *arguments],
        env={**os.environ, **_IDENTITY, "GIT_CONFIG_GLOBAL": os.devnull},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@contextlib.contextmanager
def serving(root: Path, username: str, password: str, tls: ssl.SSLContext | None = None) -> Iterator[Host]:
    """A server of the repositories below `root`, until the block is left."""
    root.mkdir(exist_ok=True)
    server = Server(("127.0.0.1", 0), Settings(str(root), username, password), tls)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    scheme = "https" if tls else "http"
    try:
        yield Host(f"{scheme}://127.0.0.1:{server.server_address[1]}", root)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def certificates(directory: Path) -> tuple[Pki, ssl.SSLContext]:
    """An authority with certificates, and the TLS of a server that lets in only whom it has signed."""
    made = pki.ensure(directory)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(made.authority))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(made.certificate("server"), made.key("server"))
    return made, context


@dataclass(slots=True)
class Line:
    """A line to a server. `cut_after`: ends with so many bytes of an answer; `stalls`: says no more then."""

    url: str = ""
    cut_after: int | None = None
    stalls: bool = False
    connections: list[asyncio.StreamWriter] = field(default_factory=list)


@contextlib.asynccontextmanager
async def line_to(host: Host) -> AsyncIterator[Line]:
    """A line to a host's server, as bad as a test makes it."""
    line = Line()
    port = int(host.url.rpartition(":")[2])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        line.connections += [writer, back]
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await asyncio.gather(_pass(reader, back, None), _pass(there, writer, line))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    line.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield line
    finally:
        for connection in line.connections:
            connection.close()
        server.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: Line | None) -> None:
    passed = 0
    while chunk := await reader.read(4096):
        passed += len(chunk)
        if line and line.cut_after is not None and passed > line.cut_after:
            if not line.stalls:
                writer.transport.abort()
            return
        writer.write(chunk)
        await writer.drain()
    if line:
        writer.close()
