"""The files of one commit: directories, single files, whole trees, without a work tree.

Decides what a path of a repository may be (inside it, in normal form) and how much is read at most.
Called by the renderers and by `controller.applications.sets`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rollouts.gitops.objects import ObjectReader
from rollouts.gitops.render import MAX_FILES, MAX_TOTAL_BYTES, RenderError

__all__ = ["CommitFiles", "File", "inside", "outermost"]

_SUBMODULE = "160000"


@dataclass(frozen=True, slots=True)
class File:
    """A file or symbolic link: its mode in Git and its content."""

    mode: str
    content: bytes


@dataclass(frozen=True, slots=True)
class CommitFiles:
    """Reads one commit through the mirror's long-lived `git cat-file`."""

    objects: ObjectReader
    commit: str

    async def trees(self, paths: Iterable[str]) -> dict[str, str]:
        """The tree of each path that is a directory."""
        asked = list(dict.fromkeys(paths))
        found = await self.objects.look_up([_name(self.commit, p) for p in asked])
        return {p: f.id for p, f in zip(asked, found, strict=True) if f and f.type == "tree"}

    async def read(self, paths: Iterable[str]) -> dict[str, bytes]:
        """The content of each path that is a file."""
        asked = list(dict.fromkeys(paths))
        found = await self.objects.look_up([_name(self.commit, p) for p in asked])
        files = [(p, f) for p, f in zip(asked, found, strict=True) if f and f.type == "blob"]
        if sum(f.size for _, f in files) > MAX_TOTAL_BYTES:
            raise RenderError(f"{files[0][0]} and others are longer than {MAX_TOTAL_BYTES} bytes")
        contents = await self.objects.contents([f.id for _, f in files])
        return {p: content for (p, _), content in zip(files, contents, strict=True)}

    async def below(self, directories: Iterable[str]) -> dict[str, File]:
        """Every file below the directories, by its path in the repository. Submodules are empty."""
        trees = await self.trees(outermost(directories))
        files: dict[str, File] = {}
        for directory, tree in trees.items():
            entries = [e for e in await self.objects.entries(tree, recurse=True) if e.mode != _SUBMODULE]
            total = sum(e.size for e in entries) + sum(len(f.content) for f in files.values())
            if len(files) + len(entries) > MAX_FILES or total > MAX_TOTAL_BYTES:
                raise RenderError(
                    f"{directory} holds {len(entries)} files of {total} bytes; "
                    f"the limits are {MAX_FILES} files and {MAX_TOTAL_BYTES} bytes"
                )
            contents = await self.objects.contents([e.blob for e in entries])
            for entry, content in zip(entries, contents, strict=True):
                files[posixpath.normpath(posixpath.join(directory, entry.path))] = File(entry.mode, content)
        return files


def inside(directory: str, path: str) -> str:
    """`path`, as written in a file of `directory`, from the root of the repository. Raises `RenderError`."""
    joined = path.lstrip("/") if path.startswith("/") else posixpath.join(directory, path)
    found = posixpath.normpath(joined or ".")
    if found == ".." or found.startswith("../") or "\0" in found or "\n" in found:
        raise RenderError(f"{path}: points out of the repository")
    return found


def outermost(directories: Iterable[str]) -> tuple[str, ...]:
    """Without those that lie in another one."""
    kept: list[str] = []
    for directory in sorted({posixpath.normpath(d or ".") for d in directories}):
        if not any(k in (".", directory) or directory.startswith(f"{k}/") for k in kept):
            kept.append(directory)
    return tuple(kept)


def digest_of(trees: Mapping[str, str]) -> str:
    """Changes if anything in one of the directories changes."""
    return ",".join(f"{path}={trees[path]}" for path in sorted(trees))


def _name(commit: str, path: str) -> str:
    return f"{commit}^{{tree}}" if path in ("", ".") else f"{commit}:{path}"
