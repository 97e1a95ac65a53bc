"""The git program, run without a shell, without hooks, without prompts, and without waiting for ever.

Decides how git is started and what its failure means; `source` decides what to run. Credentials travel in
the environment of the one process that needs them and are offered to the repository's own host only; they
never stand on a command line or in an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from rollouts.api.application_status import ApplicationReason
from rollouts.errors import RolloutsError
from rollouts.gitops.sources.credentials import Credentials, ssh_files

MAX_OUTPUT_BYTES = 16 * 1024 * 1024
PROTOCOLS = ("https", "http", "ssh", "file")

_USERNAME, _PASSWORD = "ROLLOUTS_GIT_USERNAME", "ROLLOUTS_GIT_PASSWORD"
_HELPER = (
    f'!f() {{ test "$1" = get && printf "username=%s\\npassword=%s\\n" "${_USERNAME}" "${_PASSWORD}"; }}; f'
)
_PASSED_ON = ("PATH", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_SETTINGS = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    # A pack is there as a whole or not at all; of one that is unpacked a cut line leaves commits without files.
    "fetch.unpackLimit": "1",
    "gc.auto": "0",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "20",
    "maintenance.auto": "false",
    "protocol.version": "2",
}
_DENIED = re.compile(
    r"Authentication failed|could not read (?:Username|Password)|returned error: 40[13]|HTTP Basic: Access denied"
    r"|Permission denied \(|Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED",
    re.IGNORECASE,
)
_ABSENT = re.compile(
    r"repository '[^']*' not found|returned error: 404|does not appear to be a git repository", re.IGNORECASE
)
_TELLING = ("fatal:", "error:", "remote:")
_TOOK = re.compile(r" after \d+ ms")
"""Other words for the same trouble, which would be told again and again."""
_USER_INFO = re.compile(r"//[^/@\s]*@")


class SourceError(RolloutsError):
    """Git does not give us what the Application asks for. `definite`: trying again alone will not help.

    `retry_after` is in seconds, None when the host did not say.
    """

    def __init__(
        self, reason: ApplicationReason, message: str, *, definite: bool, retry_after: float | None = None
    ) -> None:
        self.reason = reason
        self.definite = definite
        self.retry_after = retry_after
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Git:
    """How git is run: in which home (empty, ours) and for how long at most."""

    home: Path
    seconds: float = 120.0

    async def run(
        self,
        arguments: Sequence[str],
        *,
        url: str = "",
        credentials: Credentials | None = None,
        seconds: float | None = None,
        stdin: bytes | None = None,
    ) -> str:
        """Output of one command. Raises `SourceError`."""
        limit = seconds or self.seconds
        pipe = asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE
        async with self.process(arguments, url=url, credentials=credentials, stdin=pipe) as process:
            try:
                async with asyncio.timeout(limit):
                    out, err, _ = await asyncio.gather(
                        _bounded(process.stdout), _bounded(process.stderr), _fed(process.stdin, stdin)
                    )
                    code = await process.wait()
            except TimeoutError:
                raise SourceError(
                    ApplicationReason.GIT_OPERATION_FAILED,
                    f"git {_verb(arguments)} of {shown(url)} took longer than {limit:g} s",
                    definite=False,
                ) from None
        if code != 0:
            raise failure(_verb(arguments), url, err.decode(errors="replace"), credentials)
        return out.decode(errors="replace")

    @contextlib.asynccontextmanager
    async def process(
        self,
        arguments: Sequence[str],
        *,
        url: str = "",
        credentials: Credentials | None = None,
        stdin: int = asyncio.subprocess.DEVNULL,
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """git as a child in a process group of its own, which is gone when the block is left."""
        with ssh_files(credentials) as (settings, variables):
            process = await asyncio.create_subprocess_exec(
                "git",
                *arguments,
                stdin=stdin,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**self._environment(url, credentials, settings), **variables},
                start_new_session=True,
            )
            try:
                yield process
            finally:
                await _end(process)

    def _environment(
        self, url: str, credentials: Credentials | None, files: Mapping[str, str]
    ) -> dict[str, str]:
        environment = {k: os.environ[k] for k in _PASSED_ON if k in os.environ}
        settings = dict(_SETTINGS)
        if credentials and credentials.password:
            # Scoped to the host of the repository: a redirect to another one gets nothing.
            settings[f"credential.{origin(url)}.helper"] = _HELPER
            environment |= {_USERNAME: credentials.username, _PASSWORD: credentials.password}
        if credentials and credentials.bearer and not credentials.password:
            settings[f"http.{origin(url)}/.extraHeader"] = f"Authorization: Bearer {credentials.bearer}"
            # git sends this header to wherever it is sent on to.
            settings["http.followRedirects"] = "false"
        if bundle := os.environ.get("SSL_CERT_FILE"):
            settings["http.sslCAInfo"] = bundle
        settings |= files
        for i, (name, value) in enumerate(settings.items()):
            environment |= {f"GIT_CONFIG_KEY_{i}": name, f"GIT_CONFIG_VALUE_{i}": value}
        return environment | {
            "GIT_ALLOW_PROTOCOL": ":".join(PROTOCOLS),
            "GIT_ASKPASS": "true",
            "GIT_CONFIG_COUNT": str(len(settings)),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "HOME": str(self.home),
            "LC_ALL": "C",
        }


def origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def shown(url: str) -> str:
    """A URL fit for an error."""
    return _USER_INFO.sub("//", url)


def failure(verb: str, url: str, stderr: str, credentials: Credentials | None) -> SourceError:
    """What git's complaint means for us."""
    told = _told(stderr, credentials)
    if _DENIED.search(stderr):
        remedy = "check the Secret of spec.secretRef" if credentials else "name a Secret in spec.secretRef"
        if verb == "push":
            remedy = "name a Secret in spec.rollback.secretRef that may push"
        message = f"{shown(url)} refuses access ({told}); {remedy}"
        return SourceError(ApplicationReason.AUTHENTICATION_FAILED, message, definite=True)
    if _ABSENT.search(stderr):
        message = f"{shown(url)} is not there, or these credentials may not see it ({told})"
        return SourceError(ApplicationReason.GIT_OPERATION_FAILED, message, definite=True)
    message = f"git {verb} of {shown(url)} failed: {told}"
    return SourceError(ApplicationReason.GIT_OPERATION_FAILED, message, definite=False)


