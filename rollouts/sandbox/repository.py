"""Bare Git repositories of a sandbox: on disk, and as addresses of its Git server."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from rollouts.sandbox.errors import SandboxError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")


@dataclass(frozen=True, slots=True)
class RepoInfo:
    """A repository of the sandbox's Git server."""

    name: str
    url: str
    """By http or https; asks for the sandbox's Git user name and password."""
    path: Path
    """The bare repository on disk."""

    @property
    def file_url(self) -> str:
        return self.path.as_uri()


def create(root: Path, name: str, *, server: str) -> RepoInfo:
    """A bare repository whose first branch is `main`; the existing one if there is one."""
    if not NAME.fullmatch(name):
        raise SandboxError(
            step="Create a repository",
            why=f"{name!r} is no name for one",
            remedy="Use letters, digits, dots, dashes and slashes, such as `team/shop`.",
        )
    path = root / f"{name}.git"
    if not path.exists():
        _git("init", "--quiet", "--bare", "--initial-branch=main", str(path))
        # Any commit may be fetched by its hash, as the large Git hosts allow.
        _git("-C", str(path), "config", "uploadpack.allowAnySHA1InWant", "true")
        _git("-C", str(path), "config", "uploadpack.allowFilter", "true")
    return RepoInfo(name=name, url=f"{server}/{name}.git", path=path)


def _git(*arguments: str) -> None:
    result = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise SandboxError(
            step="Create a repository",
            why=result.stderr.strip(),
            remedy="Check that git is installed and the sandbox's directory is writable.",
        )
