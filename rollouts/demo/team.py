"""The demo's team: a working copy, commits and pushes with the real git over smart HTTP."""

from __future__ import annotations

import subprocess
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from rollouts.demo import manifests
from rollouts.demo.manifests import Release


class Team:
    """Writes releases into a repository and pushes them to `main`."""

    def __init__(self, directory: Path, url: str, *, username: str, password: str) -> None:
        self._directory = directory
        self._remote = _with_credentials(url, username, password)
        directory.mkdir(parents=True)
        self._git("init", "--quiet", "--initial-branch=main")

    def push(self, release: Release, message: str) -> str:
        """Commit this state of the repository, push it and return the commit's 40 hex digits."""
        self._git("rm", "-r", "--quiet", "--force", "--ignore-unmatch", ".")
        for path, content in manifests.files(release).items():
            target = self._directory / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content, encoding="utf-8")
        return self._commit(message)

    def note(self, text: str) -> str:
        """Push a commit that touches nothing that is deployed."""
        (self._directory / "README.md").write_text(text + "\n", encoding="utf-8")
        return self._commit("Write to the README")

    def _commit(self, message: str) -> str:
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", "--message", message)
        self._git("push", "--quiet", self._remote, "main")
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str) -> str:
        identity = (
            "-c",
            "user.name=Shop team",
            "-c",
            "user.email=team@shop.example",
            "-c",
            "commit.gpgsign=false",
        )
        done = subprocess.run(
            ["git", "-C", str(self._directory), *identity, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"git {arguments[0]} failed: {done.stderr.strip()}")
        return done.stdout


def _with_credentials(url: str, username: str, password: str) -> str:
    parts = urlsplit(url)
    netloc = f"{quote(username, safe='')}:{quote(password, safe='')}@{parts.netloc}"
    return urlunsplit(parts._replace(netloc=netloc))
