"""A real Git client against the sandbox's server: clone, push, sign in, be refused, be cut off."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rollouts import sandbox
from rollouts.sandbox import Component

pytestmark = pytest.mark.e2e

LARGER_THAN_ONE_CHUNK = 3 * 1024 * 1024


@pytest.fixture(scope="module", params=[False, True], ids=["http", "https"])
def hosted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[sandbox.Sandbox]:
    directory = tmp_path_factory.mktemp("git")
    wanted = frozenset({Component.GIT})
    with sandbox.up(directory, wanted=wanted, git_https=request.param) as started:
        yield started


def git(
    hosted: sandbox.Sandbox, *arguments: str, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    env = {
        **os.environ,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_SSL_CAINFO": str(hosted.certificate_authority),
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@example.com",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@example.com",
    }
    return subprocess.run(["git", *arguments], cwd=cwd, env=env, capture_output=True, text=True, check=False)


def signed_in(hosted: sandbox.Sandbox, url: str) -> str:
    return url.replace("://", f"://{hosted.git_username}:{hosted.git_password}@")


def test_what_is_pushed_is_cloned(hosted: sandbox.Sandbox, tmp_path: Path) -> None:
    repository = hosted.create_repository("team/shop")
    url = signed_in(hosted, repository.url)
    assert git(hosted, "clone", "--quiet", url, str(tmp_path / "one")).returncode == 0
    content = os.urandom(LARGER_THAN_ONE_CHUNK)
    (tmp_path / "one" / "large").write_bytes(content)
    git(hosted, "add", ".", cwd=tmp_path / "one")
    git(hosted, "commit", "--quiet", "-m", "first", cwd=tmp_path / "one")

    pushed = git(hosted, "push", "--quiet", "origin", "HEAD:main", cwd=tmp_path / "one")
    cloned = git(hosted, "clone", "--quiet", url, str(tmp_path / "two"))

    assert (pushed.returncode, cloned.returncode) == (0, 0)
    assert (tmp_path / "two" / "large").read_bytes() == content
    assert git(hosted, "clone", "--quiet", repository.file_url, str(tmp_path / "three")).returncode == 0


@pytest.mark.parametrize("credentials", ["", "git:wrong@"])
def test_without_the_right_credentials_nothing_is_told(
    hosted: sandbox.Sandbox, tmp_path: Path, credentials: str
) -> None:
    repository = hosted.create_repository("team/private")

    refused = git(hosted, "clone", repository.url.replace("://", f"://{credentials}"), str(tmp_path / "one"))

    assert refused.returncode != 0
    assert "could not read Username" in refused.stderr or "Authentication failed" in refused.stderr


def test_an_unknown_repository_is_not_found(hosted: sandbox.Sandbox) -> None:
    missing = git(hosted, "ls-remote", signed_in(hosted, f"{hosted.git_url}/team/missing.git"))

    assert missing.returncode != 0
    assert "not found" in missing.stderr


def test_creating_a_repository_again_keeps_it(hosted: sandbox.Sandbox) -> None:
    assert hosted.create_repository("again") == hosted.create_repository("again")


def test_the_server_can_be_away_and_come_back_at_its_address(hosted: sandbox.Sandbox) -> None:
    url = signed_in(hosted, hosted.create_repository("team/kept").url)
    hosted.stop(Component.GIT)
    assert git(hosted, "ls-remote", url).returncode != 0

    hosted.start(Component.GIT)

    assert git(hosted, "ls-remote", url).returncode == 0