def _told(stderr: str, credentials: Credentials | None) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(_TELLING) or "Permission denied (" in line] or lines
    text = _TOOK.sub("", _USER_INFO.sub("//", " ".join(telling[:3])))[:400]
    known = (credentials.password, credentials.bearer, credentials.username) if credentials else ()
    for secret in known:
        text = text.replace(secret, "…") if len(secret) > 3 else text
    if "Host key verification failed" in stderr:
        return "its host key is not the one in known_hosts"
    return text or "git gave no reason"


def _verb(arguments: Sequence[str]) -> str:
    return next(
        (a for a in arguments if a in ("fetch", "ls-remote", "init", "update-ref", "fast-import", "push")),
        "command",
    )


async def _bounded(stream: asyncio.StreamReader | None) -> bytes:
    assert stream is not None
    read = bytearray()
    while chunk := await stream.read(65536):
        read += chunk
        if len(read) > MAX_OUTPUT_BYTES:
            raise SourceError(
                ApplicationReason.GIT_OPERATION_FAILED,
                f"git answered with more than {MAX_OUTPUT_BYTES} bytes",
                definite=False,
            )
    return bytes(read)


async def _fed(stream: asyncio.StreamWriter | None, text: bytes | None) -> None:
    if stream is None or text is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        stream.write(text)
        await stream.drain()
    stream.close()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Helpers of git (git-remote-https) outlive git when it alone is killed; the group does not."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
