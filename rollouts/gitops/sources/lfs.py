"""Files that Git LFS keeps beside a repository: what a pointer says, and its content by the batch API.

Decides what is asked of which address (git-lfs: docs/api/batch.md), that content is what its pointer says, and what
is kept on disk. Credentials are shown to the repository's own origin only. Which files are pointers, and whether
they may be fetched, is `commit`'s and the spec's.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rollouts.api.application_status import ApplicationReason
from rollouts.gitops.resources.render import MAX_TOTAL_BYTES
from rollouts.gitops.sources.credentials import Credentials
from rollouts.gitops.sources.git import SourceError, origin, shown
from rollouts.gitops.sources.web import Web

__all__ = ["Pointer", "Storage", "pointer"]

_REASON = ApplicationReason.GIT_OPERATION_FAILED
_TYPE = "application/vnd.git-lfs+json"
_POINTER_BYTES = 1024
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n"
    rb"(?:ext-[^\n]*\n)*oid sha256:(?P<oid>[0-9a-f]{64})\nsize (?P<size>\d{1,15})\n?"
)
_ANSWER_BYTES = 4 * 1024 * 1024
_BATCH = 100
_AT_ONCE = 4
_KEPT_BYTES = 256 * 1024 * 1024
_SHOWN = 200


@dataclass(frozen=True, slots=True, order=True)
class Pointer:
    """What stands in Git for a file: the SHA-256 of its content, and how long that is."""

    oid: str
    size: int


def pointer(content: bytes) -> Pointer | None:
    """What a file points to; None for one that is its content itself."""
    if len(content) > _POINTER_BYTES:
        return None
    # An extension has changed the content before it was stored, and nobody here can change it back.
    found = _POINTER.fullmatch(content)
    return Pointer(found["oid"].decode(), int(found["size"])) if found and b"\next-" not in content else None


@dataclass(frozen=True, slots=True)
class _Download:
    pointer: Pointer
    url: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Storage:
    """Fetches content, and keeps it on disk by its SHA-256, least recently used first out."""

    directory: Path
    web: Web = field(default_factory=lambda: Web(_REASON))

    def kept(self, url: str, pointers: Sequence[Pointer]) -> dict[Pointer, bytes]:
        """What is on disk of a repository's files, and still is what it was."""
        found = {}
        for one in pointers:
            place = self._place(url, one)
            with contextlib.suppress(OSError):
                content = place.read_bytes()
                if _is(one, content):
                    found[one] = content
                    os.utime(place)
        return found

    async def fetched(
        self, url: str, pointers: Sequence[Pointer], credentials: Credentials | None
    ) -> dict[Pointer, bytes]:
        """The content of each pointer. Raises `SourceError`."""
        total = sum(one.size for one in pointers)
        if total > MAX_TOTAL_BYTES:
            raise _failed(
                url,
                f"files of Git LFS with {total} bytes are asked for; the limit is {MAX_TOTAL_BYTES}",
                definite=True,
            )
        slots, found = asyncio.Semaphore(_AT_ONCE), {}

        async def download(one: _Download) -> None:
            async with slots:
                found[one.pointer] = await self._downloaded(url, one, credentials)

        for start in range(0, len(pointers), _BATCH):
            batch = await self._batch(url, pointers[start : start + _BATCH], credentials)
            try:
                async with asyncio.TaskGroup() as group:
                    for one in batch:
                        group.create_task(download(one))
            except* SourceError as errors:
                raise errors.exceptions[0] from None
        await asyncio.to_thread(self._keep, url, found)
        return found

    async def _batch(
        self, url: str, pointers: Sequence[Pointer], credentials: Credentials | None
    ) -> list[_Download]:
        """Where each of them is."""
        address = f"{_endpoint(url)}/objects/batch"
        objects = [{"oid": one.oid, "size": one.size} for one in pointers]
        body = {"operation": "download", "transfers": ["basic"], "objects": objects, "hash_algo": "sha256"}
        headers = {"Accept": _TYPE, "Content-Type": _TYPE, **_authorization(credentials)}
        answer = await self.web.ask(
            "POST",
            address,
            limit=_ANSWER_BYTES,
            headers=headers,
            credentials=credentials,
            body=json.dumps(body).encode(),
        )
        if answer.status in (401, 403):
            message = f"{shown(url)} refuses its files of Git LFS (HTTP {answer.status}); check the Secret of secretRef"
            raise SourceError(ApplicationReason.AUTHENTICATION_FAILED, message, definite=True)
        if answer.status != 200:
            what = "speaks no Git LFS" if answer.status == 404 else "cannot be asked for its files of Git LFS"
            raise _failed(url, f"{what} (HTTP {answer.status})", definite=answer.status == 404)
        told = _objects(answer.content)
        return [_download(url, one, told.get(one.oid) or {}, credentials) for one in pointers]

    async def _downloaded(self, url: str, one: _Download, credentials: Credentials | None) -> bytes:
        tls = credentials if origin(one.url) == origin(url) else _trust(credentials)
        answer = await self.web.ask(
            "GET", one.url, limit=one.pointer.size, headers=one.headers, credentials=tls
        )
        if answer.status != 200:
            raise _failed(one.url, f"answers {answer.status} for the file {one.pointer.oid} of Git LFS")
        if not _is(one.pointer, answer.content):
            raise _failed(one.url, f"is not the file {one.pointer.oid} of Git LFS: its SHA-256 differs")
        return answer.content

    def _keep(self, url: str, found: Mapping[Pointer, bytes]) -> None:
        """A full disk only costs the next fetch."""
        with contextlib.suppress(OSError):
            for one, content in found.items():
                place = self._place(url, one)
                place.parent.mkdir(parents=True, exist_ok=True)
                with tempfile.NamedTemporaryFile(dir=self.directory, delete=False) as file:
                    file.write(content)
                Path(file.name).replace(place)
            self._trim()

    def _trim(self) -> None:
        files = [(f.stat(), f) for f in self.directory.rglob("*") if f.is_file()]
        total = sum(stat.st_size for stat, _ in files)
        for stat, file in sorted(files, key=lambda f: f[0].st_mtime):
            if total <= _KEPT_BYTES:
                return
            file.unlink(missing_ok=True)
            total -= stat.st_size

    def _place(self, url: str, one: Pointer) -> Path:
        """By repository: who knows a digest from elsewhere finds nothing with it."""
        return self.directory / hashlib.sha256(url.encode()).hexdigest()[:32] / one.oid


