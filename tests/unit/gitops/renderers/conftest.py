"""The real kustomize, helm, sops and age-keygen in one directory, and a repository that a test commits to."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from rollouts.gitops.confined import Confined
from rollouts.gitops.sources.commit import CommitFiles
from rollouts.gitops.sources.git import Git
from rollouts.gitops.sources.objects import ObjectReader
from rollouts.sandbox import binaries
from rollouts.sandbox.progress import Silent

PROGRAMS = ("kustomize", "helm", "sops", "age-keygen")


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tools")
    found = binaries.locate(None, environ=os.environ, report=Silent()).ensure(PROGRAMS)
    for name, program in found.items():
        (directory / name).symlink_to(program)
    return directory


@pytest.fixture
def confined(tools: Path) -> Confined:
    return Confined(tools)


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository on disk and a reader of its commits."""

    directory: Path
    objects: ObjectReader

    def commit(self, files: Mapping[str, str], links: Mapping[str, str] | None = None) -> CommitFiles:
        """A commit with exactly these files and symbolic links."""
        self.git("rm", "-r", "-q", "--ignore-unmatch", ".")
        for name, text in files.items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for name, target in (links or {}).items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(target)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=change")
        return CommitFiles(self.objects, self.git("rev-parse", "HEAD"))

    def git(self, *arguments: str) -> str:
        identity = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com"}
        identity |= {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com"}
        done = subprocess.run(
            ["git", "-C", str(self.directory), *arguments],
            env={**os.environ, **identity, "GIT_CONFIG_GLOBAL": os.devnull},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()


@pytest.fixture
async def repository(tmp_path: Path) -> AsyncIterator[Repository]:
    directory = tmp_path / "repository"
    directory.mkdir()
    home = tmp_path / "home"
    home.mkdir()
    found = Repository(directory, ObjectReader(Git(home), directory / ".git"))
    found.git("init", "--quiet", "--initial-branch=main")
    yield found
    await found.objects.close()
