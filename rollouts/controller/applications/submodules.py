"""Where the files of submodules come from: mirrors like any other, fetched when something in them is read.

Decides which addresses a .gitmodules may name, and with whose credentials they are read: the parent's, and only
on the parent's own host.
"""

from __future__ import annotations

import posixpath
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from rollouts.controller.applications.positions import RemoteKey
from rollouts.errors import SpecError
from rollouts.gitops import validation
from rollouts.gitops.resources.render import RenderError
from rollouts.gitops.sources.commit import CommitFiles, Elsewhere, Large
from rollouts.gitops.sources.git import origin
from rollouts.gitops.sources.source import Mirror

__all__ = ["Submodules", "absolute"]

_REMOTE = ("https", "http", "ssh")


@dataclass(frozen=True, slots=True)
class Submodules:
    """`at_commit` brings a commit of a repository, for one whose own credentials may read it."""

    at_commit: Callable[[RemoteKey, str], Awaitable[Mirror]]

    def of(self, parent: RemoteKey, large: Callable[[RemoteKey], Large] | None = None) -> Elsewhere:
        """How a commit of `parent` finds the files of its submodules, and with `large` those of Git LFS in them."""

        async def elsewhere(url: str, commit: str) -> CommitFiles:
            remote = _remote(parent, url)
            mirror = await self.at_commit(remote, commit)
            return await mirror.at(commit, self.of(remote, large), large(remote) if large else None)

        return elsewhere


def absolute(parent: str, url: str) -> str:
    """`../other.git` as an address beside the parent's; any other address as it is. Raises `RenderError`."""
    if not url.startswith(("./", "../")):
        return url
    if "://" in parent:
        parts = urlsplit(parent)
        path = posixpath.normpath(posixpath.join(parts.path.rstrip("/"), url))
        return urlunsplit(parts._replace(path=path))
    host, _, directory = parent.partition(":")
    path = posixpath.normpath(posixpath.join(directory, url))
    if path.startswith(".."):
        raise RenderError(f".gitmodules: {url}: points above the host")
    return f"{host}:{path}"


def _remote(parent: RemoteKey, url: str) -> RemoteKey:
    address = absolute(parent.url, url)
    try:
        validation.check_git_url(address, ".gitmodules: url")
    except SpecError as e:
        raise RenderError(str(e)) from None
    if urlsplit(address).scheme not in _REMOTE and "@" not in address.partition(":")[0]:
        raise RenderError(
            f".gitmodules: {url}: must be an https, http or ssh URL, git@host:path, or relative"
        )
    is_same_host = origin(address) == origin(parent.url) and _host(address) == _host(parent.url)
    if is_same_host:
        return RemoteKey(address, parent.namespace, parent.secret)
    return RemoteKey(address)


def _host(url: str) -> str:
    return "" if "://" in url else url.partition(":")[0].rpartition("@")[2]
