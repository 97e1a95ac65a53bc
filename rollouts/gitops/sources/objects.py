"""Reading commits, trees and files of a bare repository through one long-lived `git cat-file`.

Decides nothing. One child process serves every Application of a repository, so that looking up the trees
of hundreds of paths costs no process start. No work tree exists, so nothing in a repository can name a
path on this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rollouts.api.application_status import ApplicationReason
from rollouts.gitops.resources.render import Entry
from rollouts.gitops.sources.git import Git, SourceError

_SECONDS = 60.0
_IDLE_SECONDS = 10.0
"""A process that nobody needs for so long ends: there may be a thousand repositories."""
_BATCH = 200
"""Commands in one go; their text must fit the pipe, or both sides would wait for each other."""
MAX_TREES = 2_000
_TREE_MODE = "40000"


@dataclass(frozen=True, slots=True)
class Found:
    """An object: its id, type and size in bytes."""

    id: str
    type: str
    size: int


class ObjectReader:
    """One `git cat-file --batch-command` per repository, started when needed and again after a failure."""

    def __init__(self, git: Git, directory: Path) -> None:
        self._git = git
        self._directory = directory
        self._lock = asyncio.Lock()
        self._running: tuple[contextlib.AsyncExitStack, asyncio.subprocess.Process] | None = None
        self._rest: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None

    async def close(self) -> None:
        if self._rest:
            self._rest.cancel()
            self._rest = None
        if self._running:
            stack, self._running = self._running[0], None
            await stack.aclose()

    async def config(self, name: str) -> str:
        """A file in the form of .gitmodules, as `git config --list -z` tells it."""
        arguments = ["--git-dir", str(self._directory), "config", "--blob", name, "--list", "-z"]
        return await self._git.run(arguments)

    async def look_up(self, names: Sequence[str]) -> list[Found | None]:
        """What each name (`<commit>:<path>`) stands for; None where there is nothing."""
        return [f for f, _ in await self._ask("info", names)]

    async def contents(self, ids: Sequence[str]) -> list[bytes]:
        """The content of each object, all of which exist."""
        answers = await self._ask("contents", ids)
        for name, (found, _) in zip(ids, answers, strict=True):
            if found is None:
                raise _broken(f"object {name} is missing from the mirror")
        return [content for _, content in answers]

    async def entries(self, tree: str, *, recurse: bool) -> list[Entry]:
        """The files of a tree, with their sizes; with `recurse` those of its subtrees, too."""
        files: list[tuple[str, str, str]] = []
        level, seen = [("", tree)], 0
        while level:
            seen += len(level)
            if seen > MAX_TREES:
                raise _broken(f"the path has more than {MAX_TREES} directories")
            listings = await self.contents([id_ for _, id_ in level])
            below: list[tuple[str, str]] = []
            for (prefix, _), listing in zip(level, listings, strict=True):
                for mode, name, id_ in _parsed_tree(listing):
                    if mode == _TREE_MODE:
                        below.append((f"{prefix}{name}/", id_))
                    else:
                        files.append((f"{prefix}{name}", mode, id_))
            level = below if recurse else []
        sizes = await self.look_up([id_ for _, _, id_ in files])
        # A submodule is a commit that is not here: its size is not known, and it is never read.
        return [
            Entry(path, mode, id_, found.size if found else 0)
            for (path, mode, id_), found in zip(files, sizes, strict=True)
        ]

    async def _ask(self, command: str, names: Sequence[str]) -> list[tuple[Found | None, bytes]]:
        async with self._lock:
            try:
                async with asyncio.timeout(_SECONDS):
                    return await self._answers(command, names)
            except (OSError, ValueError, EOFError, TimeoutError) as e:
                await self.close()
                raise _broken(f"git cat-file broke off: {type(e).__name__} {e}") from e
            except asyncio.CancelledError:
                # Answers of this request would be taken for those of the next one.
                await self.close()
                raise
            finally:
                self._rest_later()

    async def _answers(self, command: str, names: Sequence[str]) -> list[tuple[Found | None, bytes]]:
        process = await self._process()
        assert process.stdin is not None
        answers: list[tuple[Found | None, bytes]] = []
        for start in range(0, len(names), _BATCH):
            batch = names[start : start + _BATCH]
            lines = "".join(f"{command} {name}\n" for name in batch)
            process.stdin.write(f"{lines}flush\n".encode())
            has_content = command == "contents"
            answers += [await _answer(process, name, has_content=has_content) for name in batch]
        return answers

    def _rest_later(self) -> None:
        if self._rest:
            self._rest.cancel()
        self._rest = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._end_soon)

    def _end_soon(self) -> None:
        # Kept, or nothing would hold the task while it waits for the lock.
        self._ending = asyncio.create_task(self._end_idle())

    async def _end_idle(self) -> None:
        async with self._lock:
            if self._rest is None or self._rest.when() <= asyncio.get_running_loop().time():
                await self.close()

    async def _process(self) -> asyncio.subprocess.Process:
        if self._running and self._running[1].returncode is None:
            return self._running[1]
        await self.close()
        stack = contextlib.AsyncExitStack()
        process = await stack.enter_async_context(
            self._git.process(
                ["--git-dir", str(self._directory), "cat-file", "--batch-command", "--buffer"],
                stdin=asyncio.subprocess.PIPE,
            )
        )
        self._running = stack, process
        return process


async def _answer(
    process: asyncio.subprocess.Process, name: str, *, has_content: bool
) -> tuple[Found | None, bytes]:
    assert process.stdout is not None
    line = (await process.stdout.readuntil(b"\n")).decode(errors="replace").rstrip("\n")
    if line == f"{name} missing" or line.endswith((" missing", " ambiguous")):
        return None, b""
    id_, type_, size = line.rsplit(" ", 2)
    found = Found(id_, type_, int(size))
    if not has_content:
        return found, b""
    content = await process.stdout.readexactly(found.size + 1)
    return found, content[:-1]


def _parsed_tree(listing: bytes) -> list[tuple[str, str, str]]:
    """(mode, name, id) of each entry of a tree object."""
    entries, at = [], 0
    while at < len(listing):
        end = listing.index(b"\0", at)
        mode, _, name = listing[at:end].partition(b" ")
        entries.append((mode.decode(), name.decode(errors="replace"), listing[end + 1 : end + 21].hex()))
        at = end + 21
    return entries


def _broken(message: str) -> SourceError:
    return SourceError(ApplicationReason.GIT_OPERATION_FAILED, message, definite=False)
