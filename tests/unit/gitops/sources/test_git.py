"""git as a child: what its complaints mean, and what it is told of this machine and of credentials."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rollouts.api.application_status import ApplicationReason
from rollouts.gitops.sources.credentials import Credentials
from rollouts.gitops.sources.git import Git, failure

SECRET = "s3cr3t-w0rd"


@pytest.fixture
def git(tmp_path: Path) -> Git:
    return Git(tmp_path / "home")


@pytest.mark.parametrize(
    ("stderr", "reason", "definite"),
    [
        (
            f"fatal: Authentication failed for 'https://bob:{SECRET}@h/x'",
            ApplicationReason.AUTHENTICATION_FAILED,
            True,
        ),
        ("fatal: unable to access: returned error: 403", ApplicationReason.AUTHENTICATION_FAILED, True),
        (
            "remote: x\nfatal: repository 'https://h/x' not found",
            ApplicationReason.GIT_OPERATION_FAILED,
            True,
        ),
        ("fatal: Could not resolve host: h", ApplicationReason.GIT_OPERATION_FAILED, False),
        (f"fatal: weird {SECRET}", ApplicationReason.GIT_OPERATION_FAILED, False),
        ("", ApplicationReason.GIT_OPERATION_FAILED, False),
    ],
)
def test_a_failure_is_told_by_kind_and_without_secrets(
    stderr: str, reason: ApplicationReason, definite: bool
) -> None:
    error = failure("fetch", f"https://bob:{SECRET}@h/x", stderr, Credentials("bob", SECRET))

    assert (error.reason, error.definite) == (reason, definite)
    assert SECRET not in str(error)


def test_the_same_trouble_is_the_same_words_however_long_it_took() -> None:
    url = "http://h:9/x.git"
    refused = (
        "fatal: unable to access '{}/': Failed to connect to h port 9 after {} ms: Couldn't connect to server"
    )

    told = {str(failure("ls-remote", url, refused.format(url, ms), None)) for ms in (0, 1, 2135)}

    assert len(told) == 1
    assert "Failed to connect to h port 9: Couldn't connect to server" in told.pop()


def test_credentials_are_offered_to_their_host_only_and_never_shown(git: Git) -> None:
    environment = git._environment("https://git.example.com/x.git", Credentials("bob", SECRET), {})

    settings = {v: k for k, v in environment.items() if k.startswith("GIT_CONFIG_KEY_")}
    assert "credential.https://git.example.com.helper" in settings
    carrying = [k for k, v in environment.items() if SECRET in v]
    assert carrying == ["ROLLOUTS_GIT_PASSWORD"]
    assert SECRET not in repr(Credentials("bob", SECRET))


def test_the_machine_s_own_git_configuration_is_not_read(git: Git) -> None:
    environment = git._environment("https://git.example.com/x.git", None, {})

    assert environment["GIT_CONFIG_NOSYSTEM"] == "1"
    assert environment["GIT_CONFIG_GLOBAL"] == os.devnull
    assert environment["GIT_TERMINAL_PROMPT"] == "0"
