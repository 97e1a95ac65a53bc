"""The files of one commit: directories, single files, whole trees, without a work tree.

Decides what a path of a repository may be (inside it, in normal form), how much is read at most, where a submodule
begins and what is a pointer of Git LFS; where their content comes from is the caller's (`Elsewhere`, `Large`). Called by the renderers and by
`controller.applications.sets`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from rollouts.gitops.resources.render import MAX_FILES, MAX_TOTAL_BYTES, Entry, RenderError
from rollouts.gitops.sources import lfs
from rollouts.gitops.sources.lfs import Pointer
from rollouts.gitops.sources.objects import ObjectReader

__all__ = ["CommitFiles", "Elsewhere", "File", "Large", "inside", "object_name", "outermost", "reached"]

LINK = "120000"
SUBMODULE = "160000"
_MODULES = ".gitmodules"
_DEEPEST_MODULE = 5

Elsewhere = Callable[[str, str], Awaitable["CommitFiles"]]
"""URL as .gitmodules has it, and commit -> the files. Raises `SourceError`, `RenderError`."""
Large = Callable[[Sequence[Pointer]], Awaitable[Mapping[Pointer, bytes]]]
"""The content of every one of these pointers. Raises `SourceError`."""
_Ask = Callable[["CommitFiles", Sequence[str]], Awaitable[dict[str, "_T"]]]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class File:
    """A file or symbolic link: its mode in Git and its content."""

    mode: str
    content: bytes


@dataclass(slots=True)
class CommitFiles:
    """Reads one commit through the mirror's long-lived `git cat-file`."""

    objects: ObjectReader
    commit: str
    elsewhere: Elsewhere | None = None
    large: Large | None = None
    """None: pointers of Git LFS stay what they are."""
    depth: int = 0
    _urls: Mapping[str, str] | None = field(default=None, init=False)
    """Submodules by their path; None before anybody asked."""

    async def trees(self, paths: Iterable[str]) -> dict[str, str]:
        """The tree of each path that is a directory."""
        return await self.routed(list(dict.fromkeys(paths)), CommitFiles._own_trees)

    async def read(self, paths: Iterable[str]) -> dict[str, bytes]:
        """The content of each path that is a file."""
        return await self.routed(list(dict.fromkeys(paths)), CommitFiles._own_files)

    async def entries(self, directory: str, *, recurse: bool) -> list[tuple[Entry, CommitFiles]]:
        """The files of a directory, by their paths in it, and whom to ask for their content."""
        for path, inner in (await self._inside_submodules([directory])).items():
            return await (await self._submodule(path)).entries(inner[0][1], recurse=recurse)
        tree = (await self._own_trees([directory])).get(directory)
        if tree is None:
            return []
        found = await self.objects.entries(tree, recurse=recurse)
        below: list[tuple[Entry, CommitFiles]] = [(e, self) for e in found if e.mode != SUBMODULE]
        for entry in found if recurse and self.elsewhere else ():
            if entry.mode == SUBMODULE:
                module = await self._submodule(posixpath.normpath(posixpath.join(directory, entry.path)))
                inside_ = await module.entries(".", recurse=True)
                below += [(replace(e, path=f"{entry.path}/{e.path}"), files) for e, files in inside_]
        return below

    async def below(self, directories: Iterable[str]) -> dict[str, File]:
        """Every file below the directories, by its path in the repository."""
        files: dict[str, File] = {}
        for directory in outermost(directories):
            entries = await self.entries(directory, recurse=True)
            total = sum(e.size for e, _ in entries) + sum(len(f.content) for f in files.values())
            if len(files) + len(entries) > MAX_FILES or total > MAX_TOTAL_BYTES:
                raise RenderError(
                    f"{directory} holds {len(entries)} files of {total} bytes; "
                    f"the limits are {MAX_FILES} files and {MAX_TOTAL_BYTES} bytes"
                )
            for (entry, _), content in zip(entries, await contents(entries), strict=True):
                files[posixpath.normpath(posixpath.join(directory, entry.path))] = File(entry.mode, content)
        return files

    async def _own_trees(self, paths: Sequence[str]) -> dict[str, str]:
        found = await self.objects.look_up([_name(self.commit, p) for p in paths])
        return {p: f.id for p, f in zip(paths, found, strict=True) if f and f.type == "tree"}

    async def _own_files(self, paths: Sequence[str]) -> dict[str, bytes]:
        found = await self.objects.look_up([_name(self.commit, p) for p in paths])
        files = [(p, f) for p, f in zip(paths, found, strict=True) if f and f.type == "blob"]
        if sum(f.size for _, f in files) > MAX_TOTAL_BYTES:
            raise RenderError(f"{files[0][0]} and others are longer than {MAX_TOTAL_BYTES} bytes")
        texts = await self.contents([f.id for _, f in files])
        return {p: text for (p, _), text in zip(files, texts, strict=True)}

    async def contents(self, ids: Sequence[str]) -> list[bytes]:
        """The content of each of our objects, also where only a pointer to it is in Git."""
        texts = await self.objects.contents(ids)
        if self.large is None:
            return texts
        pointers = {i: p for i, text in enumerate(texts) if (p := lfs.pointer(text))}
        found = await self.large(sorted(set(pointers.values()))) if pointers else {}
        return [found[pointers[i]] if i in pointers else text for i, text in enumerate(texts)]

    async def routed(self, paths: Sequence[str], ask: _Ask[_T]) -> dict[str, _T]:
        """Ask for what is here and, for paths inside of submodules, there."""
        elsewhere = await self._inside_submodules(paths)
        away = {path for inner in elsewhere.values() for path, _ in inner}
        found = await ask(self, [p for p in paths if p not in away])
        for place, inner in elsewhere.items():
            module = await self._submodule(place)
            answers = await module.routed([i for _, i in inner], ask)
            found |= {path: answers[i] for path, i in inner if i in answers}
        return found

    async def _inside_submodules(self, paths: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
        """By submodule (path, path in it) of those that lie in one."""
        found: dict[str, list[tuple[str, str]]] = {}
        for place in await self._modules() if self.elsewhere else ():
            for path in paths:
                if path == place or path.startswith(f"{place}/"):
                    found.setdefault(place, []).append((path, path[len(place) + 1 :] or "."))
        return found

    async def _modules(self) -> Mapping[str, str]:
        if self._urls is None:
            name = _name(self.commit, _MODULES)
            (there,) = await self.objects.look_up([name])
            text = await self.objects.config(name) if there and there.type == "blob" else ""
            self._urls = submodules(text)
        return self._urls

    async def _submodule(self, place: str) -> CommitFiles:
        """The files of a submodule, at the commit that this one names."""
        assert self.elsewhere is not None
        url = (await self._modules()).get(place)
        if url is None:
            raise RenderError(f"{place}: is a submodule that {_MODULES} says nothing about")
        if self.depth >= _DEEPEST_MODULE:
            raise RenderError(f"{place}: submodules are nested deeper than {_DEEPEST_MODULE} levels")
        directory, _, name = place.rpartition("/")
        tree = (await self._own_trees([directory or "."])).get(directory or ".", "")
        siblings = await self.objects.entries(tree, recurse=False) if tree else []
        link = next((e.blob for e in siblings if e.path == name and e.mode == SUBMODULE), None)
        if link is None:
            raise RenderError(f"{place}: is no submodule, although {_MODULES} says so")
        found = await self.elsewhere(url, link)
        found.depth = self.depth + 1
        return found


async def contents(entries: Sequence[tuple[Entry, CommitFiles]]) -> list[bytes]:
    """The content of each entry, asked for in as few calls as there are repositories."""
    by_repository: dict[int, tuple[CommitFiles, list[str]]] = {}
    for entry, files in entries:
        by_repository.setdefault(id(files), (files, []))[1].append(entry.blob)
    found: dict[str, bytes] = {}
    for files, ids in by_repository.values():
        found |= dict(zip(ids, await files.contents(ids), strict=True))
    return [found[entry.blob] for entry, _ in entries]


def submodules(config: str) -> dict[str, str]:
    """Path -> URL, from what `git config --list -z` says of a .gitmodules. Raises `RenderError`."""
    values: dict[tuple[str, str], str] = {}
    for line in config.split("\0"):
        key, _, value = line.partition("\n")
        section, _, option = key.rpartition(".")
        if section.startswith("submodule."):
            values[section, option] = value
    paths = {section: path for (section, option), path in values.items() if option == "path"}
    return {
        inside("", path): values[section, "url"]
        for section, path in paths.items()
        if (section, "url") in values
    }


def object_name(commit: str) -> str:
    """What the mirror calls a commit, or an artifact by its digest."""
    digest = commit.removeprefix("sha256:")
    return commit if digest == commit else f"refs/rollouts/artifacts/{digest}"


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


async def reached(
    start: Sequence[str],
    refers: Callable[[str], Awaitable[Iterable[str]]],
    *,
    most: int,
    too_many: str,
) -> tuple[str, ...]:
    """The first directory, then the outermost of those that it and the others refer to, near and far.

    Raises `RenderError`, also when there are more than `most` of them.
    """
    seen: dict[str, None] = {}
    left = list(start)
    while left:
        directory = left.pop()
        if directory in seen:
            continue
        seen[directory] = None
        if len(seen) > most:
            raise RenderError(too_many)
        left += await refers(directory)
    return (start[0], *outermost(d for d in seen if d != start[0]))


def digest_of(trees: Mapping[str, str]) -> str:
    """Changes if anything in one of the directories changes."""
    return ",".join(f"{path}={trees[path]}" for path in sorted(trees))


def _name(commit: str, path: str) -> str:
    named = object_name(commit)
    return f"{named}^{{tree}}" if path in ("", ".") else f"{named}:{path}"