def _endpoint(url: str) -> str:
    """git-lfs: docs/api/server-discovery.md. What .lfsconfig says is not read."""
    if urlsplit(url).scheme not in ("https", "http"):
        raise _failed(
            url, "is no https or http address, and Git LFS is spoken with these only", definite=True
        )
    base = url.rstrip("/")
    return f"{base}/info/lfs" if base.endswith(".git") else f"{base}.git/info/lfs"


def _objects(content: bytes) -> dict[str, Mapping[str, Any]]:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    listed = answer.get("objects") if isinstance(answer, Mapping) else None
    return (
        {str(o.get("oid")): o for o in listed or () if isinstance(o, Mapping)}
        if isinstance(listed, list)
        else {}
    )


def _download(url: str, one: Pointer, told: Mapping[str, Any], credentials: Credentials | None) -> _Download:
    error = told.get("error")
    if isinstance(error, Mapping):
        said = " ".join(str(error.get("message") or "").split())[:_SHOWN]
        raise _failed(url, f"has no file {one.oid} of Git LFS: {said or 'no reason given'}", definite=True)
    actions = told.get("actions")
    action = actions.get("download") if isinstance(actions, Mapping) else None
    href = str(action.get("href") or "") if isinstance(action, Mapping) else ""
    schemes = ("https",) if url.startswith("https:") else ("https", "http")
    if not isinstance(action, Mapping) or urlsplit(href).scheme not in schemes:
        raise _failed(url, f"does not say where the file {one.oid} of Git LFS is")
    given = action.get("header")
    headers = {str(k): str(v) for k, v in given.items()} if isinstance(given, Mapping) else {}
    if origin(href) == origin(url) and not any(k.lower() == "authorization" for k in headers):
        headers |= _authorization(credentials)
    return _Download(one, href, headers)


def _authorization(credentials: Credentials | None) -> dict[str, str]:
    if credentials and credentials.password:
        login = f"{credentials.username}:{credentials.password}"
        return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
    return {"Authorization": f"Bearer {credentials.bearer}"} if credentials and credentials.bearer else {}


def _trust(credentials: Credentials | None) -> Credentials | None:
    """Whom we trust, without who we are."""
    return Credentials(authority=credentials.authority) if credentials else None


def _is(one: Pointer, content: bytes) -> bool:
    return len(content) == one.size and hashlib.sha256(content).hexdigest() == one.oid


def _failed(url: str, problem: str, *, definite: bool = False) -> SourceError:
    return SourceError(_REASON, f"{shown(url).partition('?')[0]} {problem}", definite=definite)
