"""Files of a commit -> the objects that they declare.

Decides which files of a directory are read and what is wrong with them, naming file, line and field.
`Rendered` is the seam for further renderers. Knows neither Git nor the cluster.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rollouts.api.application import DirectorySource
from rollouts.errors import RolloutsError
from rollouts.gitops.resources import documents, manifests
from rollouts.gitops.resources.manifests import Manifest, ManifestError

MAX_FILES = 5_000
MAX_FILE_BYTES = 4 * 1024 * 1024
MAX_TOTAL_BYTES = 64 * 1024 * 1024
MAX_OBJECTS = 5_000

_SUFFIXES = (".yaml", ".yml", ".json")
_REGULAR = frozenset({"100644", "100755"})
_SYMLINK = "120000"
_LFS = b"version https://git-lfs.github.com/spec/"


class RenderError(RolloutsError):
    """The commit does not render; the sentence names file, line and field."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the tree, before it is read. `path` is relative to the Application's path."""

    path: str
    mode: str
    blob: str
    size: int


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a commit declares. Equal digests mean the same set of objects."""

    digest: str
    manifests: tuple[Manifest, ...]


def selected(entries: Iterable[Entry], options: DirectorySource) -> tuple[Entry, ...]:
    """The files to read, in order of their paths. Raises `RenderError` beyond a limit."""
    chosen = sorted((e for e in entries if _is_selected(e, options)), key=lambda e: e.path)
    for entry in chosen:
        if entry.mode == _SYMLINK:
            raise RenderError(f"{entry.path}: is a symbolic link, which is not followed; exclude it")
        check_length(entry.path, entry.size)
    if len(chosen) > MAX_FILES or sum(e.size for e in chosen) > MAX_TOTAL_BYTES:
        raise RenderError(
            f"selects {len(chosen)} files; the limits are {MAX_FILES} files and {MAX_TOTAL_BYTES} bytes"
        )
    return tuple(chosen)


def declared(files: Mapping[str, bytes]) -> tuple[Manifest, ...]:
    """The objects of every document of every file. Raises `RenderError`."""
    for path, content in files.items():
        check_is_here(path, content)
    try:
        found = tuple(m for path in sorted(files) for m in _file(path, files[path]))
    except ManifestError as e:
        raise RenderError(str(e)) from e
    if len(found) > MAX_OBJECTS:
        raise RenderError(f"declares {len(found)} objects; the limit is {MAX_OBJECTS}")
    return found


def check_is_here(path: str, content: bytes) -> None:
    """Raises `RenderError` for a file whose content Git LFS keeps somewhere else."""
    if content.startswith(_LFS):
        raise RenderError(
            f"{path}: is a pointer of Git LFS, whose content was not fetched; set enableLfs: true on the source, "
            "or keep what is rendered in Git itself"
        )


def check_length(path: str, size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise RenderError(f"{path}: is {size} bytes long; the limit is {MAX_FILE_BYTES}")


def combined(sets: Sequence[Rendered], *, namespace: str) -> Rendered:
    """Several sources as one set. argo-cd: what two of them declare is the later one's."""
    if len(sets) == 1:
        return sets[0]
    found = {m.key: m for rendered in sets for m in rendered.manifests}
    if len(found) > MAX_OBJECTS:
        raise RenderError(f"the sources declare {len(found)} objects; the limit is {MAX_OBJECTS}")
    declared_ = tuple(found.values())
    return Rendered(manifests.digest(declared_, namespace=namespace), declared_)


def as_set(found: tuple[Manifest, ...], *, namespace: str) -> Rendered:
    """Objects as one set. Raises `RenderError` for a duplicate."""
    _check_duplicates(found)
    return Rendered(manifests.digest(found, namespace=namespace), found)


def matches(pattern: str, path: str) -> bool:
    """Shell glob with alternatives in braces; `*` also crosses directories, as in Argo CD."""
    return any(fnmatch.fnmatchcase(path, p) for p in _alternatives(pattern))


def _is_selected(entry: Entry, options: DirectorySource) -> bool:
    return (
        entry.path.endswith(_SUFFIXES)
        and entry.mode in _REGULAR | {_SYMLINK}
        and (options.recurse or "/" not in entry.path)
        and (not options.include or matches(options.include, entry.path))
        and not (options.exclude and matches(options.exclude, entry.path))
    )


def _alternatives(pattern: str) -> Iterator[str]:
    found = re.search(r"\{([^{}]*)\}", pattern)
    if not found:
        yield pattern
        return
    for choice in found.group(1).split(","):
        yield from _alternatives(pattern[: found.start()] + choice.strip() + pattern[found.end() :])


def _file(path: str, text: bytes) -> Iterator[Manifest]:
    try:
        for document in documents.load(text):
            yield from _objects(document.value, f"{path}:{document.line} (document {document.index})")
    except documents.DocumentError as e:
        raise RenderError(f"{path}:{e.line}: {e.problem}") from e


def _objects(value: object, origin: str) -> Iterator[Manifest]:
    """The object of a document, or the items of its List."""
    if isinstance(value, Mapping) and str(value.get("kind", "")).endswith("List") and "items" in value:
        items = value["items"] or ()
        if not isinstance(items, list):
            raise ManifestError(origin, "items", "must be a list")
        for i, item in enumerate(items):
            yield from _objects(item, f"{origin} items[{i}]")
        return
    yield manifests.manifest(value, origin)


def _check_duplicates(declared: Iterable[Manifest]) -> None:
    seen: dict[object, str] = {}
    for m in declared:
        if m.key in seen:
            raise RenderError(f"{m.origin}: {m.key} is declared twice; see {seen[m.key]}")
        seen[m.key] = m.origin
