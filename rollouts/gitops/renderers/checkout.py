"""Files of a commit on disk, for programs that read files, in a directory that nothing points out of.

Decides what may be written: names that stay below the root, links whose real target does. Called by
`kustomize` and `helm`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rollouts.api.application_status import ApplicationReason
from rollouts.gitops.confined import ProgramFailed
from rollouts.gitops.resources.render import RenderError
from rollouts.gitops.sources.commit import LINK, File
from rollouts.gitops.sources.git import SourceError

__all__ = ["Checkout", "checked_out"]


@dataclass(frozen=True, slots=True)
class Checkout:
    """`root` holds the files of the repository; `home` is empty and for the program."""

    root: Path
    home: Path


@contextlib.asynccontextmanager
async def checked_out(files: Mapping[str, File]) -> AsyncIterator[Checkout]:
    """The files on disk until the block is left. Raises `RenderError`; `SourceError` if they do not fit."""
    try:
        base = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="rollouts-render-"))
    except OSError as e:
        raise _no_room(e) from None
    try:
        checkout = Checkout(base / "repository", base / "home")
        try:
            await asyncio.to_thread(_write, checkout, files)
        except OSError as e:
            raise _no_room(e) from None
        try:
            yield checkout
        except ProgramFailed as e:
            # Where it was laid out for a moment is different each time, and means nothing to anybody.
            raise ProgramFailed(str(e).replace(f"{checkout.root}/", "").replace(str(base), "…")) from None
    finally:
        await asyncio.to_thread(shutil.rmtree, base, True)  # noqa: FBT003


def _no_room(error: OSError) -> SourceError:
    """Not the commit's fault, so it is not held against it."""
    message = f"the files to render cannot be written to the controller's disk: {error.strerror}"
    return SourceError(ApplicationReason.GIT_OPERATION_FAILED, message, definite=False)


def _write(checkout: Checkout, files: Mapping[str, File]) -> None:
    checkout.home.mkdir()
    checkout.root.mkdir()
    links = {path: f for path, f in files.items() if f.mode == LINK}
    # Links come last: no file is ever written through one.
    for path, found in files.items():
        if path not in links:
            _place(checkout.root, path).write_bytes(found.content)
    for path, found in links.items():
        try:
            _place(checkout.root, path).symlink_to(os.fsdecode(found.content))
        except (OSError, ValueError) as e:
            _check_room(e)
            raise RenderError(f"{path}: is not a usable symbolic link ({e.__class__.__name__})") from e
    for path in links:
        _check_link(checkout.root, path)


def _place(root: Path, path: str) -> Path:
    place = root / path
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        _check_room(e)
        raise RenderError(f"{path}: lies below a file or a symbolic link") from e
    if not place.parent.resolve().is_relative_to(root.resolve()):
        raise RenderError(f"{path}: points out of the repository")
    return place


def _check_room(error: Exception) -> None:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise error


def _check_link(root: Path, path: str) -> None:
    """The real target, through every other link on the way."""
    try:
        target = (root / path).resolve()
    except (OSError, RuntimeError) as e:
        raise RenderError(f"{path}: is a symbolic link to itself") from e
    if not target.is_relative_to(root.resolve()):
        raise RenderError(f"{path}: is a symbolic link that points out of the repository")
