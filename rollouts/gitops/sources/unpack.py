"""An archive from a registry or a Helm repository -> files, within limits and inside of it.

Decides what an archive may hold: regular files and symbolic links with names that stay below its root; no hard
link, no device, and no more than a commit may hold. Pure.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from typing import IO, cast

from rollouts.gitops.resources.render import MAX_FILES, MAX_TOTAL_BYTES, RenderError
from rollouts.gitops.sources.commit import File, inside

__all__ = ["unpacked"]

_MAX_BYTES = MAX_TOTAL_BYTES + MAX_FILES * 4 * tarfile.BLOCKSIZE
"""With what headers and padding take."""
_GZIP = b"\x1f\x8b"


class _Bounded(io.RawIOBase):
    """Ends in an error where the text gets too long, however small it was packed."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._left = _MAX_BYTES

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        found = self._stream.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(found)
        if self._left < 0:
            raise RenderError(f"the archive unpacks to more than {MAX_TOTAL_BYTES} bytes")
        return found


def unpacked(archive: bytes, *, is_chart: bool) -> dict[str, File]:
    """The files by their path; of a chart without the directory that all of them lie in. Raises `RenderError`."""
    plain = io.BytesIO(archive)
    stream: IO[bytes] = plain
    if archive.startswith(_GZIP):
        stream = cast("IO[bytes]", gzip.GzipFile(fileobj=plain))
    files: dict[str, File] = {}
    try:
        with tarfile.open(fileobj=_Bounded(stream), mode="r|") as tar:
            for member in tar:
                if found := _file(tar, member):
                    files[_place(member.name, is_chart=is_chart)] = found
                if len(files) > MAX_FILES:
                    raise RenderError(f"the archive holds more than {MAX_FILES} files")
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError, OSError) as e:
        raise RenderError(f"the archive is damaged: {type(e).__name__}") from e
    return files


def _file(tar: tarfile.TarFile, member: tarfile.TarInfo) -> File | None:
    if member.isdir():
        return None
    if member.issym():
        return File("120000", member.linkname.encode(errors="surrogateescape"))
    if not member.isreg():
        raise RenderError(f"{member.name}: is neither a file nor a symbolic link")
    content = tar.extractfile(member)
    assert content is not None
    return File("100755" if member.mode & 0o100 else "100644", content.read())


def _place(name: str, *, is_chart: bool) -> str:
    if name.startswith("/"):
        raise RenderError(f"{name}: points out of the archive")
    path = inside("", name)
    if is_chart:
        _, _, path = path.partition("/")
    if path in ("", "."):
        raise RenderError(f"{name}: lies outside of the chart's directory")
    return path
