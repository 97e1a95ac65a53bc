"""Programs that work on what strangers wrote (kustomize, helm, sops, gpg), run so that they can do no harm.

Decides how a program is confined: no network, bounded time, memory, files and output, an empty home, no
inherited environment, no other program to call. Where the kernel grants a network namespace the program
has no network at all; elsewhere it is given a proxy that nobody answers at and finds no git to run.
Decides nothing about arguments; `kustomize`, `helm`, `sops` and `signatures` do.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rollouts.errors import RolloutsError

__all__ = ["Confined", "Limits", "ProgramFailed", "ProgramMissing"]

_NAMESPACES = ("--user", "--map-current-user", "--net")
_NOBODY = "http://127.0.0.1:9"
_PROBE_SECONDS = 10.0
_ERROR_BYTES = 64 * 1024
_ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "none",
    "GOMAXPROCS": "2",
    "HTTPS_PROXY": _NOBODY,
    "HTTP_PROXY": _NOBODY,
    "LC_ALL": "C.UTF-8",
    "NO_PROXY": "",
    "http_proxy": _NOBODY,
    "https_proxy": _NOBODY,
}


class ProgramFailed(RolloutsError):
    """The program refused its input, or went over a limit; the sentence is its own, shortened."""


class ProgramMissing(RolloutsError):
    """The program is not installed beside the controller."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use."""

    seconds: float = 60.0
    memory_bytes: int = 1024 * 1024 * 1024
    file_bytes: int = 64 * 1024 * 1024
    output_bytes: int = 64 * 1024 * 1024
    open_files: int = 512


@dataclass(slots=True)
class Confined:
    """Runs programs of `directory` (empty: those on PATH), a few at a time."""

    directory: Path | None = None
    limits: Limits = field(default_factory=Limits)
    at_once: int = 2
    _slots: asyncio.Semaphore = field(init=False)
    _has_namespace: bool | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.at_once)

    def program(self, name: str) -> Path:
        """Where a program is. Raises `ProgramMissing`."""
        found = shutil.which(name, path=str(self.directory) if self.directory else None)
        if found is None:
            where = f"in {self.directory.name}/" if self.directory else "on PATH"
            raise ProgramMissing(f"{name} is not {where}; install it beside the controller, see --tools-dir")
        return Path(found).resolve()

    def version(self, name: str) -> str:
        """Changes when the program does. Raises `ProgramMissing`."""
        found = self.program(name)
        status = found.stat()
        return f"{found}@{status.st_size}-{status.st_mtime_ns}"

    async def run(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        directory: Path,
        home: Path,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
    ) -> bytes:
        """Its output. Raises `ProgramFailed`, `ProgramMissing`."""
        argv = [*await self._wrapping(), str(self.program(name)), *arguments]
        variables = {**_ENVIRONMENT, **_homes(home), **(environment or {})}
        async with self._slots, _started(argv, directory, variables) as process:
            try:
                async with asyncio.timeout(self.limits.seconds):
                    return await self._finished(process, name, stdin)
            except TimeoutError:
                raise ProgramFailed(f"{name} took longer than {self.limits.seconds:g} s") from None

    async def _finished(self, process: asyncio.subprocess.Process, name: str, stdin: bytes) -> bytes:
        assert process.stdout is not None
        assert process.stderr is not None
        output, complaint, _ = await asyncio.gather(
            self._output(process.stdout, name), _tail(process.stderr), _feed(process, stdin)
        )
        code = await process.wait()
        if code == 0:
            return output
        raise ProgramFailed(_told(name, code, complaint.decode(errors="replace")))

    async def _output(self, stream: asyncio.StreamReader, name: str) -> bytes:
        read = bytearray()
        while chunk := await stream.read(65536):
            read += chunk
            if len(read) > self.limits.output_bytes:
                raise ProgramFailed(f"{name} wrote more than {self.limits.output_bytes} bytes")
        return bytes(read)

    async def _wrapping(self) -> list[str]:
        """unshare (its own, empty network) and prlimit, as far as this machine has them."""
        if self._has_namespace is None:
            self._has_namespace = await _may_unshare()
        limits = self.limits
        unshared = [_tool("unshare"), *_NAMESPACES, "--"] if self._has_namespace else []
        return [
            *unshared,
            _tool("prlimit"),
            f"--data={limits.memory_bytes}",
            f"--fsize={limits.file_bytes}",
            f"--nofile={limits.open_files}",
            f"--cpu={int(limits.seconds) + 1}",
            "--core=0",
            "--",
        ]


def _homes(home: Path) -> dict[str, str]:
    """Every directory that these programs look into lies in the empty home, and PATH names nothing."""
    return {
        "GNUPGHOME": str(home),
        "HELM_CACHE_HOME": str(home / "helm" / "cache"),
        "HELM_CONFIG_HOME": str(home / "helm" / "config"),
        "HELM_DATA_HOME": str(home / "helm" / "data"),
        "HELM_PLUGINS": str(home / "helm" / "plugins"),
        "HOME": str(home),
        "PATH": str(home / "bin"),
        "TMPDIR": str(home),
        "XDG_CACHE_HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "XDG_DATA_HOME": str(home),
    }


def _tool(name: str) -> str:
    """A program of the system by its path, because PATH inside names nothing."""
    found = shutil.which(name)
    if found is None:
        raise ProgramMissing(f"{name} is not on PATH; it comes with util-linux")
    return found


async def _may_unshare() -> bool:
    if shutil.which("unshare") is None:
        return False
    argv = [_tool("unshare"), *_NAMESPACES, "--", _tool("true")]
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*argv, stdin=quiet, stdout=quiet, stderr=quiet)
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            return await process.wait() == 0
    except TimeoutError:
        await _end(process)
        return False


@contextlib.asynccontextmanager
async def _started(
    argv: Sequence[str], directory: Path, environment: Mapping[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The program in a process group of its own, which is gone when the block is left."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        cwd=directory,
        env=dict(environment),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        await _end(process)


async def _feed(process: asyncio.subprocess.Process, stdin: bytes) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(stdin)
        await process.stdin.drain()
    process.stdin.close()


async def _tail(stream: asyncio.StreamReader) -> bytes:
    """The end of what it complains; a flood is read and dropped."""
    read = b""
    while chunk := await stream.read(65536):
        read = (read + chunk)[-_ERROR_BYTES:]
    return read


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _told(name: str, code: int, complaint: str) -> str:
    if code in (-signal.SIGKILL, -signal.SIGXCPU) or "out of memory" in complaint:
        return f"{name} went over its limits of time or memory"
    if code == -signal.SIGXFSZ:
        return f"{name} wrote a file that is too big"
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    return f"{name}: {' '.join(lines[-6:])[-900:]}" if lines else f"{name} ended with status {code}"
